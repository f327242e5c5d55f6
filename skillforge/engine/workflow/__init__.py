"""Workflows: plans in which only the steps that need language cost a model call."""
