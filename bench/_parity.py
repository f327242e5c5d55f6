"""A small skill that the scripts about the registry save, promote and sync."""

from __future__ import annotations

NAME = "parity"
STUDENT = "scripted:student.yaml"
SKILL = {
    "schema": "skillforge/v1",
    "name": NAME,
    "description": "Say whether a number is even or odd.",
    "input": {"number": {"type": "string"}},
    "output": {"answer": {"enum": ["even", "odd"]}},
    "instructions": "Look at the last digit.",
    "prompt": "{{ number }}",
}
