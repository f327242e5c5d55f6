"""How an eval runs: its arms, epochs, limits, and where it may stop early."""
