"""How long to wait before a call is made again."""

from __future__ import annotations

import math
from collections.abc import Callable

BASE_S = 0.5
MOST_S = 30.0
CAP_S = 120.0  # of what a server may ask for: beyond it the try is spent, so that no server stops us for a day
_SPREAD_S = 2.0  # calls told the same time by a server come back over this long, or over that time if it is less


def pause_s(tries: int, asked_s: float | None, *, cap_s: float = CAP_S, random: Callable[[], float]) -> float:
    """Seconds to wait after the ``tries``-th failed try (counted from 1). ``random`` gives numbers in [0, 1).

    Exponential backoff with full jitter: anything from 0 to 0.5 s doubled at every try, 30 s at most. Source: Marc
    Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015, which finds that of all jitters it makes
    the fewest calls in all. ``asked_s`` is what the server asked for (``retry-after``): never less than that, up to
    ``cap_s``, and a little more by chance so that waiting calls do not all wake at once.
    """
    jitter = random()
    doublings = min(max(tries, 1) - 1, 16)  # far above the limit, far below an overflow
    backoff = jitter * min(MOST_S, cap_s, BASE_S * 2.0**doublings)
    if asked_s is None or math.isnan(asked_s) or asked_s < 0:
        return backoff
    return max(backoff, min(asked_s, cap_s) + jitter * min(_SPREAD_S, asked_s))
