"""One arm against another on the cases that both answered: the difference, its bounds, and what follows from them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Literal

from skillforge.case import Decision
from skillforge.evals.sampling import in_random_order
from skillforge.evals.statistics import (
    BettingTest,
    Interval,
    MeanEstimate,
    Verdict,
    betting_cases_needed,
    betting_detectable,
    betting_interval,
    cases_needed,
    decide,
    detectable_difference,
    difference_estimate,
    inferiority_p,
    largest_of,
    mcnemar_p,
    noninferiority_p,
    tango_cases_needed,
    tango_detectable,
    tango_interval,
)
from skillforge.messages import Value

Method = Literal["tango", "paired-t", "cluster-t", "betting"]


class Bounds(Value):
    low: float
    high: float
    level: float


class Comparison(Value):
    """An arm against the teacher (or another arm) on the ``n`` cases both answered.

    ``difference`` is mean(arm - teacher), ``bounds`` its two-sided 1 - 2 alpha interval by ``method``, so that each end
    is the one-sided bound the verdict uses. ``clusters`` is how many groups of dependent cases there are, ``None``
    where cases are independent. ``lost`` and ``gained`` are case ids. ``p`` is the one-sided p-value of "worse by the
    margin or more", ``p_worse`` that of "not so", ``mcnemar_p`` the exact two-sided one of "no difference"
    (right-or-wrong scores only: told, never used). ``verdict`` may be held back for ``reason``; ``adjusted`` says that
    it is Holm's over several students. ``cases_needed`` is how many more cases would decide; ``None`` with an
    inconclusive verdict means that no sensible number would. ``detectable`` is the smallest true difference above
    -margin that so many cases prove with the power asked for (``None``: none); its distance from -margin is the
    minimal detectable effect. ``saving`` is the share of the teacher's cost that is gone.
    """

    n: int
    difference: float
    bounds: Bounds
    lost: tuple[str, ...]
    gained: tuple[str, ...]
    verdict: Verdict
    reason: str = ""
    cases_needed: int | None = None
    saving: float | None = None
    method: Method = "tango"
    clusters: int | None = None
    p: float | None = None
    p_worse: float | None = None
    mcnemar_p: float | None = None
    adjusted: bool = False
    detectable: float | None = None


class Pairing:
    """The paired scores of two arms and the rule they are judged by.

    ``scores`` and ``reference`` map case ids to scores in [0, 1]; ``clusters`` maps case ids to the group they belong
    to (a case without one is its own group). ``binary`` scores are 0 or 1: means over epochs that lie between count as
    graded.

    A ``sequential`` decision is made by betting, in ``in_random_order``: the first of the two tests that is sure
    decides, and what was answered beyond that point changes the bounds, not the verdict. As the order of a part is that
    of the whole, a pairing of the cases answered so far says what the eval may stop at, as long as no cluster is cut.
    ``clusters`` should then name all cases of the suite: its largest cluster is what one bet can lose, answered or not.
    """

    def __init__(
        self,
        scores: Mapping[str, float],
        reference: Mapping[str, float],
        decision: Decision,
        *,
        binary: bool,
        clusters: Mapping[str, str] | None = None,
    ) -> None:
        paired = [case_id for case_id in scores if case_id in reference]
        self.cases = in_random_order(paired, clusters) if decision.mode == "sequential" else paired
        self.differences = [scores[case_id] - reference[case_id] for case_id in self.cases]
        self.decision = decision
        self.lost = tuple(case for case in paired if scores[case] < reference[case])
        self.gained = tuple(case for case in paired if scores[case] > reference[case])
        groups = [clusters.get(case_id, f"\0{case_id}") for case_id in self.cases] if clusters else None
        self.groups = groups if groups is not None and len(set(groups)) < len(groups) else None
        self.largest = largest_of(clusters.values()) if clusters else 1
        self.binary = binary and all(gap in (-1.0, 0.0, 1.0) for gap in self.differences)

    @property
    def n(self) -> int:
        return len(self.cases)

    @property
    def method(self) -> Method:
        if self.decision.mode == "sequential":
            return "betting"
        return "cluster-t" if self.groups is not None else "tango" if self.binary else "paired-t"

    def verdict(self) -> Verdict:
        """The verdict alone, without what is told beside it: cheap enough to ask after every few cases."""
        if self.method == "betting":
            return self._test.verdict
        return decide(self.interval(1 - 2 * self.decision.alpha), self.decision.margin)

    def interval(self, level: float) -> Interval:
        """Two-sided interval of the mean difference. Without a case: [-1, 1]."""
        if self.method == "betting":
            return betting_interval(self.differences, level, self.groups, self.largest)
        if self.method == "tango":
            return tango_interval(len(self.gained), len(self.lost), self.n, level)
        return self._estimate.interval(level)

    def compared(self) -> Comparison:
        """The comparison as these pairs alone say it: nothing is held back, nothing adjusted."""
        verdict, interval, p, p_worse = self._by_betting() if self.method == "betting" else self._by_interval()
        return Comparison(
            n=self.n,
            difference=math.fsum(self.differences) / self.n if self.n else 0.0,
            bounds=Bounds(low=interval.low, high=interval.high, level=interval.level),
            lost=self.lost,
            gained=self.gained,
            verdict=verdict,
            method=self.method,
            clusters=None if self.groups is None else len(set(self.groups)),
            p=p if self.n else None,
            p_worse=p_worse if self.n else None,
            mcnemar_p=mcnemar_p(len(self.gained), len(self.lost)) if self.binary and self.n else None,
            cases_needed=self.needed() if verdict == "inconclusive" else None,
            detectable=self.detectable(),
        )

    def needed(self, students: int = 1) -> int | None:
        """How many more cases would settle the verdict, were the measured gap the true one; ``None``: no number.

        With several ``students`` at an alpha of so much less each, which is more than Holm asks for at most.
        """
        rule, n = self.decision, self.n
        if n == 0:
            return None
        alpha = rule.alpha / students
        if self.method == "betting":
            return betting_cases_needed(self.differences, rule.margin, alpha, rule.power, self.groups, self.largest)
        if self.method == "tango":
            return tango_cases_needed(len(self.gained), len(self.lost), n, rule.margin, alpha, rule.power)
        return cases_needed(self.differences, rule.margin, alpha, rule.power, self.groups)

    def detectable(self) -> float | None:
        """The smallest true difference that this many cases prove to be above -margin with the power asked for."""
        rule = self.decision
        if self.n == 0:
            return None
        if self.method == "betting":
            return betting_detectable(self.differences, rule.margin, rule.alpha, rule.power, self.groups, self.largest)
        if self.method == "tango":
            return tango_detectable(len(self.gained), len(self.lost), self.n, rule.margin, rule.alpha, rule.power)
        return detectable_difference(self.differences, rule.margin, rule.alpha, rule.power, self.groups)

    @cached_property
    def _test(self) -> BettingTest:
        test = BettingTest(self.decision.margin, self.decision.alpha, self.largest)
        members: dict[str, list[float]] = {}
        for group, gap in zip(self.groups or self.cases, self.differences, strict=True):
            members.setdefault(group, []).append(gap)
        for gaps in members.values():
            test.add(*gaps)
        return test

    @cached_property
    def _estimate(self) -> MeanEstimate:
        return difference_estimate(self.differences, self.groups)

    def _by_interval(self) -> tuple[Verdict, Interval, float, float]:
        rule = self.decision
        interval = self.interval(1 - 2 * rule.alpha)
        p, p_worse = noninferiority_p(self.interval, rule.margin), inferiority_p(self.interval, rule.margin)
        return decide(interval, rule.margin), interval, p, p_worse

    def _by_betting(self) -> tuple[Verdict, Interval, float, float]:
        rule, test = self.decision, self._test
        interval = self.interval(1 - 2 * rule.alpha)
        # Where both gamblers got rich, one after the other, the first decides and the other's bound is dropped.
        if test.verdict == "pass" and interval.low <= -rule.margin:
            interval = Interval(interval.high, interval.high, interval.level)
        if test.verdict == "fail" and interval.high >= -rule.margin:
            interval = Interval(interval.low, interval.low, interval.level)
        return test.verdict, interval, test.p, test.p_worse
