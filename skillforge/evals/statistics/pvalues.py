"""p-values of the two one-sided hypotheses about the margin, and what several students do to them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from skillforge.errors import UsageError
from skillforge.evals.statistics.interval import Interval

# Below this a p-value says more about the model of the data than about the data. The smallest alpha of a suite is
# 1e-6: what is left is room for a thousand students.
SMALLEST_P = 1e-9
_LARGEST = 0.5 - 1e-9


def noninferiority_p(interval: Callable[[float], Interval], margin: float) -> float:
    """The one-sided p-value of "worse by the margin or more": the alpha at which the lower bound touches ``-margin``.

    ``interval`` gives the two-sided interval of a level. ``p <= alpha`` exactly where the interval of level
    ``1 - 2 alpha`` lies above ``-margin``, so the verdict and the p-value never disagree. At least 1e-9. Above one half
    it is the complement of ``inferiority_p``; 1 where the data say nothing either way.
    """
    found = _touching(lambda alpha: interval(1 - 2 * alpha).low, -margin)
    if found is not None:
        return found
    opposite = _touching(lambda alpha: -interval(1 - 2 * alpha).high, margin)
    return 1.0 if opposite is None else 1 - opposite


def inferiority_p(interval: Callable[[float], Interval], margin: float) -> float:
    """The one-sided p-value of "less than the margin worse": the alpha at which the upper bound touches ``-margin``."""

    def mirrored(level: float) -> Interval:
        found = interval(level)
        return Interval(-found.high, -found.low, level)

    return noninferiority_p(mirrored, -margin)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values (Holm 1979, Scandinavian Journal of Statistics 6:65-70), in the order given.

    Rejecting what is at most alpha keeps the chance of even one false rejection at alpha, however the tests depend on
    one another. Raises ``UsageError`` for what is no probability.
    """
    if not all(0 <= p <= 1 for p in p_values):
        raise UsageError("p_values: a number outside [0, 1]")
    order = sorted(range(len(p_values)), key=lambda at: p_values[at])
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, at in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p_values[at]))
        adjusted[at] = highest
    return adjusted


def _touching(bound: Callable[[float], float], limit: float) -> float | None:
    """The smallest alpha whose bound lies above ``limit``; ``None`` where none below one half does."""
    if bound(SMALLEST_P) > limit:
        return SMALLEST_P
    if not bound(_LARGEST) > limit:
        return None
    low, high = SMALLEST_P, _LARGEST
    while high - low > 1e-10 * high:
        middle = math.sqrt(low * high)
        if bound(middle) > limit:
            high = middle
        else:
            low = middle
    return high
