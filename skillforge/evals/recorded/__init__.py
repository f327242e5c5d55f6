"""The same verdict on outputs that were produced elsewhere."""
