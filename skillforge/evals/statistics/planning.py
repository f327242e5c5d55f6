"""How many cases a verdict takes, and what the cases at hand can show."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence

from skillforge.evals.statistics.interval import planning_quantiles
from skillforge.evals.statistics.means import MeanEstimate, difference_estimate
from skillforge.evals.statistics.proportions import check_counts, tango_variance
from skillforge.evals.statistics.special import t_quantile

MAX_CASES = 100_000  # a plan above this is not worth proposing, nor one above MAX_GROWTH times the cases at hand …
MAX_GROWTH = 50
ALWAYS_CASES = 1_000  # … but so many always are: a first look at ten cases must not say that more will not help


def cases_needed(
    differences: Sequence[float],
    margin: float,
    alpha: float = 0.05,
    power: float = 0.8,
    groups: Sequence[Hashable] | None = None,
) -> int | None:
    """How many cases more would settle the verdict on graded scores, were the measured gap the true one.

    ``alpha`` is one-sided (.05 goes with level .90). A gap above ``-margin`` is planned to pass, one below to fail, by
    ``paired_t_interval``: the smallest n at which the gap exceeds the half width by ``power``'s share of the sampling
    error. That is the usual ``((z_alpha + z_power) / gap)^2 variance`` (Miller 2024, arXiv 2411.00640) with t in place
    of z_alpha, or what the unseen share takes if more. With ``groups`` it is clusters that are planned, of the mean
    size seen and as unequal as seen. 0: there are enough already. None: the gap is so near ``-margin`` that more cases
    will not help, that is the total would exceed ``MAX_CASES``, or both 1,000 and ``MAX_GROWTH`` times n.
    """
    n = len(differences)
    z_alpha, z_power = planning_quantiles(n, margin, alpha, power)
    estimate = difference_estimate(differences, groups)
    gap = abs(estimate.mean + margin)
    reach = 1 - margin if estimate.mean > -margin else 1 + margin

    def settled(units: int) -> bool:
        return _distance(estimate, units, reach, alpha, z_alpha, z_power) < gap

    fewest = 2 if estimate.units == 1 < n else estimate.units  # one cluster alone proves nothing
    units = _first(settled, fewest, _most_cases(n) * estimate.units // n)
    return None if units is None else math.ceil((units - estimate.units) * n / estimate.units)


def detectable_difference(
    differences: Sequence[float],
    margin: float,
    alpha: float = 0.05,
    power: float = 0.8,
    groups: Sequence[Hashable] | None = None,
) -> float | None:
    """The smallest true difference that so many cases, spread like these, prove to lie above -margin with ``power``.

    It is told as a difference (student - teacher): -.02 says that a student at most 2 points worse would have passed.
    Its distance from ``-margin`` is the minimal detectable effect. ``None``: not even +1 would, or one cluster alone.
    """
    n = len(differences)
    z_alpha, z_power = planning_quantiles(n, margin, alpha, power)
    estimate = difference_estimate(differences, groups)
    if estimate.units == 1 < n:
        return None
    found = _distance(estimate, estimate.units, 1 - margin, alpha, z_alpha, z_power) - margin
    return found if found <= 1 else None


def tango_cases_needed(
    gained: int, lost: int, n: int, margin: float, alpha: float = 0.05, power: float = 0.8
) -> int | None:
    """``cases_needed`` for right-or-wrong scores, by the rule of ``tango_interval``, from its discordant counts.

    Were the gap ``-margin``, Tango's variance would exceed the one seen, most so when the arms rarely disagree; a plan
    that ignores this reaches 50 to 70% power where 80% was asked for.
    """
    z_alpha, z_power = planning_quantiles(n, margin, alpha, power)
    check_counts(gained, lost, n)
    gap = abs(gained - lost + n * margin) / n
    if gap == 0:
        return None
    null_variance = tango_variance(gained, lost, n, -margin) / n
    variance = max(0.0, (gained + lost) / n - ((gained - lost) / n) ** 2)
    total = ((z_alpha * math.sqrt(null_variance) + z_power * math.sqrt(variance)) / gap) ** 2
    return more_cases(total, n)


def tango_detectable(
    gained: int, lost: int, n: int, margin: float, alpha: float = 0.05, power: float = 0.8
) -> float | None:
    """``detectable_difference`` for right-or-wrong scores by the rule of ``tango_interval``, were the arms to disagree
    as often as seen (or as often as the difference takes).
    """
    z_alpha, z_power = planning_quantiles(n, margin, alpha, power)
    check_counts(gained, lost, n)

    def proven(difference: float) -> bool:
        apart = max((gained + lost) / n, abs(difference))
        won, dropped = n * (apart + difference) / 2, n * (apart - difference) / 2
        null_variance = tango_variance(won, dropped, n, -margin) / n
        variance = max(0.0, apart - difference**2)
        needed = z_alpha * math.sqrt(null_variance) + z_power * math.sqrt(variance)
        return needed < (difference + margin) * math.sqrt(n)

    return smallest(proven, -margin, 1.0)


def more_cases(total: float, n: int) -> int | None:
    """What is missing to ``total``; ``None`` where that many are not worth proposing."""
    if total > _most_cases(n):
        return None
    return max(0, math.ceil(total) - n)


def smallest(holds: Callable[[float], bool], low: float, high: float) -> float | None:
    """The least number from which on ``holds`` is true, by bisection to 1e-7; ``None`` where it is false at the end."""
    if not holds(high):
        return None
    while high - low > 1e-7:
        middle = (low + high) / 2
        if holds(middle):
            high = middle
        else:
            low = middle
    return high


def _most_cases(n: int) -> int:
    return min(max(ALWAYS_CASES, MAX_GROWTH * n), MAX_CASES)


def _distance(estimate: MeanEstimate, units: int, reach: float, alpha: float, z_alpha: float, z_power: float) -> float:
    """How far from ``-margin`` a true mean must lie for so many units to settle it with the power asked for.

    The mean comes out ``z_power`` errors short of the truth. From there the t bound needs t errors more; the unseen
    share u = z^2 / (e + z^2) of e effective units needs ``mean - u (mean - end) > -margin``, which is a distance of
    ``z^2 reach / e`` with ``reach`` from ``-margin`` to that end.
    """
    more = units / estimate.units
    error = estimate.error / math.sqrt(more)
    by_t = t_quantile(1 - alpha, units - 1) * error if error > 0 else 0.0
    return z_power * error + max(by_t, z_alpha**2 * reach / (estimate.effective * more))


def _first(settled: Callable[[int], bool], low: int, high: int) -> int | None:
    """The least number of units that settles it, from ``low`` to ``high``."""
    if settled(low):
        return low
    if high <= low or not settled(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if settled(middle):
            high = middle
        else:
            low = middle
    return high
