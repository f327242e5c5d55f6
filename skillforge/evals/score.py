"""How right one output is, compared with what was expected: 0 to 1, per case and per field."""

from __future__ import annotations

from typing import Any

from skillforge.canonical import canonical_json
from skillforge.checks import resolve_pointer
from skillforge.errors import NotFound


def score(metric: str, expected: Any, output: Any) -> float:
    """The score of ``output`` under a suite's ``metric`` (see ``Decision``). No output scores 0."""
    if output is None:
        return 0.0
    if metric == "exact":
        return float(same(expected, output))
    if metric == "fields":
        fields = field_scores(expected, output)
        return sum(fields.values()) / len(fields) if fields else float(same(expected, output))
    try:
        return float(same(resolve_pointer(expected, metric), resolve_pointer(output, metric)))
    except NotFound:
        return 0.0


def field_scores(expected: Any, output: Any) -> dict[str, float]:
    """For every expected field whether the output has exactly that value. Empty when ``expected`` is not an object."""
    if not isinstance(expected, dict):
        return {}
    found = output if isinstance(output, dict) else {}
    return {name: float(name in found and same(value, found[name])) for name, value in expected.items()}


def same(left: Any, right: Any) -> bool:
    """JSON equality: ``1`` equals ``1.0``, never ``true``; key order does not matter.

    Stricter than the check ``equals``: what JSON cannot carry exactly (2**60, half a surrogate) equals nothing here.
    """
    try:
        return canonical_json(left) == canonical_json(right)
    except ValueError:
        return False


def is_binary(metric: str) -> bool:
    """Whether the metric only says right or wrong: such scores get the exact bounds for proportions."""
    return metric != "fields"
