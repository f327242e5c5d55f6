"""Measuring a stored skill: its plan, its samples, its judges, the report and the evidence that is kept."""
