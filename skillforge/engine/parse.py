"""From a model's text to an output: tolerant of wrapping, strict about content."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple, NoReturn

from skillforge.engine.compiled import compiled
from skillforge.skill import Skill

NO_OBJECT = "the answer is not a JSON object"
MAX_OUTPUT_CHARS = 1_048_576
MAX_STARTS = 20  # braces tried as the beginning of the object: text before it may hold some
_FENCE = re.compile(r"^\s*```[a-zA-Z]*\n(.*?)\n?```\s*$", re.DOTALL)


def parse_output(skill: Skill, text: str) -> tuple[Any, tuple[str, ...]]:
    """``(output, problems)``: the parsed output, or ``None`` and why it does not fit the contract.

    For a text skill the output is the stripped text. Otherwise a JSON object: bare, in one code fence, or the first
    object in the text. Models wrap answers; they do not get to send another shape.
    """
    if len(text) > MAX_OUTPUT_CHARS:
        return None, (f"the answer is longer than {MAX_OUTPUT_CHARS:,} characters",)
    if skill.output == "text":
        stripped = text.strip()
        return (stripped, ()) if stripped else (None, ("the answer is empty",))
    value = find_json(text)
    if value is None:
        return None, (NO_OBJECT,)
    validator = compiled(skill).outputs
    problems = tuple(validator.problems(value)) if validator is not None else ()
    if problems:
        return None, problems
    return {name: value[name] for name in skill.output if name in value}, ()


class Located(NamedTuple):
    """A JSON object and the place in the text where it begins."""

    value: dict[str, Any]
    start: int


def find_json(text: str) -> dict[str, Any] | None:
    """The JSON object in ``text``, or ``None``."""
    found = located_json(text)
    return None if found is None else found.value


def located_json(text: str) -> Located | None:
    """The same with its place."""
    fenced = _FENCE.match(text)
    candidate, offset = (fenced.group(1), fenced.start(1)) if fenced else (text, 0)
    decoder = json.JSONDecoder(parse_constant=_refuse)
    start = -1
    for _ in range(MAX_STARTS):
        start = candidate.find("{", start + 1)
        if start < 0:
            return None
        try:
            value, _ = decoder.raw_decode(candidate, start)
        except (ValueError, RecursionError):
            continue
        return Located(value, offset + start) if isinstance(value, dict) else None
    return None


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
