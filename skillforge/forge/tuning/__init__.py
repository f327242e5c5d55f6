"""Tuning bound to the store, the models and the files of a repository."""
