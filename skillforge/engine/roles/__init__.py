"""The other roles of a teacher: it writes new inputs, labels them twice, and attacks the draft."""
