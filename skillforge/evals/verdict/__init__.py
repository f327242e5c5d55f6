"""From scores to a verdict: the comparison, what forbids a conclusion, what must hold besides."""
