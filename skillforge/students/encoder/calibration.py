"""How far probabilities can be taken at their word."""

from __future__ import annotations

import math
from collections.abc import Sequence

BINS = 15


def calibration_error(probabilities: Sequence[float], right: Sequence[bool]) -> float | None:
    """Expected calibration error of the answered labels: the mean distance between how sure a bin of answers is and how
    often it is right, weighted by its answers. 15 bins of equal width (Naeini et al. 2015, Guo et al. 2017). ``None``
    without any.
    """
    if not probabilities:
        return None
    bins: list[list[tuple[float, bool]]] = [[] for _ in range(BINS)]
    for probability, is_right in zip(probabilities, right, strict=True):
        bins[min(BINS - 1, max(0, math.ceil(probability * BINS) - 1))].append((probability, is_right))
    apart = (abs(math.fsum(p - is_right for p, is_right in members)) for members in bins)
    return math.fsum(apart) / len(probabilities)
