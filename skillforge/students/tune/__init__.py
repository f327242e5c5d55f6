"""Finding the form of a skill that suits one student: candidates, measured on dev, kept only where they win."""
