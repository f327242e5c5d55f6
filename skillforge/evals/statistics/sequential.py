"""Stop as soon as it is sure: a betting test of non-inferiority that may be looked at after every case.

One gambler bets against "the student is worse by the margin or more", a twin against "it is not". A wealth that starts
at 1, never goes negative and is not expected to grow while the hypothesis holds reaches 1 / alpha with a chance of at
most alpha, however often it is looked at (Ville 1939; Waudby-Smith and Ramdas 2024, JRSS-B 86:1-27). So stopping then
is no cheating. The bets are constant ones, mixed (Robbins 1970; Cover's universal portfolio): each of ``_BETS`` stakes
a fixed part of its wealth on every case and the wealth is their weighted sum. The weights suit margins of 1 to 10
points. An equal student takes about as many cases as a fixed test of 80% power does, up to a fifth fewer than with the
usual adaptive bets (aGRAPA); a clearly worse one is stopped after a quarter of them (``bench/error_rates.py``).

The cases must come in a random order that does not depend on the answers. Dependent cases are bet on as one, as the
sum over their cluster: that is bounded by the size of the largest cluster, which must be known beforehand.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence

from skillforge.errors import UsageError
from skillforge.evals.statistics.interval import (
    Interval,
    Verdict,
    check_alpha,
    check_margin,
    planning_quantiles,
    two_sided_z,
)
from skillforge.evals.statistics.planning import more_cases, smallest
from skillforge.evals.statistics.pvalues import SMALLEST_P

# (part of the wealth that is staked per unit of score, its share of the first wealth)
_BETS = ((1 / 32, 0.05), (1 / 16, 0.1), (1 / 8, 0.2), (1 / 4, 0.3), (1 / 2, 0.2), (1.0, 0.15))
_MOST = 0.9  # of the wealth may be lost on one case: no gambler is ever ruined

Unit = tuple[float, float]  # the sum of the differences of cases that go together, and how many they are


class BettingTest:
    """The anytime-valid test against the margin. ``alpha`` is one-sided and holds for each of pass and fail.

    ``largest`` is the most cases that one ``add`` may bring: 1 unless cases come in clusters.
    """

    def __init__(self, margin: float, alpha: float = 0.05, largest: int = 1) -> None:
        check_margin(margin)
        check_alpha(alpha)
        if largest < 1:
            raise UsageError(f"largest: {largest} cases", hint="give the size of the largest cluster")
        self._sure = 1 / alpha
        self._above = Wealth(-margin, largest)
        self._below = Wealth(margin, largest)
        self._largest = largest
        self.n = 0
        self.verdict: Verdict = "inconclusive"

    def add(self, *differences: float) -> Verdict:
        """Take the next case's difference (student - teacher, in [-1, 1]), or those of a whole cluster at once.

        Returns the verdict so far. Once decided it stays. Raises ``UsageError`` for a difference outside [-1, 1] or
        more cases than ``largest``.
        """
        if not all(-1 <= difference <= 1 for difference in differences) or len(differences) > self._largest:
            raise UsageError(
                f"differences: a number outside [-1, 1], or more than {self._largest} at once",
                hint="scale the scores to [0, 1]; give `largest` the size of the largest cluster",
            )
        total = math.fsum(differences)
        self.n += len(differences)
        above = self._above.add(total, len(differences))
        below = self._below.add(-total, len(differences))
        if self.verdict == "inconclusive" and max(above, below) >= self._sure:
            self.verdict = "pass" if above >= below else "fail"
        return self.verdict

    @property
    def p(self) -> float:
        """The anytime-valid p-value of "worse by the margin or more": 1 / the most that its gambler ever had."""
        return self._above.p

    @property
    def p_worse(self) -> float:
        """That of "less than the margin worse"."""
        return self._below.p


def betting_interval(
    differences: Sequence[float],
    level: float = 0.90,
    groups: Sequence[Hashable] | None = None,
    largest: int | None = None,
) -> Interval:
    """The confidence sequence at its latest: all true means against which no gambler ever reached 1 / alpha.

    ``differences`` in the order in which they were looked at, the cases of a group side by side. An end lies beyond
    ``-margin`` exactly where ``BettingTest`` says so, for the wealth against a mean only falls with that mean. Valid
    however the moment to look was chosen, hence wider than an interval for a number of cases fixed before; the mean
    may even lie outside, as earlier looks count too. No differences: [-1, 1].
    """
    two_sided_z(level)  # refuses a level out of range
    units = in_units(differences, groups)
    most = largest or max((size for _, size in units), default=1)
    sure = 2 / (1 - level)
    low = _proven(units, most, sure)
    high = -_proven([(-total, size) for total, size in units], most, sure)
    # Crossed ends happen with a chance of 2 alpha at most: the two gamblers contradict each other.
    return Interval(low, high, level) if low <= high else Interval(high, low, level)


def betting_cases_needed(
    differences: Sequence[float],
    margin: float,
    alpha: float = 0.05,
    power: float = 0.8,
    groups: Sequence[Hashable] | None = None,
    largest: int | None = None,
) -> int | None:
    """How many cases more decide with ``power``, going on from the wealth there is, were they all like these.

    The wealth of a bet grows by its mean log gain a unit, give or take its spread; the quickest of the bets is taken.
    ``None`` as for ``cases_needed``: no bet gains, or too slowly.
    """
    n = len(differences)
    _, z_power = planning_quantiles(n, margin, alpha, power)
    units = in_units(differences, groups)
    most = largest or max(size for _, size in units)
    sign = 1 if math.fsum(differences) / n > -margin else -1
    counts = Counter((sign * total, size) for total, size in units)
    fewest = math.inf
    for stake, share in _stakes(-sign * margin, most):
        gain, spread = _log_gain(counts, stake, -sign * margin)
        if gain > 0:
            missing = max(0.0, -math.log(alpha * share) - gain * len(units))
            root = (z_power * spread + math.sqrt((z_power * spread) ** 2 + 4 * gain * missing)) / (2 * gain)
            fewest = min(fewest, root**2)
    more = fewest * n / len(units)
    return None if math.isinf(fewest) else more_cases(n + max(1.0, more), n)


def betting_detectable(
    differences: Sequence[float],
    margin: float,
    alpha: float = 0.05,
    power: float = 0.8,
    groups: Sequence[Hashable] | None = None,
    largest: int | None = None,
) -> float | None:
    """``detectable_difference`` for the betting test: so many cases, spread like these, decide it by their end."""
    n = len(differences)
    _, z_power = planning_quantiles(n, margin, alpha, power)
    units = in_units(differences, groups)
    most = largest or max(size for _, size in units)
    mean, mean_size = math.fsum(differences) / n, n / len(units)

    def true_at(difference: float) -> dict[Unit, float]:
        """These cases with so much mean: some replaced by the worst there is, or all a little better."""
        if difference >= mean:
            better = Counter((min(size, total + size * (difference - mean)), size) for total, size in units)
            return {unit: float(count) for unit, count in better.items()}
        worst = (mean - difference) / (1 + mean)
        moved = {unit: count * (1 - worst) for unit, count in Counter(units).items()}
        far = (-mean_size, mean_size)
        return {**moved, far: moved.get(far, 0.0) + worst * len(units)}

    def proven(difference: float) -> bool:
        moved = true_at(difference)
        for stake, share in _stakes(-margin, most):
            gain, spread = _log_gain(moved, stake, -margin)
            if gain * len(units) - z_power * spread * math.sqrt(len(units)) >= -math.log(alpha * share):
                return True
        return False

    return smallest(proven, -margin, 1.0)


def in_units(differences: Sequence[float], groups: Sequence[Hashable] | None = None) -> list[Unit]:
    """Sums and sizes of what goes together, in order of first appearance."""
    if not all(-1 <= difference <= 1 for difference in differences):
        raise UsageError("differences: a number outside [-1, 1]", hint="scale the scores to [0, 1]")
    if groups is None:
        return [(difference, 1) for difference in differences]
    members: dict[Hashable, list[float]] = {}
    for label, difference in zip(groups, differences, strict=True):
        members.setdefault(label, []).append(difference)
    return [(math.fsum(values), len(values)) for values in members.values()]


class Wealth:
    """What betting that the true mean lies above ``mean`` has made of 1."""

    def __init__(self, mean: float, largest: float) -> None:
        self._mean = mean
        self._stakes = [stake for stake, _ in _stakes(mean, largest)]
        self._parts = [share for _, share in _BETS]
        self._most = 1.0

    def add(self, total: float, size: float) -> float:
        if self._most >= 1 / SMALLEST_P:  # surer than anybody asks for; going on might overflow
            return self._most
        gain = total - self._mean * size
        self._parts = [part * (1 + stake * gain) for part, stake in zip(self._parts, self._stakes, strict=True)]
        wealth = math.fsum(self._parts)
        self._most = max(self._most, wealth)
        return wealth

    @property
    def p(self) -> float:
        return max(SMALLEST_P, 1 / self._most)


def _stakes(mean: float, largest: float) -> list[tuple[float, float]]:
    """Stake a unit of gain and share of each bet. The most that can be lost is 1 + mean a case, the largest number of
    cases at once; a stake is cut to that and to nothing else, so that the wealth against a mean falls with that mean.
    """
    highest = _MOST / (1 + mean) if mean > -1 else math.inf
    return [(min(stake, highest) / largest, share) for stake, share in _BETS]


def _proven(units: Sequence[Unit], largest: float, sure: float) -> float:
    """The largest mean that the true one is proved to lie above, to 1e-9; -1 for none."""

    def crossed(mean: float) -> bool:
        wealth = Wealth(mean, largest)
        return any(wealth.add(total, size) >= sure for total, size in units)

    low, high = -1.0, 1.0
    while high - low > 1e-9:
        middle = (low + high) / 2
        if crossed(middle):
            low = middle
        else:
            high = middle
    return low


def _log_gain(counts: Mapping[Unit, float], stake: float, mean: float) -> tuple[float, float]:
    """Mean and standard deviation of the log of what one unit does to the wealth of a bet."""
    n = math.fsum(counts.values())
    logs = [(math.log1p(stake * (total - mean * size)), count) for (total, size), count in counts.items()]
    gain = math.fsum(log * count for log, count in logs) / n
    return gain, math.sqrt(math.fsum((log - gain) ** 2 * count for log, count in logs) / n)


def largest_of(groups: Iterable[Hashable]) -> int:
    """The size of the largest group."""
    return max(Counter(groups).values(), default=1)
