"""Quantiles of the normal, Student's t and the beta distribution, to about 1e-10 of scipy's."""

from __future__ import annotations

import math
from statistics import NormalDist

from skillforge.errors import UsageError

_NORMAL = NormalDist()


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


def beta_cdf(x: float, a: float, b: float) -> float:
    """The regularized incomplete beta function I_x(a, b), ``a`` and ``b`` above 0, ``x`` in [0, 1] (DLMF 8.17)."""
    if not (0 <= x <= 1 and a > 0 and b > 0):
        raise UsageError(f"x, a, b: {x}, {a}, {b} are no point of a beta distribution")
    if x in (0, 1):
        return float(x)
    log_beta = math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
    front = math.exp(a * math.log(x) + b * math.log1p(-x) - log_beta)
    if x < (a + 1) / (a + b + 2):  # the continued fraction converges fast on this side, its complement on the other
        return front * _beta_fraction(a, b, x) / a
    return 1 - front * _beta_fraction(b, a, 1 - x) / b


def beta_quantile(p: float, a: float, b: float) -> float:
    """The ``x`` with I_x(a, b) = ``p``, by bisection: the function only grows. ``p`` in (0, 1)."""
    if not 0 < p < 1:
        raise UsageError(f"p: {p} is not strictly between 0 and 1")
    low, high = 0.0, 1.0
    while high - low > 1e-14 * high:
        middle = (low + high) / 2
        if beta_cdf(middle, a, b) < p:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _t_tail(t: float, df: float) -> float:
    """P(T > t) for t >= 0: half of I_x(df/2, 1/2) at x = df / (df + t^2)."""
    a, y = df / 2, t * t / (df + t * t)
    x = df / (df + t * t)
    front = math.exp(-a * math.log1p(t * t / df) - _log_beta_half(a)) * math.sqrt(y)
    if x < (a + 1) / (a + 2.5):
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
