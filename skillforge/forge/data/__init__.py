"""Data sets for training: found in the registry and the suite, curated, written."""
