"""From where on an answer of a rung is sure enough, chosen on the dev cases.

The rule: of all thresholds those whose whole ladder is surely within the suite's margin of the teacher there (mean
paired difference less z standard errors, z by the suite's alpha), and loses there no more than the cases that will be
measured can prove with the suite's power: a promise that no test can keep is worth nothing. Of these the cheapest, then
the one that asks higher rungs least often, then the one that scores best. Where no thresholds are, those that score
best, then as before. A threshold lies between two confidences that were seen, so that equal ones stay together, and has
as few digits as that allows.

This is a choice, no guarantee: the most lenient of many thresholds that look right on a few hundred cases is right by
luck too often, and the bound is not corrected for that. The test cases judge it. A rule with a guarantee (an exact
binomial test in a fixed order over the same outcomes) can take the place of ``choose``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist
from typing import NamedTuple

MOST_LADDERS = 20_000  # thresholds that are compared; of several open rungs each has its share, evenly over its ranks
_SAME = 1e-9  # two means that differ by less are one
_SURE = 0.9


class Outcome(NamedTuple):
    """What one rung did with one dev case. ``score`` is that of its answer, 0 to 1. ``stays``: whether the answer may
    stay at all (its checks passed). ``confidence`` of ``None`` is untold; ``usd`` of ``None`` is unknown.
    """

    score: float
    stays: bool = True
    confidence: float | None = None
    usd: float | None = 0.0


@dataclass(frozen=True)
class Chosen:
    """``thresholds`` of all rungs but the last, as given or as chosen. ``quality`` of the whole ladder and of the
    ``teacher`` are mean scores over the ``cases``, ``usd`` is the mean cost of a case (``None``: a rung's price is
    unknown, so that the questions to higher rungs were counted instead), ``up`` the mean number of these. ``within``:
    whether it is surely within the margin of the teacher there.
    """

    thresholds: tuple[float | None, ...]
    quality: float
    teacher: float
    usd: float | None
    up: float
    cases: int
    within: bool


def few_cases(margin: float) -> int:
    """How many cases it takes at least: with fewer, not even a student without one error has shown (90% sure) that it
    errs less than ``margin``. The smallest n with (1 - margin) ** n <= 0.1.
    """
    return math.ceil(math.log(1 - _SURE) / math.log1p(-margin))


def choose(
    rungs: Sequence[Sequence[Outcome]],
    given: Sequence[float | None],
    teacher: Sequence[float],
    margin: float,
    alpha: float = 0.05,
    provable: float | None = None,
) -> Chosen:
    """The thresholds of a ladder by the rule above. ``provable`` is the least difference to the teacher that the test
    proves to be above -margin (such as -0.019; ``None``: unknown, then -margin).

    ``rungs`` holds one row a rung, one outcome a case; ``given`` are the thresholds of all rungs but the last, ``None``
    where it is open; ``teacher`` are the teacher's scores. ``alpha`` is the bound's one-sided error. A rung that tells
    no confidence of any answer that may stay gets none. Raises ``ValueError`` without cases.
    """
    cases = len(teacher)
    if not cases:
        raise ValueError("there are no cases to choose by")
    lower = rungs[:-1]
    opened = [number for number, row in enumerate(lower) if given[number] is None and _told(row)]
    most = max(2, int(MOST_LADDERS ** (1 / max(1, len(opened)))))
    options: list[Sequence[float | None]] = [
        _thinned(candidates(_told(row)), most) if number in opened else [given[number]]
        for number, row in enumerate(lower)
    ]
    priced = all(outcome.usd is not None for row in rungs for outcome in row)
    search = _Search(rungs, options, priced, teacher)
    search.walk(0, list(range(cases)), _Sums())
    bar = math.fsum(teacher) / cases
    z = NormalDist().inv_cdf(1 - alpha)

    # so few cases that they prove nothing of an equal either are no reason to ask for more
    least = -margin if provable is None or provable > 0 else max(provable, -margin)

    def within(found: _Sums) -> bool:
        mean = found.score / cases - bar
        return mean >= least - _SAME and _low(found, bar, cases, z) >= -margin - _SAME

    best = min(search.found, key=lambda found: _rank(found, within(found), cases))
    return Chosen(
        thresholds=best.thresholds,
        quality=best.score / cases,
        teacher=bar,
        usd=best.usd / cases if priced else None,
        up=best.up / cases,
        cases=cases,
        within=within(best),
    )


def candidates(confidences: Sequence[float]) -> list[float]:
    """Thresholds that part these confidences in every way, ascending, with as few digits as possible: 0 keeps all of
    them, the last keeps the surest alone, or nobody where the surest is below 1.
    """
    levels = sorted(set(confidences))
    steps = pairwise([*levels, 1.0]) if levels and levels[-1] < 1 else pairwise(levels)
    return [0.0, *(_shortest(below, above) for below, above in steps)]


def stays(outcome: Outcome, threshold: float | None) -> bool:
    """Whether the answer is the ladder's. Not where a threshold is asked for and no confidence told."""
    if not outcome.stays or threshold is None:
        return outcome.stays
    return outcome.confidence is not None and outcome.confidence >= threshold


class _Sums(NamedTuple):
    thresholds: tuple[float | None, ...] = ()
    score: float = 0.0
    usd: float = 0.0
    up: int = 0
    squares: float = 0.0  # of the differences to the teacher


class _Search:
    """Every combination of the options. A rung is asked only what the rungs below it did not keep."""

    def __init__(
        self,
        rungs: Sequence[Sequence[Outcome]],
        options: Sequence[Sequence[float | None]],
        priced: bool,
        teacher: Sequence[float],
    ) -> None:
        self._rungs = rungs
        self._teacher = teacher
        self._options = options
        self._priced = priced
        self.found: list[_Sums] = []

    def walk(self, number: int, left: list[int], sums: _Sums) -> None:
        row = self._rungs[number]
        usd = sums.usd + (math.fsum(row[case].usd or 0.0 for case in left) if self._priced else 0.0)
        if number == len(self._rungs) - 1:
            score, squares = self._scored(row, left)
            self.found.append(sums._replace(score=sums.score + score, usd=usd, squares=sums.squares + squares))
            return
        for threshold in self._options[number]:
            kept = [case for case in left if stays(row[case], threshold)]
            up = [case for case in left if not stays(row[case], threshold)]
            score, squares = self._scored(row, kept)
            named = (*sums.thresholds, threshold)
            more = _Sums(named, sums.score + score, usd, sums.up + len(up), sums.squares + squares)
            self.walk(number + 1, up, more)

    def _scored(self, row: Sequence[Outcome], cases: Sequence[int]) -> tuple[float, float]:
        """(sum of the scores, sum of the squared differences to the teacher's)."""
        scores = [row[case].score for case in cases]
        gaps = [score - self._teacher[case] for score, case in zip(scores, cases, strict=True)]
        return math.fsum(scores), math.fsum(gap * gap for gap in gaps)


def _low(found: _Sums, bar: float, cases: int, z: float) -> float:
    """The lower bound of the mean difference to the teacher. One case has no error that could be known."""
    mean = found.score / cases - bar
    variance = max(0.0, found.squares - cases * mean * mean) / max(1, cases - 1)
    return mean - z * math.sqrt(variance / cases)


def _rank(found: _Sums, within: bool, cases: int) -> tuple[float, ...]:
    """Smaller is better. Sums are rounded: which order they were added in must not decide."""
    quality, usd = round(found.score / cases, 9), round(found.usd / cases, 15)
    thresholds = tuple(-1.0 if threshold is None else threshold for threshold in found.thresholds)
    if within:
        return (0.0, 0.0, usd, found.up, -quality, *thresholds)
    return (1.0, -quality, usd, found.up, 0.0, *thresholds)


def _told(row: Sequence[Outcome]) -> list[float]:
    return [outcome.confidence for outcome in row if outcome.stays and outcome.confidence is not None]


def _thinned(options: list[float], most: int) -> list[float]:
    if len(options) <= most:
        return options
    step = (len(options) - 1) / (most - 1)
    return [options[round(number * step)] for number in range(most)]


def _shortest(below: float, above: float) -> float:
    """The number with the fewest decimals that is greater than ``below`` and at most ``above``."""
    for digits in range(17):
        found = float(f"{math.floor(above * 10**digits)}e-{digits}")
        if below < found <= above:
            return found
    return above
