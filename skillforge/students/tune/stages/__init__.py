"""The stages of a tuning: each proposes forms of the skill, one kind of change at a time."""
