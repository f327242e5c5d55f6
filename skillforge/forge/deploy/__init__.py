"""What answers under an alias: promoting it, on what grounds, and finding it in the files."""
