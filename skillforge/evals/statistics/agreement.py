"""How far two raters agree beyond chance."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from skillforge.canonical import canonical_json
from skillforge.errors import UsageError
from skillforge.evals.statistics.interval import two_sided_z


@dataclass(frozen=True, slots=True)
class Kappa:
    """Cohen's kappa with its two-sided interval at ``level`` from ``n`` pairs of labels.

    1 is full agreement, 0 what chance gives. ``value`` is ``None``, and the interval [-1, 1], where there is no pair or
    where both raters gave every item one and the same label: chance alone would agree as well.
    """

    value: float | None
    low: float
    high: float
    n: int
    level: float


def cohens_kappa(pairs: Iterable[tuple[Any, Any]], level: float = 0.95) -> Kappa:
    """Cohen's kappa of ``(one rater's label, the other's)``; labels are JSON values, of any number of kinds.

    Unweighted: a near miss counts as a miss. The interval is by the large-sample standard error of Fleiss, Cohen and
    Everitt (1969, Psychological Bulletin 72:323-327), kept in [-1, 1] and never narrower than the unseen share allows
    (``skillforge.evals.statistics``): 20 agreements out of 20 are no proof of a perfect judge. Raises ``UsageError``
    for a label that JSON cannot hold.
    """
    z = two_sided_z(level)
    try:
        cells = Counter((canonical_json(one), canonical_json(other)) for one, other in pairs)
    except ValueError as exc:
        raise UsageError(f"labels: {exc}", hint="a label is text, a number, true, false or null") from exc
    n = cells.total()
    rows, columns = Counter[bytes](), Counter[bytes]()
    for (one, other), count in cells.items():
        rows[one] += count
        columns[other] += count
    agreed = sum(count for (one, other), count in cells.items() if one == other)
    by_chance = sum(count * columns[label] for label, count in rows.items())  # in units of 1 / n^2
    if n == 0 or by_chance == n * n:
        return Kappa(None, -1.0, 1.0, n, level)
    seen, chance = agreed / n, by_chance / n**2
    kappa = (seen - chance) / (1 - chance)
    agreeing = math.fsum(
        count / n * (1 - (rows[one] + columns[one]) / n * (1 - kappa)) ** 2
        for (one, other), count in cells.items()
        if one == other
    )
    apart = math.fsum(
        count / n * ((columns[one] + rows[other]) / n) ** 2 for (one, other), count in cells.items() if one != other
    )
    variance = agreeing + (1 - kappa) ** 2 * apart - (kappa - chance * (1 - kappa)) ** 2
    half = z * math.sqrt(max(0.0, variance) / n) / (1 - chance)
    unseen = z * z / (n + z * z)
    low = kappa - max(half, unseen * seen / (1 - chance))
    high = kappa + max(half, unseen * (1 - seen) / (1 - chance))
    return Kappa(kappa, max(-1.0, low), min(1.0, high), n, level)
