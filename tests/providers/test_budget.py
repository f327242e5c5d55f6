from __future__ import annotations

import math
from decimal import Decimal

import anyio
import pytest
from fakes.virtual_time import run
from hypothesis import given
from hypothesis import strategies as st

from skillforge.errors import BudgetReached, UsageError
from skillforge.messages import Cost
from skillforge.providers.budget import Budget


def usd(amount: float | None) -> Cost:
    return Cost(usd=amount)


def test_what_was_spent_is_the_real_cost_and_not_the_reserved_one():
    async def main() -> None:
        budget = Budget(1)
        (await budget.reserve(usd(0.5))).settle(usd(0.125))
        assert (budget.spent_usd, budget.unknown) == (0.125, False)

    run(main)


def test_ten_tenths_are_exactly_a_dollar():
    async def main() -> None:
        budget = Budget(0.3)
        for _ in range(3):
            (await budget.reserve(usd(0.1))).settle(usd(0.1))
        assert budget.spent_usd == 0.3
        with pytest.raises(BudgetReached):
            await budget.reserve(usd(1e-12))
        (await budget.reserve(usd(0.0))).settle(usd(0.0))  # free calls go on

    run(main)


def test_a_call_that_could_cost_too_much_is_not_made():
    async def main() -> None:
        budget = Budget(0.5)
        (await budget.reserve(usd(0.48))).settle(usd(0.48))
        with pytest.raises(BudgetReached) as info:
            await budget.reserve(usd(0.0212345678))
        expected = "the budget of $0.5 is reached: $0.48 is spent and the next call could cost $0.02123"
        assert str(info.value) == expected
        assert info.value.hint == "give more with --budget; what is done is kept"
        assert info.value.calls == 0

    run(main)


def test_tiny_amounts_are_written_without_exponents():
    async def main() -> None:
        with pytest.raises(BudgetReached, match=r"\$0 is too small: the first call could cost \$0\.000000123\b"):
            await Budget(0).reserve(usd(1.23e-7))
        with pytest.raises(BudgetReached, match=r"cost \$123500\b"):
            await Budget(5).reserve(usd(123_456.0))

    run(main)


def test_a_call_waits_for_what_others_have_reserved_and_then_decides_again():
    async def main() -> None:
        budget = Budget(1)
        first = await budget.reserve(usd(0.75))
        times: list[float] = []

        async def second() -> None:
            (await budget.reserve(usd(0.5))).settle(usd(0.5))
            times.append(anyio.current_time())

        async def third() -> None:
            with pytest.raises(BudgetReached):
                await budget.reserve(usd(0.75))
            times.append(anyio.current_time())

        async with anyio.create_task_group() as group:
            group.start_soon(second)
            group.start_soon(third)
            await anyio.sleep(3)
            first.settle(usd(0.25))
        assert times == [3, 3]
        assert budget.spent_usd == 0.75

    run(main)


def test_a_refused_call_costs_nothing_and_a_cut_off_one_its_worst_case():
    async def main() -> None:
        budget = Budget(1)
        (await budget.reserve(usd(0.9))).release()
        assert budget.spent_usd == 0
        (await budget.reserve(usd(0.9))).settle_worst()
        assert (budget.spent_usd, budget.unknown) == (0.9, False)

    run(main)


def test_a_reservation_ends_once():
    async def main() -> None:
        budget = Budget(1)
        held = await budget.reserve(usd(0.9))
        held.settle(usd(0.5))
        held.release()
        held.settle_worst()
        assert budget.spent_usd == 0.5
        (await budget.reserve(usd(0.5))).release()

    run(main)


@pytest.mark.parametrize("cost", [None, math.nan, math.inf, -1.0])
def test_an_unknown_cost_is_booked_at_its_worst(cost):
    async def main() -> None:
        budget = Budget(1)
        (await budget.reserve(usd(0.9))).settle(usd(cost))
        assert (budget.spent_usd, budget.unknown) == (0.9, True)

    run(main)


def test_a_limit_needs_a_price():
    async def main() -> None:
        with pytest.raises(UsageError) as info:
            await Budget(1).reserve(usd(None), model="lab:m")
        assert "price = {input = …, output = …}" in info.value.hint
        assert '[models."lab:m"] in skillforge.toml' in info.value.hint

    run(main)


def test_without_a_limit_nothing_waits_and_a_price_may_be_unknown():
    async def main() -> None:
        budget = Budget(None)
        held = [await budget.reserve(usd(amount)) for amount in (1e9, None, None)]
        held[1].settle(usd(2.5))
        assert (budget.spent_usd, budget.unknown) == (2.5, False)
        held[2].settle_worst()
        held[0].settle_worst()
        assert (budget.spent_usd, budget.unknown) == (1e9 + 2.5, True)

    run(main)


@pytest.mark.parametrize("limit", [-0.01, math.nan, math.inf])
def test_a_budget_is_an_amount_of_money(limit):
    with pytest.raises(UsageError):
        Budget(limit)


def test_a_cancelled_wait_reserves_nothing():
    async def main() -> None:
        budget = Budget(1)
        first = await budget.reserve(usd(1.0))
        with anyio.move_on_after(5):
            await budget.reserve(usd(1.0))
        first.release()
        (await budget.reserve(usd(1.0))).release()

    run(main)


MONEY = st.one_of(
    st.floats(0, 2), st.sampled_from([0.0, 0.1, 0.3, 1e-9, 1e-12, 0.7]), st.integers(0, 3000).map(lambda n: n / 1000)
)
CALL = st.tuples(MONEY, st.floats(0, 1), st.floats(0, 9), st.sampled_from(["settle", "worst", "release", "cancel"]))


@given(st.lists(CALL, max_size=30), MONEY)
def test_never_more_is_spent_than_the_limit_and_nobody_waits_for_ever(calls, limit):
    async def main() -> None:
        budget = Budget(limit)
        paid: list[float] = []

        async def call(worst: float, share: float, seconds: float, end: str) -> None:
            with anyio.move_on_after(seconds if end == "cancel" else math.inf):
                try:
                    held = await budget.reserve(usd(worst))
                except BudgetReached:
                    return
                real = min(worst, worst * share)
                try:
                    await anyio.sleep(seconds if end != "cancel" else math.inf)
                except anyio.get_cancelled_exc_class():
                    held.settle_worst()
                    paid.append(worst)
                    raise
                act = {"settle": lambda: held.settle(usd(real)), "worst": held.settle_worst, "release": held.release}
                act[end]()
                paid.append({"settle": real, "worst": worst, "release": 0.0}[end])

        async with anyio.create_task_group() as group:
            for one in calls:
                group.start_soon(call, *one)
        assert budget.spent_usd <= limit
        assert sum((Decimal(repr(amount)) for amount in paid), Decimal(0)) <= Decimal(repr(float(limit)))
        assert abs(budget.spent_usd - math.fsum(paid)) <= 2e-9 * (len(paid) + 1)

    run(main)
