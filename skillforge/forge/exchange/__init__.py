"""Skills in the formats of others."""
