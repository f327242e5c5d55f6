"""A limit on what is spent that holds before the money is gone: each call reserves the most it could cost."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import anyio

from skillforge.errors import BudgetReached, UsageError
from skillforge.messages import Cost

_NANO = 10**9


class Budget:
    """At most ``limit_usd`` US dollars; ``None`` only counts.

    As long as no call costs more than it reserved, not a nano-dollar too much is spent. Money is counted in whole
    nano-dollars: integers add exactly in any order, floats do not. A price is read by its shortest decimal form (0.1
    means a tenth), costs are rounded up and the limit down, so rounding can only keep money, and a real cost that is
    no larger than the worst one stays so.
    """

    def __init__(self, limit_usd: float | None) -> None:
        """Raises ``UsageError`` for a limit that is no amount of money."""
        if limit_usd is not None and not (math.isfinite(limit_usd) and limit_usd >= 0):
            raise UsageError(f"{limit_usd} is no budget", hint="give an amount in US dollars, such as 0.50")
        self.limit_usd = limit_usd
        self.unknown = False  # what some call cost is not known
        self._limit = None if limit_usd is None else _nano(limit_usd, ROUND_FLOOR)
        self._spent = 0
        self._reserved = 0
        self._settled: anyio.Event | None = None  # set when a reservation ends, if anyone waits for it

    @property
    def spent_usd(self) -> float:
        return self._spent / _NANO

    async def reserve(self, worst: Cost, *, model: str = "NAME") -> Reservation:
        """Set aside what a call could cost; waits while others have set aside what it needs.

        Raises ``BudgetReached`` when it could cost more than is left, ``UsageError`` when there is a limit and no
        price. ``model`` is how the user writes the model, for the hint.
        """
        amount = _known(worst)
        if self._limit is not None and amount is None:
            raise no_price(model)
        await self._room(amount or 0)
        self._reserved += amount or 0
        return Reservation(self, amount)

    async def _room(self, amount: int) -> None:
        if self._limit is None:
            return
        while self._spent + self._reserved + amount > self._limit:
            if self._spent + amount > self._limit:
                raise self._reached(amount)
            if self._settled is None:
                self._settled = anyio.Event()
            await self._settled.wait()

    def _reached(self, amount: int) -> BudgetReached:
        limit, spent, more = (_dollars(value) for value in (self._limit or 0, self._spent, amount))
        left = f"{spent} is spent and the next call" if self._spent else "the first call"
        return BudgetReached(
            f"the budget of {limit} is {'reached' if self._spent else 'too small'}: {left} could cost {more}",
            hint="give more with --budget; what is done is kept",
            calls=0,
        )

    def _book(self, reserved: int, spent: int) -> None:
        self._reserved -= reserved
        self._spent += spent
        if self._settled is not None:
            self._settled.set()
            self._settled = None


def no_price(model: str) -> UsageError:
    """What to raise for a budget on a model whose price nobody knows."""
    return UsageError(
        f"a budget needs the price of {model}, which is not known",
        hint=f'set price = {{input = …, output = …}} (US dollars per million tokens) under [models."{model}"]'
        " in skillforge.toml",
    )


class Reservation:
    """Money set aside for one call. It ends once: whatever is said after the first time changes nothing."""

    __slots__ = ("_budget", "_open", "_worst")

    def __init__(self, budget: Budget, worst: int | None) -> None:
        self._budget = budget
        self._worst = worst
        self._open = True

    def settle(self, cost: Cost) -> None:
        """Book what the call cost; the worst case where that is not known."""
        amount = _known(cost)
        if amount is None:
            self._budget.unknown = True
            amount = self._worst
        self._end(amount or 0)

    def settle_worst(self) -> None:
        """Book the worst case: the call was cut off, and the provider may charge for it."""
        self._budget.unknown = self._budget.unknown or self._worst is None
        self._end(self._worst or 0)

    def release(self) -> None:
        """Book nothing: the call was never sent, or refused."""
        self._end(0)

    def _end(self, spent: int) -> None:
        if self._open:
            self._open = False
            self._budget._book(self._worst or 0, spent)


def _known(cost: Cost) -> int | None:
    if cost.usd is None or not math.isfinite(cost.usd) or cost.usd < 0:
        return None
    return _nano(cost.usd, ROUND_CEILING)


def _nano(usd: float, rounding: str) -> int:
    """Whole nano-dollars. Exact: a float's shortest form has at most 17 digits, far within Decimal's precision."""
    return int(Decimal(repr(float(usd))).scaleb(9).to_integral_value(rounding=rounding))


def _dollars(nano: int) -> str:
    """``$0.0123``: at most four digits that count, never in exponents."""
    return f"${Decimal(f'{Decimal(nano).scaleb(-9):.4g}').normalize():f}"
