"""Making a skill: from a task or a log, what it will cost, what it took, whether it is paid back."""
