"""Rows as plain JSON: without secrets, without what JSON cannot carry, cut where a page could not show it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from skillforge.canonical import compact
from skillforge.evals.answer import Answer
from skillforge.evals.pages.rows import CaseRow, Cell
from skillforge.evals.scorers.base import PASSES

Clean = Callable[[Any], Any]
"""Takes secrets out of a value; gives ``None`` where nothing is kept."""

_DEEPEST = 40  # levels of a value; what lies deeper is told as text
CUT = "…"


def state(cell: Cell) -> str:
    """``pass``, ``fail``, ``error`` (no answer, or the scorer failed) or ``unscored``."""
    if cell.error or (cell.answers and all(answer.status == "error" for answer in cell.answers)):
        return "error"
    if cell.score is None:
        return "unscored"
    return "pass" if cell.score >= PASSES else "fail"


def why(cell: Cell, clean: Clean) -> str:
    """Why there is no score: what the scorer or the first failed answer said. Empty where nothing is kept."""
    said = cell.error or next((answer.reason for answer in cell.answers if answer.status == "error"), "")
    return str(clean(said) or "") if said else ""


def whole_row(row: CaseRow, clean: Clean) -> dict[str, Any]:
    """A case with all its answers, for files: nothing is cut. What is not kept is ``None``."""
    return {
        "id": row.id,
        "input": plain(clean(dict(row.input))),
        "expected": plain(clean(row.expected)),
        "cluster": plain(clean(row.cluster)),
        "metadata": plain(clean(dict(row.metadata))),
        "arms": {name: _whole_cell(cell, clean) for name, cell in row.cells.items()},
    }


def _whole_cell(cell: Cell, clean: Clean) -> dict[str, Any]:
    return {
        "score": plain(cell.score),
        "state": state(cell),
        "error": why(cell, clean),
        "answers": [_whole_answer(answer, clean) for answer in cell.answers],
    }


def _whole_answer(answer: Answer, clean: Clean) -> dict[str, Any]:
    return {
        "status": answer.run_status,
        "output": plain(clean(answer.output)),
        "repaired": answer.repaired,
        "model": answer.model,
        "usd": plain(answer.usd),
        "list_usd": plain(answer.list_usd),
        "input_tokens": answer.input_tokens,
        "output_tokens": answer.output_tokens,
        "latency_s": plain(answer.latency_s),
        "key": answer.key,
    }


def plain(value: Any, depth: int = 0) -> Any:
    """The value as strict JSON has it: numbers that are none become ``None``, what is no JSON becomes text."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if depth >= _DEEPEST:
        return CUT
    if isinstance(value, Mapping):
        return {str(key): plain(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner, depth + 1) for inner in value]
    return str(value)


def as_text(value: Any, most: int) -> str:
    """A value as it is read: text as it is, all else as JSON; at most so many characters, with a mark at a cut."""
    value = plain(value)
    text = value if isinstance(value, str) else compact(value)
    return text if len(text) <= most else text[:most] + CUT


def fields_of(value: Any, most: int, fields: int) -> list[list[str]]:
    """The value as (name, text) pairs, of an object one a field, of anything else one without a name."""
    if isinstance(value, Mapping) and value:
        pairs = [[str(name)[:most], as_text(inner, most)] for name, inner in list(value.items())[:fields]]
        left = len(value) - len(pairs)
        return [*pairs, *([[CUT, f"{left:,} more fields"]] if left else [])]
    return [["", as_text(value, most)]]
