"""Purging: what is a subject's, and taking it out of rows and files."""
