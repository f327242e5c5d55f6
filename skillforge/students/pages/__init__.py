"""Pages about students: what stands in evals of many days, in one picture."""
