"""A model that works with tools: the bounded loop of asking, calling and asking again."""
