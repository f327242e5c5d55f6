"""A budget of one tuning, in calls or in US dollars, over the student and its teachers."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from skillforge.errors import BudgetReached, UsageError

_CALLS = re.compile(r"([0-9][0-9_,]*)\s*calls?", re.IGNORECASE)
MORE = "give more with --budget: the same command goes on, and pays for nothing twice"


@dataclass(frozen=True)
class Allowance:
    """At most so many calls, or so many US dollars; both ``None``: as much as it takes."""

    calls: int | None = None
    usd: float | None = None

    @classmethod
    def parse(cls, text: str | float | None) -> Allowance:
        """``400calls``, ``5``, ``$5`` or ``0.50``. Raises ``UsageError``."""
        if text is None:
            return cls()
        said = str(text).strip()
        if (found := _CALLS.fullmatch(said)) is not None:
            calls = int(found[1].replace("_", "").replace(",", ""))
            if calls < 1:
                raise UsageError("a budget of 0 calls buys nothing", hint="give more, such as 400calls")
            return cls(calls=calls)
        try:
            usd = float(said.removeprefix("$"))
        except ValueError:
            usd = math.nan
        if not (math.isfinite(usd) and usd > 0):
            raise UsageError(f"--budget {said}: is no budget", hint="give dollars or calls: 5 or 400calls")
        return cls(usd=usd)


class Purse:
    """Counts calls, and never lets one through that is above the limit: a call is booked before it is sent.

    ``on_call`` keeps what is booked (calls, dollars; ``None`` is unknown), so that an interrupted tuning goes on with
    what it has left: a call that was cut off counts, since it may have been paid for. Dollars are held to their limit
    by the session's own budget, which reserves the worst a call can cost; here they are only told.
    """

    def __init__(
        self,
        limit: int | None,
        *,
        calls: int = 0,
        usd: float = 0.0,
        on_call: Callable[[int, float | None], None] = lambda calls, usd: None,
    ) -> None:
        self.limit = limit
        self.calls = calls
        self.usd = usd
        self.unknown_usd = False
        self._on_call = on_call

    @property
    def left(self) -> int | None:
        """Calls that are left, ``None``: no limit."""
        return None if self.limit is None else max(0, self.limit - self.calls)

    def book(self) -> None:
        """One call is about to be sent. Raises ``BudgetReached`` where none is left."""
        if self.left == 0:
            raise BudgetReached(f"the budget of {self.limit} calls is spent", hint=MORE, calls=0)
        self.calls += 1
        self._on_call(1, 0.0)

    def paid(self, usd: float | None) -> None:
        """What a call that was booked has cost."""
        if usd is None:
            self.unknown_usd = True
        elif usd:
            self.usd += usd
            self._on_call(0, usd)
