"""Reviewed files and the registry kept together: evidence, catching up, sync, verify, delete."""
