"""An eval in words that every report shares."""
