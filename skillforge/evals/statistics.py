"""Intervals, verdicts and sample sizes for comparing a student with its teacher on the same cases.

Scores lie in [0, 1], so paired differences (student - teacher) lie in [-1, 1] and every bound here is kept inside its
range. Standard library only: scipy costs a second to import and is the oracle in the tests.

The unseen share: the spread of ``n`` graded scores says nothing about a rare failure that has not turned up yet, and
equal scores have no spread at all. A share of cases up to ``u = z^2 / (n + z^2)`` can stay unseen in ``n`` draws
(Wilson's bound for 0 of n, akin to the rule of three). So no graded interval is narrower than "the mean, with a share u
of the cases moved to the far end of the range": Wilson's interval for scores all 0 or all 1, Tango's for ties.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

from skillforge.errors import UsageError

Verdict = Literal["pass", "fail", "inconclusive"]

MAX_CASES = 100_000  # a plan above this, or above MAX_GROWTH times the cases at hand, is not worth proposing
MAX_GROWTH = 50
_MAX_LEVEL = 0.999999
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Interval:
    """A two-sided confidence interval, ``low <= high``. At ``level`` .90 each end is a one-sided 95% bound."""

    low: float
    high: float
    level: float


def wilson(successes: int, n: int, level: float = 0.95) -> Interval:
    """Wilson's score interval for a proportion (Wilson 1927, JASA 22:209-212). ``n == 0`` knows nothing: [0, 1].

    Raises ``UsageError`` unless ``0 <= successes <= n`` and the level is in (0, 0.999999].
    """
    z = _two_sided_z(level)
    if not 0 <= successes <= n:
        raise UsageError(f"successes: {successes} of {n} is not a proportion", hint="give 0 <= successes <= n")
    if n == 0:
        return Interval(0.0, 1.0, level)
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    low = 0.0 if successes == 0 else min(share, centre - half)
    high = 1.0 if successes == n else max(share, centre + half)
    return Interval(low, high, level)


def mean_interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """Interval for the mean of scores in [0, 1]: Student's t with n - 1 degrees of freedom.

    Never narrower than the unseen share allows (module docstring), which alone decides when ``n == 1`` or all scores
    are equal. No scores: [0, 1]. Raises ``UsageError`` for a score outside [0, 1].
    """
    return _bounded_t(values, 0.0, level, "values")


def paired_t_interval(differences: Sequence[float], level: float = 0.90) -> Interval:
    """Interval for the mean paired difference (student - teacher) of graded scores, each in [-1, 1]: t, n - 1 degrees.

    Never narrower than the unseen share allows (module docstring): a plain t test on a few ties "proves" anything. So
    at level .90 a margin of .05 takes 52 cases even without one disagreement, as it does for pass/fail scores.
    No differences: [-1, 1]. Raises ``UsageError`` for a difference outside [-1, 1].
    """
    return _bounded_t(differences, -1.0, level, "differences")


def tango_interval(gained: int, lost: int, n: int, level: float = 0.90) -> Interval:
    """Tango's score interval for the difference of two paired proportions, student - teacher.

    ``gained``: cases only the student got right, ``lost``: only the teacher, ``n``: all cases. The ends are the
    differences D at which the score statistic ``(gained - lost - n D) / sqrt(n (2 q + D (1 - D)))`` is +z and -z, where
    q is the maximum-likelihood share of lost cases when the true difference is D (Tango 1998, Statistics in Medicine
    17:891-908). No cases: [-1, 1]. Raises ``UsageError`` for counts that do not fit in ``n``.
    """
    z = _two_sided_z(level)
    _check_counts(gained, lost, n)
    if n == 0:
        return Interval(-1.0, 1.0, level)
    # Swapping the arms mirrors the interval, so the lower end alone needs solving.
    return Interval(_tango_low(gained, lost, n, z), -_tango_low(lost, gained, n, z), level)


def decide(difference: Interval, margin: float) -> Verdict:
    """Non-inferiority: pass when the student is surely less than ``margin`` worse, fail when surely more, else open."""
    _check_margin(margin)
    if difference.low > -margin:
        return "pass"
    return "fail" if difference.high < -margin else "inconclusive"


def cases_needed(
    mean_diff: float, variance: float, n: int, margin: float, alpha: float = 0.05, power: float = 0.8
) -> int | None:
    """How many cases more would settle the verdict on graded scores, were the measured gap the true one.

    ``mean_diff`` and ``variance`` are those of the ``n`` paired differences so far; ``alpha`` is one-sided (.05 goes
    with level .90). A gap above ``-margin`` is planned to pass, one below to fail, by ``paired_t_interval``: the usual
    ``((z_alpha + z_power) / gap)^2 variance`` (Miller 2024, arXiv 2411.00640), or what the unseen share takes if more.
    0: there are enough already. None: the gap is so near ``-margin`` that more cases will not help, that is the total
    would exceed ``MAX_GROWTH`` times n or ``MAX_CASES``.
    """
    z_alpha, z_power = _planning_quantiles(n, margin, alpha, power)
    if not -1 <= mean_diff <= 1 or not 0 <= variance <= 2:
        raise UsageError(f"mean_diff, variance: {mean_diff}, {variance} fit no differences in [-1, 1]")
    gap = abs(mean_diff + margin)
    if gap < 1e-9:
        return None
    spread = z_power * math.sqrt(variance)
    by_t = (z_alpha * math.sqrt(variance) + spread) / gap
    # u * (distance of the mean to the far end) = gap  <=>  n * gap = z^2 * reach. With the sampling error that is
    # n * gap = spread * sqrt(n) + z^2 * reach, a quadratic in sqrt(n).
    reach = 1 - margin if mean_diff > -margin else 1 + margin
    by_unseen = (spread + math.sqrt(spread**2 + 4 * gap * z_alpha**2 * reach)) / (2 * gap)
    return _more_cases(max(by_t, by_unseen) ** 2, n)


def tango_cases_needed(
    gained: int, lost: int, n: int, margin: float, alpha: float = 0.05, power: float = 0.8
) -> int | None:
    """``cases_needed`` for pass/fail scores, by the rule of ``tango_interval``, from its discordant counts.

    Were the gap ``-margin``, Tango's variance would exceed the one seen, most so when the arms rarely disagree; a plan
    that ignores this reaches 50 to 70% power where 80% was asked for.
    """
    z_alpha, z_power = _planning_quantiles(n, margin, alpha, power)
    _check_counts(gained, lost, n)
    gap = abs(gained - lost + n * margin) / n
    if gap == 0:
        return None
    null_variance = _tango_variance(gained, lost, n, -margin) / n
    variance = max(0.0, (gained + lost) / n - ((gained - lost) / n) ** 2)
    return _more_cases(((z_alpha * math.sqrt(null_variance) + z_power * math.sqrt(variance)) / gap) ** 2, n)


def percentile(values: Sequence[float], q: float) -> float | None:
    """The ``q``-th percentile (q in [0, 100]) by linear interpolation, as numpy's default; None of no values."""
    if not 0 <= q <= 100:
        raise UsageError(f"q: {q} is not a percentage", hint="give 0 to 100, 95 for p95")
    if not values:
        return None
    if not all(map(math.isfinite, values)):
        raise UsageError("values: a percentile needs finite numbers")
    ordered = sorted(values)
    place = (len(ordered) - 1) * q / 100
    below = math.floor(place)
    left, right = ordered[below], ordered[min(below + 1, len(ordered) - 1)]
    return left + (right - left) * (place - below)


def normal_quantile(p: float) -> float:
    """The standard normal quantile, ``p`` in (0, 1)."""
    if not 0 < p < 1:
        raise UsageError(f"p: {p} is not strictly between 0 and 1")
    return _NORMAL.inv_cdf(p)


def t_quantile(p: float, df: float) -> float:
    """Student's t quantile for ``p`` in [1e-12, 1 - 1e-12] and ``df >= 1``, fractional or infinite too."""
    if not 1e-12 <= p <= 1 - 1e-12:
        raise UsageError(f"p: {p} is not in [1e-12, 1 - 1e-12]")
    if not df >= 1:
        raise UsageError(f"df: {df} degrees of freedom", hint="give a number of at least 1")
    z = normal_quantile(p)
    if p == 0.5 or df > 1e7:  # so near the normal that the first term of the Cornish-Fisher series is exact enough
        return z + (z**3 + z) / (4 * df)
    tail = min(p, 1 - p)
    # Right of zero the cdf is concave and t's tail is heavier than the normal's, so Newton's method from the normal
    # quantile climbs to the root without passing it.
    t = abs(z)
    log_scale = -0.5 * math.log(df) - _log_beta_half(df / 2)
    for _ in range(200):
        density = math.exp(log_scale - (df + 1) / 2 * math.log1p(t * t / df))
        step = (_t_tail(t, df) - tail) / density
        t += step
        if abs(step) <= 1e-13 * t:
            break
    return math.copysign(t, z)


def _bounded_t(values: Sequence[float], floor: float, level: float, field: str) -> Interval:
    z = _two_sided_z(level)
    n = len(values)
    if not all(floor <= value <= 1 for value in values):
        raise UsageError(f"{field}: a number outside [{floor:g}, 1]", hint="scale the scores to [0, 1]")
    if n == 0:
        return Interval(floor, 1.0, level)
    mean = min(max(math.fsum(values) / n, min(values)), max(values))
    unseen = z * z / (n + z * z)
    half = 0.0
    if n > 1:
        variance = math.fsum((value - mean) ** 2 for value in values) / (n - 1)
        half = t_quantile((1 + level) / 2, n - 1) * math.sqrt(variance / n)
    low = max(floor, mean - max(half, unseen * (mean - floor)))
    high = min(1.0, mean + max(half, unseen * (1 - mean)))
    return Interval(low, high, level)


def _tango_low(gained: int, lost: int, n: int, z: float) -> float:
    if lost == n:
        return -1.0
    low, inside = -1.0, (gained - lost) / n
    while inside - low > 1e-13:
        middle = (low + inside) / 2
        if gained - lost - n * middle > z * math.sqrt(_tango_variance(gained, lost, n, middle)):
            low = middle
        else:
            inside = middle
    return low


def _tango_variance(gained: int, lost: int, n: int, difference: float) -> float:
    """Variance of ``gained - lost`` were the true difference D, at the likeliest share ``q`` of lost cases given D.

    Setting the derivative of ``gained log(q + D) + lost log q + (n - gained - lost) log(1 - 2 q - D)`` to zero leaves
    ``2 n q^2 + b q + c = 0``, whose larger root is the share. For D < 0 the arms are swapped, so that c <= 0 and the
    root is real and never negative.
    """
    if difference < 0:
        return _tango_variance(lost, gained, n, -difference)
    b = (2 * n - gained + lost) * difference - gained - lost
    c = -lost * difference * (1 - difference)
    root = math.sqrt(b * b - 8 * n * c)
    # The form without cancellation for the sign of b.
    share = -2 * c / (b + root) if b > 0 else (root - b) / (4 * n)
    return max(0.0, n * (2 * share + difference * (1 - difference)))


def _more_cases(total: float, n: int) -> int | None:
    if total > min(MAX_GROWTH * n, MAX_CASES):
        return None
    return max(0, math.ceil(total) - n)


def _planning_quantiles(n: int, margin: float, alpha: float, power: float) -> tuple[float, float]:
    _check_margin(margin)
    if n < 1:
        raise UsageError(f"n: {n} cases show no gap to plan from", hint="run the suite first")
    if not (0 < alpha < 0.5 and 0.5 <= power < 1):
        raise UsageError(f"alpha, power: {alpha}, {power}", hint="give alpha in (0, .5) and power in [.5, 1)")
    return normal_quantile(1 - alpha), normal_quantile(power)


def _two_sided_z(level: float) -> float:
    if not 0 < level <= _MAX_LEVEL:
        raise UsageError(f"level: {level} is not a confidence level", hint="give a fraction such as 0.95")
    return normal_quantile((1 + level) / 2)


def _check_margin(margin: float) -> None:
    if not 0 <= margin < 1:
        raise UsageError(f"margin: {margin} is not in [0, 1)", hint="give it in score units: .05 allows 5 points worse")


def _check_counts(gained: int, lost: int, n: int) -> None:
    if gained < 0 or lost < 0 or gained + lost > n:
        raise UsageError(f"gained, lost: {gained} and {lost} do not fit in {n} cases")


def _t_tail(t: float, df: float) -> float:
    """P(T > t) for t >= 0: half the regularized incomplete beta function I_x(df/2, 1/2) at x = df / (df + t^2)."""
    a, y = df / 2, t * t / (df + t * t)
    x = df / (df + t * t)
    front = math.exp(-a * math.log1p(t * t / df) - _log_beta_half(a)) * math.sqrt(y)
    if x < (a + 1) / (a + 2.5):  # the continued fraction converges fast on this side, its complement on the other
        return front * _beta_fraction(a, 0.5, x) / (2 * a)
    return 0.5 - front * _beta_fraction(0.5, a, y)


def _beta_fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of I_x(a, b) (DLMF 8.17.22), by the modified Lentz method."""
    tiny = 1e-300  # stands in for a zero denominator
    c, d = 1.0, 1 / ((1 - (a + b) * x / (a + 1)) or tiny)
    value = d
    for m in range(1, 10_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / ((1 + term * d) or tiny)
            c = (1 + term / c) or tiny
            value *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return value


def _log_beta_half(a: float) -> float:
    """log B(a, 1/2). From a = 100 on by the asymptotic series of the gamma ratio: two large log-gammas would cancel."""
    if a < 100:
        return math.lgamma(a) + math.lgamma(0.5) - math.lgamma(a + 0.5)
    ratio = 0.5 * math.log(a) - 1 / (8 * a) + 1 / (192 * a**3) - 1 / (640 * a**5)
    return 0.5 * math.log(math.pi) - ratio
