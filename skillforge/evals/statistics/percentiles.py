"""Percentiles of latencies."""

from __future__ import annotations

import math
from collections.abc import Sequence

from skillforge.errors import UsageError


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
