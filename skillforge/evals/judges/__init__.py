"""Judges: models that grade answers, and how far they can be trusted."""
