"""From what an agent did to a short plan: events, alignment, origins of arguments, plans, and their proof."""
