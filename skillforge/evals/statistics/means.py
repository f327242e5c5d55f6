"""Graded scores: intervals for a mean by Student's t, of independent cases or of clusters of them."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from skillforge.errors import UsageError
from skillforge.evals.statistics.interval import Interval, two_sided_z
from skillforge.evals.statistics.special import t_quantile


@dataclass(frozen=True, slots=True)
class MeanEstimate:
    """A mean of ``n`` numbers in [``floor``, 1] and what its bounds are made of.

    ``units`` is how many independent draws there are: the clusters, or the cases where those are independent.
    ``error`` is the standard error, 0 where one unit shows no spread. ``effective`` is Kish's number of equal clusters
    that say as much, ``n^2 / sum of squared sizes``: ``units`` where all are of one size.
    """

    mean: float
    error: float
    n: int
    units: int
    effective: float
    floor: float

    def interval(self, level: float) -> Interval:
        """t with units - 1 degrees of freedom, never narrower than the unseen share allows. Nothing known: all."""
        z = two_sided_z(level)
        if self.n == 0 or self.units == 1 < self.n:
            return Interval(self.floor, 1.0, level)
        unseen = z * z / (self.effective + z * z)
        half = 0.0
        if self.error > 0:
            half = t_quantile((1 + level) / 2, self.units - 1) * self.error
        low = max(self.floor, self.mean - max(half, unseen * (self.mean - self.floor)))
        high = min(1.0, self.mean + max(half, unseen * (1 - self.mean)))
        return Interval(low, high, level)


def mean_interval(values: Sequence[float], level: float = 0.95, groups: Sequence[Hashable] | None = None) -> Interval:
    """Interval for the mean of scores in [0, 1]: Student's t with n - 1 degrees of freedom; ``groups`` as below.

    Never narrower than the unseen share allows (``skillforge.evals.statistics``), which alone decides when ``n == 1``
    or all scores are equal. No scores: [0, 1]. Raises ``UsageError`` for a score outside [0, 1].
    """
    return mean_estimate(values, groups).interval(level)


def paired_t_interval(
    differences: Sequence[float], level: float = 0.90, groups: Sequence[Hashable] | None = None
) -> Interval:
    """Interval for the mean paired difference (student - teacher) of graded scores, each in [-1, 1].

    Student's t with n - 1 degrees of freedom. ``groups`` names the cluster of each case, in the same order: then the
    standard error is ``sqrt(sum over clusters (sum of (d - mean))^2 C / (C - 1)) / n`` with C - 1 degrees of freedom
    (Miller 2024, arXiv 2411.00640; Liang and Zeger 1986). One cluster alone shows no spread between clusters and proves
    nothing: [-1, 1].

    Never narrower than the unseen share allows (``skillforge.evals.statistics``): a plain t test on a few ties "proves"
    anything. So at level .90 a margin of .05 takes 52 cases even without one disagreement, as for right-or-wrong
    scores, and 52 clusters of equal size. Of unequal clusters Kish's effective number counts: the formula above takes
    for known what one large cluster says, and passes students 5 points worse 20% of the time where one holds a third
    of the cases; with Kish's number it does not.

    Rare large losses among many ties make the t interval too sure: exactly at the margin it passes 9% instead of 5% in
    the worst case (``bench/error_rates.py``). Right-or-wrong scores go by ``tango_interval``, which has no such defect.

    No differences: [-1, 1]. Raises ``UsageError`` for a difference outside [-1, 1], or groups of another number.
    """
    return difference_estimate(differences, groups).interval(level)


def mean_estimate(values: Sequence[float], groups: Sequence[Hashable] | None = None) -> MeanEstimate:
    """Of scores in [0, 1]; what ``mean_interval`` is made of."""
    return _estimate(values, 0.0, "values", groups)


def difference_estimate(differences: Sequence[float], groups: Sequence[Hashable] | None = None) -> MeanEstimate:
    """Of differences in [-1, 1]; what ``paired_t_interval`` is made of."""
    return _estimate(differences, -1.0, "differences", groups)


def _estimate(values: Sequence[float], floor: float, field: str, groups: Sequence[Hashable] | None) -> MeanEstimate:
    n = len(values)
    if not all(floor <= value <= 1 for value in values):
        raise UsageError(f"{field}: a number outside [{floor:g}, 1]", hint="scale the scores to [0, 1]")
    if groups is not None and len(groups) != n:
        raise UsageError(f"groups: {len(groups)} for {n} {field}", hint="give every case its group")
    if n == 0:
        return MeanEstimate(0.0, 0.0, 0, 0, 0.0, floor)
    mean = min(max(math.fsum(values) / n, min(values)), max(values))
    sizes: dict[Hashable, int] = {}
    sums: dict[Hashable, list[float]] = {}
    for label, value in zip(groups if groups is not None else range(n), values, strict=True):
        sizes[label] = sizes.get(label, 0) + 1
        sums.setdefault(label, []).append(value - mean)
    units = len(sizes)
    squares = math.fsum(math.fsum(residuals) ** 2 for residuals in sums.values())
    error = math.sqrt(squares * units / (units - 1)) / n if units > 1 else 0.0
    effective = n * n / sum(size * size for size in sizes.values())
    return MeanEstimate(mean, error, n, units, effective, floor)
