"""What a model is shown of a tool's result: JSON, never longer than it should be."""

from __future__ import annotations

import json
from typing import Any

from skillforge.canonical import compact
from skillforge.tools.base import ToolOutcome

MAX_RESULT_CHARS = 20_000  # about 5,000 tokens, sent again with every later turn
_CUTS = ((4_000, 200), (1_000, 50), (300, 20), (100, 5))  # characters of a text, elements of a list or an object


def shown(outcome: ToolOutcome, limit: int = MAX_RESULT_CHARS) -> tuple[Any, bool]:
    """``(content, is_error)`` for the model. What is too long is cut inside: what is left stays in its place, so that
    a path into the result still leads to the same value.

    A result that is no JSON is an error that says so.
    """
    try:
        value = json.loads(_well_formed(json.dumps(outcome.content, ensure_ascii=False, allow_nan=False)))
    except (TypeError, ValueError, RecursionError) as exc:
        return f"the tool's result is no JSON: {exc}"[:200], True
    if len(compact(value)) <= limit:
        return value, outcome.is_error
    for characters, elements in _CUTS:
        cut = _cut(value, characters, elements)
        if len(compact(cut)) <= limit:
            return cut, outcome.is_error
    text = compact(value)
    return f"{text[:limit]}… [cut: {len(text) - limit:,} more characters]", outcome.is_error


def _cut(value: Any, characters: int, elements: int) -> Any:
    if isinstance(value, str):
        rest = len(value) - characters
        return value if rest <= 0 else f"{value[:characters]}… [cut: {rest:,} more characters]"
    if isinstance(value, list):
        kept = [_cut(item, characters, elements) for item in value[:elements]]
        rest = len(value) - elements
        return kept if rest <= 0 else [*kept, f"… [cut: {rest:,} more elements]"]
    if isinstance(value, dict):
        fields = list(value.items())
        short = {name: _cut(item, characters, elements) for name, item in fields[:elements]}
        rest = len(fields) - elements
        return short if rest <= 0 else {**short, "…": f"[cut: {rest:,} more fields]"}
    return value


def _well_formed(text: str) -> str:
    """Half surrogates, which no wire can carry, become U+FFFD."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
