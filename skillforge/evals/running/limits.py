"""Where an eval stops by itself: counted over everything it asks, its answers as well as its judges."""

from __future__ import annotations

from dataclasses import dataclass

import anyio

from skillforge.errors import LimitReached, UsageError


@dataclass(frozen=True)
class Limits:
    """After so many errors, after so many seconds. ``None``: never. Raises ``UsageError`` for what bounds nothing."""

    max_errors: int | None = None
    time_s: float | None = None

    def __post_init__(self) -> None:
        if self.max_errors is not None and self.max_errors < 1:
            raise UsageError("--max-errors must be at least 1", hint="leave it out to go on whatever fails")
        if self.time_s is not None and not self.time_s >= 0:  # nan too
            raise UsageError(f"a time limit of {self.time_s:g} s is none", hint="give seconds, such as 600")


class Meter:
    """The limits of one eval under way. The clock starts with the first look at it."""

    def __init__(self, limits: Limits = Limits()) -> None:
        self._limits = limits
        self._asked = self._errors = 0
        self._started: float | None = None

    def look_at_the_clock(self) -> None:
        """Before every call. Raises ``LimitReached`` where the time is up."""
        now = anyio.current_time()
        if self._started is None:
            self._started = now
        limit = self._limits.time_s
        if limit is not None and now - self._started >= limit:
            raise LimitReached(
                f"the time limit of {limit:g} s is reached, with {self._asked} new answers",
                hint="every answer is kept: the same command goes on",
            )

    def count(self, error: str | None) -> None:
        """One call has ended, with an error or with ``None``. Raises ``LimitReached`` where there were too many."""
        self._asked += 1
        self._errors += error is not None
        most = self._limits.max_errors
        if error is not None and most is not None and self._errors >= most:
            raise LimitReached(
                f"{self._errors} errors in {self._asked} new answers, the last: {error}",
                hint="every answer is kept: mend it and the same command goes on, or allow more (--max-errors)",
            )
