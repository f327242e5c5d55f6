"""Scorers of what an answer took: at most so many seconds, at most so many dollars."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from skillforge.case import ScorerSpec
from skillforge.errors import UsageError
from skillforge.evals.scorers.base import Contract, Item, Score
from skillforge.evals.scorers.rules import require_settings

UNITS = {"latency": "s", "cost": "dollars"}


@dataclass(frozen=True)
class AtMost:
    """1 where an answer took at most ``most`` (``latency``: seconds, ``cost``: US dollars as paid), else 0. What is
    unknown is unscored; no answer is 0, however fast and cheap it was.
    """

    name: str
    what: str
    most: float
    binary: bool = True
    labels: bool = False

    @property
    def identity(self) -> str:
        return f"{self.what} {self.most!r}"

    def misfit(self, expected: Any, contract: Contract) -> str:
        return ""

    def score(self, item: Item) -> Score:
        if item.answer.output is None:
            return Score(0.0, "no answer")
        took = item.answer.latency_s if self.what == "latency" else item.answer.usd
        if took is None:
            return Score(math.nan, f"its {self.what} is unknown")
        return Score(float(took <= self.most), "" if took <= self.most else f"took {took:.6g} {UNITS[self.what]}")


def at_most(name: str, spec: ScorerSpec) -> AtMost:
    """The scorer of a ``latency`` or ``cost`` spec. Raises ``UsageError`` without a threshold."""
    require_settings(name, spec, {"type", "threshold", "weight"})
    if spec.threshold is None:
        raise UsageError(
            f"scorer {name}: {spec.type} needs a threshold",
            hint=f"threshold: the most {UNITS[spec.type]} an answer may take",
        )
    return AtMost(name, spec.type, spec.threshold)
