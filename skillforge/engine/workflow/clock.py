"""How long a run took, from what its calls took: also where the calls were recorded, or made by an earlier process."""

from __future__ import annotations

import heapq


class Lanes:
    """Calls that share so many places. ``call`` says when one ends that could begin at ``ready`` (seconds)."""

    def __init__(self, count: int) -> None:
        self._free = [0.0] * max(1, count)

    def call(self, ready: float, seconds: float) -> float:
        ends = max(ready, heapq.heappop(self._free)) + seconds
        heapq.heappush(self._free, ends)
        return ends
