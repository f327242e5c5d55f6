"""Recorded calls of programs: captured, imported, priced, scanned."""
