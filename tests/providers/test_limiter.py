from __future__ import annotations

import math
from collections.abc import Callable

import anyio
import pytest
from fakes.virtual_time import Frozen, run
from hypothesis import given
from hypothesis import strategies as st

from skillforge.providers.limiter import Limiter, LimiterPool, Ticket

Outcome = Callable[[Ticket], None]


def succeed(ticket: Ticket) -> None:
    ticket.succeeded()


def limited(pause: float = 1.0) -> Outcome:
    return lambda ticket: ticket.rate_limited(pause)


def fail(pause: float = 1.0) -> Outcome:
    return lambda ticket: ticket.failed(pause)


async def calls(limiter: Limiter, outcomes: list[Outcome], *, seconds: float = 1.0) -> list[tuple[float, int]]:
    """Make all calls at once, each lasting ``seconds``; when each started, and its number."""
    started: list[tuple[float, int]] = []

    async def call(number: int, outcome: Outcome) -> None:
        async with limiter.slot() as ticket:
            started.append((anyio.current_time(), number))
            await anyio.sleep(seconds)
            outcome(ticket)

    async with anyio.create_task_group() as group:
        for number, outcome in enumerate(outcomes):
            group.start_soon(call, number, outcome)
    return started


def at_once(started: list[tuple[float, int]]) -> list[int]:
    """How many calls started together, in order of time."""
    times = [time for time, _ in started]
    return [times.count(time) for time in sorted(set(times))]


async def shrunk(most: int = 64) -> Limiter:
    """A limiter past its slow start: 16 calls at once, halved to 8, nothing held any more."""
    limiter = Limiter(most)
    await calls(limiter, [succeed] * 12 + [limited()] + [succeed] * 20)
    assert limiter.limit == 8
    await anyio.sleep(5)
    return limiter


def test_it_starts_with_four_and_doubles_every_round_up_to_the_most():
    async def main() -> None:
        assert at_once(await calls(Limiter(40), [succeed] * 110)) == [4, 8, 16, 32, 40, 10]
        assert at_once(await calls(Limiter(3), [succeed] * 9)) == [3, 3, 3]
        assert at_once(await calls(Limiter(0), [succeed] * 2)) == [1, 1]

    run(main)


def test_calls_get_through_in_the_order_in_which_they_came():
    async def main() -> None:
        outcomes = [succeed, fail(), succeed, limited()] * 10
        assert [number for _, number in await calls(Limiter(8), outcomes)] == list(range(40))

    run(main)


def test_a_429_halves_the_limit_which_grows_back_to_three_quarters_and_from_there_by_one_a_round():
    async def main() -> None:
        limiter = await shrunk()
        assert at_once(await calls(limiter, [succeed] * 50)) == [8, 12, 13, 14, 3]

    run(main)


def test_the_429s_of_calls_that_ran_together_halve_it_once():
    async def main() -> None:
        limiter = await shrunk()
        await calls(limiter, [limited()] * 8)
        assert limiter.limit == 4
        await calls(limiter, [limited()] * 4)
        assert limiter.limit == 2
        for _ in range(3):
            await calls(limiter, [limited()])
        assert limiter.limit == 1

    run(main)


def test_successes_of_calls_from_before_a_429_do_not_grow_what_it_has_halved():
    async def main() -> None:
        limiter = Limiter(4)
        await calls(limiter, [limited(0), succeed, succeed, succeed, *[lambda ticket: None] * 9])
        assert limiter.limit == 2

    run(main)


def test_while_calls_are_held_the_limit_does_not_grow():
    async def main() -> None:
        limiter = Limiter(64)
        await calls(limiter, [fail(), succeed, succeed, succeed, *[lambda ticket: None] * 9])
        assert limiter.limit == 4

    run(main)


def test_a_caller_that_comes_right_back_waits_behind_the_others():
    async def main() -> None:
        limiter = Limiter(1)
        order: list[str] = []

        async def caller(name: str) -> None:
            for _ in range(3):
                async with limiter.slot():
                    order.append(name)
                    await anyio.sleep(1)

        async with anyio.create_task_group() as group:
            for name in "abc":
                group.start_soon(caller, name)
        assert "".join(order) == "abcabcabc"

    run(main)


def test_what_was_never_tried_proves_nothing():
    async def main() -> None:
        limiter = Limiter(64)
        for _ in range(50):
            await calls(limiter, [succeed] * 2)
        assert limiter.limit == 4

    run(main)


def test_a_429_holds_new_calls_for_as_long_as_it_says():
    async def main() -> None:
        started = await calls(Limiter(4), [limited(30), succeed, succeed, succeed, succeed, succeed])
        assert [time for time, _ in started] == [0, 0, 0, 0, 31, 31]

    run(main)


def test_a_failing_server_holds_new_calls_but_the_limit_stays():
    async def main() -> None:
        limiter = Limiter(4)
        started = await calls(limiter, [fail(10), fail(5), fail(0), fail(-1), succeed])
        assert [time for time, _ in started] == [0, 0, 0, 0, 11]
        assert limiter.limit == 4

    run(main)


def test_a_call_that_says_nothing_changes_nothing():
    async def main() -> None:
        limiter = Limiter(64)
        assert at_once(await calls(limiter, [lambda ticket: None] * 12)) == [4, 4, 4]
        assert limiter.running == 0

    run(main)


def test_waiting_is_told_once_for_a_burst_and_when_it_is_over():
    told: list[tuple[float, str, float]] = []

    async def main() -> None:
        limiter = Limiter(4, on_wait=lambda reason, seconds: told.append((anyio.current_time(), reason, seconds)))
        await calls(limiter, [limited(10), limited(10.1), limited(10.2), limited(9), fail(2), succeed])

    run(main)
    assert told == [(1, "rate limited", 10), (11.2, "", 0), (12.2, "server failing", 2)]


def test_the_end_of_a_pause_is_told_by_the_next_call():
    told: list[tuple[str, float]] = []

    async def main() -> None:
        limiter = Limiter(4, on_wait=lambda *what: told.append(what))
        await calls(limiter, [fail(2)])
        await anyio.sleep(60)
        await calls(limiter, [succeed])

    run(main)
    assert told == [("server failing", 2), ("", 0)]


@pytest.mark.parametrize("pause", [math.inf, 1e300, math.nan])
def test_no_pause_lasts_for_ever(pause):
    async def main() -> float:
        return (await calls(Limiter(1), [limited(pause), succeed]))[1][0]

    assert run(main) <= 601


def test_a_cancelled_call_leaves_the_queue_and_the_next_goes():
    async def main() -> None:
        limiter = Limiter(1)
        order: list[str] = []

        async def call(name: str, patience: float) -> None:
            with anyio.move_on_after(patience):
                async with limiter.slot() as ticket:
                    order.append(f"{name} at {anyio.current_time():g}")
                    await anyio.sleep(10)
                    ticket.succeeded()

        async with anyio.create_task_group() as group:
            for name, patience in {"a": 100, "b": 5, "c": 10, "d": 12, "e": 100}.items():
                group.start_soon(call, name, patience)
                await anyio.sleep(0)
        # c gives up in the very moment in which it is called; d is cancelled in mid-call
        assert order in (["a at 0", "d at 10", "e at 12"], ["a at 0", "c at 10", "d at 10", "e at 12"])
        assert limiter.running == 0

    run(main)


def test_the_head_of_the_queue_may_be_cancelled_while_all_are_held():
    async def main() -> list[float]:
        limiter = Limiter(1)
        await calls(limiter, [fail(50)])
        times: list[float] = []

        async def call(patience: float) -> None:
            with anyio.move_on_after(patience):
                async with limiter.slot():
                    times.append(anyio.current_time())

        async with anyio.create_task_group() as group:
            for patience in (10, 100, 20, 100):
                group.start_soon(call, patience)
        return times

    assert run(main) == [51, 51]


STEP = st.tuples(
    st.sampled_from(["succeed", "limited", "fail", "silent", "raise"]),
    st.floats(0, 40),  # how long the call runs
    st.floats(-1, 200),  # the pause it asks for
    st.none() | st.floats(0, 60),  # when its caller gives up
)


@given(st.lists(STEP, max_size=40), st.integers(1, 20))
def test_whatever_happens_waiting_calls_get_through(steps, most):
    async def main() -> None:
        limiter = Limiter(most)
        through = 0

        async def call(outcome: str, seconds: float, pause: float, patience: float | None) -> None:
            nonlocal through
            with anyio.CancelScope(deadline=anyio.current_time() + (math.inf if patience is None else patience)):
                try:
                    async with limiter.slot() as ticket:
                        assert 1 <= limiter.running <= most
                        await anyio.sleep(seconds)
                        if outcome == "raise":
                            raise ValueError
                        tell = {"succeed": succeed, "limited": limited(pause), "fail": fail(pause)}
                        tell.get(outcome, lambda _: None)(ticket)
                        assert 1 <= limiter.limit <= most
                except ValueError:
                    pass
                through += patience is None

        async with anyio.create_task_group() as group:
            for step in steps:
                group.start_soon(call, *step)
        assert through == sum(patience is None for *_, patience in steps)
        assert limiter.running == 0
        with anyio.fail_after(700):
            async with limiter.slot():
                pass

    run(main)


def test_the_virtual_clock_notices_a_freeze():
    async def main() -> None:
        await anyio.Event().wait()

    with pytest.raises(Frozen):
        run(main)


def test_one_limiter_for_each_server_and_key():
    told: list[str] = []
    pool = LimiterPool()
    one = pool.get("https://a", "secret-key", 8)
    assert pool.get("https://a", "secret-key", 4) is one
    assert one.most == 8
    assert pool.get("https://a", "secret-key", 16).most == 16
    assert pool.get("https://b", "secret-key", 8) is not one
    assert pool.get("https://a", "other-key", 8) is not one
    assert pool.get("https://a", "\udcff", 8) is pool.get("https://a", "\udcff", 8)
    assert "secret-key" not in repr(vars(pool))

    async def main() -> None:
        await calls(one, [fail()])  # nobody listens: no matter
        pool.on_wait = lambda reason, seconds: told.append(reason)
        await calls(one, [fail()] * 2)

    run(main)
    assert told == ["", "server failing"]


def test_a_failure_of_a_server_that_answers_holds_nobody_and_four_in_a_row_do():
    async def main() -> None:
        limiter = Limiter(4)
        await calls(limiter, [succeed])
        await calls(limiter, [fail(9), fail(9), fail(9)])
        assert anyio.current_time() == 2
        assert (await calls(limiter, [succeed]))[0][0] == 2
        started = await calls(limiter, [fail(9)] * 4 + [succeed])
        assert [time for time, _ in started] == [3, 3, 3, 3, 13]

    run(main)


def test_a_server_that_stays_away_is_looked_for_by_one_call_at_a_time_and_is_down_after_half_a_minute():
    async def main() -> None:
        limiter = Limiter(8)

        async def call(caller: int) -> None:
            async with limiter.slot() as ticket:
                if not limiter.down:
                    times.append(anyio.current_time())
                    await anyio.sleep(0.1)
                    ticket.failed(0.0, caller)

        times: list[float] = []
        async with anyio.create_task_group() as group:
            for caller in range(100):
                group.start_soon(call, caller)
        assert limiter.down
        assert at_once([(time, 0) for time in times]) == [4, 4, 1, 1, 1, 1, 1, 1]
        assert 30 < anyio.current_time() < 35, "those who waited were let through at once"
        limiter.start_again()
        assert await calls(limiter, [succeed])
        assert not limiter.down

    run(main)


def test_one_caller_alone_never_makes_a_server_down():
    async def main() -> None:
        limiter = Limiter(8)
        for _ in range(20):
            await calls(limiter, [fail(0)])
        assert not limiter.down

    run(main)
