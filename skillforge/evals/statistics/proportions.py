"""Right or wrong: intervals for one share and for the difference of two paired ones, and the exact paired test."""

from __future__ import annotations

import math

from skillforge.errors import UsageError
from skillforge.evals.statistics.interval import Interval, two_sided_z
from skillforge.evals.statistics.special import beta_cdf, beta_quantile


def wilson(successes: int, n: int, level: float = 0.95) -> Interval:
    """Wilson's score interval for a proportion (Wilson 1927, JASA 22:209-212). ``n == 0`` knows nothing: [0, 1].

    Raises ``UsageError`` unless ``0 <= successes <= n`` and the level is in (0, 1 - 1e-9].
    """
    z = two_sided_z(level)
    _check_share(successes, n)
    if n == 0:
        return Interval(0.0, 1.0, level)
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    low = 0.0 if successes == 0 else min(share, centre - half)
    high = 1.0 if successes == n else max(share, centre + half)
    return Interval(low, high, level)


def clopper_pearson(successes: int, n: int, level: float = 0.95) -> Interval:
    """The exact interval for a proportion (Clopper and Pearson 1934, Biometrika 26:404-413): never below its level.

    Wider than Wilson's, which holds its level on average. Raises as ``wilson``; ``n == 0``: [0, 1].
    """
    two_sided_z(level)  # refuses a level out of range
    _check_share(successes, n)
    tail = (1 - level) / 2
    low = 0.0 if successes == 0 else beta_quantile(tail, successes, n - successes + 1)
    high = 1.0 if successes == n else 1 - beta_quantile(tail, n - successes, successes + 1)
    return Interval(low, high, level)


def tango_interval(gained: int, lost: int, n: int, level: float = 0.90) -> Interval:
    """Tango's score interval for the difference of two paired proportions, student - teacher.

    ``gained``: cases only the student got right, ``lost``: only the teacher, ``n``: all cases. The ends are the
    differences D at which the score statistic ``(gained - lost - n D) / sqrt(n (2 q + D (1 - D)))`` is +z and -z, where
    q is the maximum-likelihood share of lost cases when the true difference is D (Tango 1998, Statistics in Medicine
    17:891-908). No cases: [-1, 1]. Raises ``UsageError`` for counts that do not fit in ``n``.

    Without one disagreement a margin of .05 is proved by 52 cases at level .90, not by 51: n > z^2 (1/margin - 1).
    """
    z = two_sided_z(level)
    check_counts(gained, lost, n)
    if n == 0:
        return Interval(-1.0, 1.0, level)
    # Swapping the arms mirrors the interval, so the lower end alone needs solving.
    return Interval(_tango_low(gained, lost, n, z), -_tango_low(lost, gained, n, z), level)


def mcnemar_p(gained: int, lost: int) -> float:
    """McNemar's exact two-sided p-value of "as many gained as lost cases are to be expected" (a binomial sign test).

    Not a test of parity: with few cases it finds no difference where there is a large one.
    """
    check_counts(gained, lost, gained + lost)
    fewer, more = sorted((gained, lost))
    if fewer == more:
        return 1.0
    return min(1.0, 2 * beta_cdf(0.5, more, fewer + 1))  # P(X <= fewer), X binomial of (gained + lost, 1/2)


def check_counts(gained: int, lost: int, n: int) -> None:
    if gained < 0 or lost < 0 or gained + lost > n:
        raise UsageError(f"gained, lost: {gained} and {lost} do not fit in {n} cases")


def tango_variance(gained: float, lost: float, n: float, difference: float) -> float:
    """Variance of ``gained - lost`` were the true difference D, at the likeliest share ``q`` of lost cases given D.

    Setting the derivative of ``gained log(q + D) + lost log q + (n - gained - lost) log(1 - 2 q - D)`` to zero leaves
    ``2 n q^2 + b q + c = 0``, whose larger root is the share. For D < 0 the arms are swapped, so that c <= 0 and the
    root is real and never negative. Expected counts need not be whole.
    """
    if difference < 0:
        return tango_variance(lost, gained, n, -difference)
    b = (2 * n - gained + lost) * difference - gained - lost
    c = -lost * difference * (1 - difference)
    root = math.sqrt(b * b - 8 * n * c)
    # The form without cancellation for the sign of b.
    share = -2 * c / (b + root) if b > 0 else (root - b) / (4 * n)
    return max(0.0, n * (2 * share + difference * (1 - difference)))


def _tango_low(gained: int, lost: int, n: int, z: float) -> float:
    if lost == n:
        return -1.0
    low, inside = -1.0, (gained - lost) / n
    while inside - low > 1e-13:
        middle = (low + inside) / 2
        if gained - lost - n * middle > z * math.sqrt(tango_variance(gained, lost, n, middle)):
            low = middle
        else:
            inside = middle
    return low


def _check_share(successes: int, n: int) -> None:
    if not 0 <= successes <= n:
        raise UsageError(f"successes: {successes} of {n} is not a proportion", hint="give 0 <= successes <= n")
