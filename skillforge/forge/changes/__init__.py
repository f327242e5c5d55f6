"""What differs: between two versions, and between a pull request and its base."""
