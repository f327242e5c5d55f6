"""Files that trainers take: written from a curated data set, and checked by the target's own rules."""
