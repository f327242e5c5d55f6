"""How right one answer is: the types of scorers, and how a suite's are made."""
