"""Items of lists and fields of objects, compared one by one."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from skillforge.canonical import canonical_json
from skillforge.evals.scorers.equality import same
from skillforge.evals.scorers.text import bag_f1, f1, sequence_f1, words

Compare = Callable[[Any, Any], float]
"""(label, what was found) -> how much they are alike in [0, 1]; NaN where the label cannot be compared."""


def items_f1(expected: Any, found: Any, *, ordered: bool) -> float:
    """F1 over the different items of two lists; ``ordered``: over their longest common subsequence. Items are equal as
    JSON values are.

    Two texts are bags of words (in order: ROUGE-L). Where one side is a list, what is none on the other is its only
    item.
    """
    if isinstance(expected, str) and isinstance(found, str):
        return (sequence_f1 if ordered else bag_f1)(words(expected), words(found))
    left, right = ([_item(item) for item in _listed(side)] for side in (expected, found))
    if ordered:
        return sequence_f1(left, right)
    wanted, got = set(left), set(right)
    return f1(len(wanted & got), len(wanted), len(got))


@dataclass(frozen=True)
class FieldRules:
    """How the fields of an object are compared: each by its rule, by equality without one. ``weights`` are 1 where they
    are not given.
    """

    rules: Mapping[str, Compare]
    weights: Mapping[str, float]

    def fields(self, expected: Any, found: Any) -> dict[str, float]:
        """For every field of the label how much the output has of it, 0 where it is missing."""
        if not isinstance(expected, dict):
            return {}
        other = found if isinstance(found, dict) else {}
        return {
            name: self.rules.get(name, _equal)(value, other[name]) if name in other else 0.0
            for name, value in expected.items()
        }

    def __call__(self, expected: Any, found: Any) -> float:
        return self.total(expected, found, self.fields(expected, found))

    def total(self, expected: Any, found: Any, fields: Mapping[str, float]) -> float:
        """F1 over ``fields``: what the label's fields have by their rules, by how many fields there are on both sides.
        A label's field that its rule cannot compare counts on neither. Of labels that are no objects: equality.
        """
        if not isinstance(expected, dict):
            return _equal(expected, found)
        scored = {name: value for name, value in fields.items() if not math.isnan(value)}
        if fields and not scored:
            return math.nan
        common = math.fsum(value * self._weight(name) for name, value in scored.items())
        wanted = math.fsum(map(self._weight, scored))
        given = found if isinstance(found, dict) else {}
        got = math.fsum(self._weight(name) for name in given if name in scored or name not in fields)
        if not isinstance(found, dict) and not wanted:
            return 0.0
        return f1(common, wanted, got)

    def _weight(self, name: str) -> float:
        return self.weights.get(name, 1.0)


def _equal(expected: Any, found: Any) -> float:
    return float(same(expected, found))


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _item(value: Any) -> Hashable:
    """What two equal JSON values share; a value that JSON cannot carry equals nothing."""
    if isinstance(value, str):
        return value
    try:
        return canonical_json(value)
    except ValueError:
        return object()
