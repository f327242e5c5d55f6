"""Suites from recorded calls, where their lines are kept, and labelling them."""
