"""Every answer of a table under every scorer: what is left of an eval once the texts are put away."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from skillforge.case import Case
from skillforge.evals.answer import Answer, Answers
from skillforge.evals.scorers.base import Item, Score, Scorer


@dataclass
class Scores:
    """One arm under one scorer. ``values``: case id -> mean over its epochs in [0, 1], of the cases that were scored,
    in the order of the cases. ``errors``: case id -> why the scorer failed. ``silent``: case id -> how many answers it
    said nothing of. ``parts``: name -> mean over the cases (single fields, named checks).
    """

    values: dict[str, float] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    silent: dict[str, int] = field(default_factory=dict)
    parts: dict[str, float] = field(default_factory=dict)

    @property
    def unscored(self) -> int:
        """How many answers nothing is said of."""
        return sum(self.silent.values())

    @property
    def mean(self) -> float | None:
        return math.fsum(self.values.values()) / len(self.values) if self.values else None


def score_answers(scorer: Scorer, cases: Sequence[Case], answers: Answers, expected: Mapping[str, Any]) -> Scores:
    """Scores of one arm. An infrastructure error is not scored, nor a case without the label that the scorer needs.

    A case is scored by the mean over its answers; one failure of the scorer leaves the whole case out, since a mean
    over what is left would favour whatever makes the scorer fail.
    """
    found = Scores()
    parts: dict[str, list[float]] = {}
    needs_label, score = scorer.labels, scorer.score
    for case in cases:
        given = answers.get(case.id)
        if not given or (needs_label and case.id not in expected):
            continue
        label = expected.get(case.id)
        scored = _scored(found, case.id, [score(Item(case, label, answer)) for answer in given if _came(answer)])
        if not scored:
            continue
        found.values[case.id] = scored[0].value if len(scored) == 1 else _mean(one.value for one in scored)
        for name, value in scored[0].parts if len(scored) == 1 else _parts(scored):
            if name in parts:
                parts[name].append(value)
            else:
                parts[name] = [value]
    found.parts = {name: _mean(values) for name, values in parts.items()}
    return found


def _came(answer: Answer) -> bool:
    return answer.status != "error"


def _scored(found: Scores, case_id: str, scores: list[Score]) -> list[Score]:
    """The scores of a case that count; what the scorer failed on or said nothing of is noted."""
    counted = []
    for score in scores:
        if score.error:
            found.errors.setdefault(case_id, score.error)
        elif math.isnan(score.value):
            found.silent[case_id] = found.silent.get(case_id, 0) + 1
        else:
            counted.append(score)
    return [] if case_id in found.errors else counted


def _parts(scores: Sequence[Score]) -> Iterable[tuple[str, float]]:
    """Every part's mean over the answers to one case that have it."""
    told: dict[str, list[float]] = {}
    for score in scores:
        for name, value in score.parts:
            told.setdefault(name, []).append(value)
    return [(name, _mean(values)) for name, values in told.items()]


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return math.fsum(listed) / len(listed)
