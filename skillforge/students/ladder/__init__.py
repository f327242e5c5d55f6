"""Several students behind each other: the next one answers where the one before failed, or is not sure."""
