"""An answer held to the words of its input while it is written: every text that must stand there is a choice among its
runs of words.

The skill says which texts these are: those with an ``in-input`` check. A small model copies badly and invents instead
(SmolLM2-135M on booking messages, the first 24 of dev: 15% of the answers had all five spans from the message, all of
them this way; F1 .51 without, .62 with).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from skillforge.skill import Skill
from skillforge.skillparts import Check

RUN_WORDS = 8
MAX_RUNS = 2_000  # of one field: a longer input would make a grammar larger than it is worth
_WORD = re.compile(r"[^\W_]+(?:[.:,'’&@/+-][^\W_]+)*")


def held_to_input(schema: dict[str, Any], skill: Skill, values: Mapping[str, Any]) -> dict[str, Any]:
    """The contract in which a text at or below the path of an ``in-input`` check is one of the runs of at most
    ``RUN_WORDS`` words of that input, or what the check takes for nothing said. A text that has choices keeps them, and
    where the input has no words, or too many, nothing is changed.
    """
    for check in skill.checks:
        if check.type == "in-input":
            runs = [*([check.value] if isinstance(check.value, str) else []), *_runs(check, values)]
            if 0 < len(runs) <= MAX_RUNS:
                schema = _held(schema, [step for step in (check.path or "").split("/") if step], runs)
    return schema


def _held(schema: dict[str, Any], path: list[str], runs: list[str]) -> dict[str, Any]:
    """A copy of ``schema`` with the texts at and below ``path`` replaced by the choice."""
    if schema.get("type") == "string" and "enum" not in schema:
        return schema if path else {"enum": runs}
    found = dict(schema)
    if isinstance(schema.get("properties"), dict):
        found["properties"] = {
            name: _held(inner, path[1:], runs) if not path or path[0] == name else inner
            for name, inner in schema["properties"].items()
        }
    if isinstance(schema.get("items"), dict):
        found["items"] = _held(schema["items"], path[1:], runs)
    return found


def _runs(check: Check, values: Mapping[str, Any]) -> list[str]:
    """Every run of words of the input the check looks at, each once, in the order in which they stand there."""
    found: dict[str, None] = {}
    for text in _texts(values if check.of is None else values.get(check.of)):
        words = [match.span() for match in _WORD.finditer(text)]
        for first, (start, _) in enumerate(words):
            for _, end in words[first : first + RUN_WORDS]:
                found[text[start:end]] = None
            if len(found) > MAX_RUNS:
                return list(found)
    return list(found)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(item)
