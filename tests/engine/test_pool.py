from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence

import anyio
import anyio.lowlevel
import pytest

from skillforge.engine.pool import Places, Stop, Together, for_each
from skillforge.errors import BudgetReached


@pytest.mark.parametrize("concurrency", [0, 1, 3, 100])
def test_every_item_is_worked_on_and_never_too_many_at_once(concurrency):
    busy, most, done = 0, 0, []

    async def work(item: int) -> None:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        await anyio.sleep(0)
        busy -= 1
        done.append(item)

    async def main() -> None:
        await for_each(range(20), work, concurrency=concurrency)

    anyio.run(main)
    assert sorted(done) == list(range(20))
    assert most == min(20, max(1, concurrency))


def test_one_worker_keeps_the_order():
    done: list[int] = []

    async def work(item: int) -> None:
        await anyio.sleep(0)
        done.append(item)

    async def main() -> None:
        await for_each(range(10), work, concurrency=1)

    anyio.run(main)
    assert done == list(range(10))


def test_items_are_pulled_only_as_they_are_needed():
    pulled: list[int] = []
    done: list[int] = []

    def stream() -> Iterator[int]:
        for item in range(1000):
            pulled.append(item)
            yield item

    async def work(item: int) -> None:
        await anyio.sleep(0)
        done.append(item)
        assert len(pulled) - len(done) <= 4

    async def main() -> None:
        await for_each(stream(), work, concurrency=4)

    anyio.run(main)
    assert len(done) == 1000


def test_the_first_exception_is_raised_bare_and_stops_the_rest():
    done: list[int] = []

    async def work(item: int) -> None:
        if item == 3:
            raise KeyError("three")
        await anyio.sleep(0.01 * item)
        done.append(item)

    async def main() -> None:
        await for_each(range(100), work, concurrency=4)

    with pytest.raises(KeyError, match="three"):
        anyio.run(main)
    assert done == []


def test_an_exception_of_the_stream_is_raised_bare_too():
    def stream() -> Iterator[int]:
        yield 1
        raise ValueError("line 2 is wrong")

    async def main() -> None:
        async def work(item: int) -> None:
            await anyio.sleep(0)

        await for_each(stream(), work, concurrency=2)

    with pytest.raises(ValueError, match="line 2"):
        anyio.run(main)


def test_cancelling_from_outside_stays_a_cancellation():
    async def main() -> bool:
        with anyio.move_on_after(0.01) as scope:
            await for_each(range(3), lambda item: anyio.sleep(10), concurrency=2)
        return scope.cancelled_caught

    assert anyio.run(main)


def test_a_halt_starts_nothing_new_and_finishes_what_was_paid_for():
    done: list[int] = []
    started: list[int] = []

    async def work(item: int) -> None:
        started.append(item)
        if item == 2:
            await anyio.sleep(0)
            raise BudgetReached("no money left")
        await anyio.sleep(0.01)
        done.append(item)

    async def main() -> None:
        await for_each(range(100), work, concurrency=4)

    with pytest.raises(BudgetReached):
        anyio.run(main)
    assert sorted(started) == [0, 1, 2, 3]
    assert sorted(done) == [0, 1, 3]


def test_loops_that_share_a_stop_end_together():
    stop, done = Stop(), []

    async def halts(item: int) -> None:
        await anyio.sleep(0.01)
        raise BudgetReached("no money left")

    async def works(item: int) -> None:
        await anyio.sleep(0.004)
        done.append(item)

    async def both(work: Callable[[int], Awaitable[None]]) -> None:
        await for_each(range(1000), work, concurrency=1, stop=stop)

    async def main() -> None:
        await for_each([halts, works], both, concurrency=2, stop=stop)

    with pytest.raises(BudgetReached):
        anyio.run(main)
    assert 1 <= len(done) < 100


def test_what_comes_at_once_is_written_at_once_and_before_anybody_goes_on():
    calls: list[list[int]] = []
    went_on: list[tuple[int, int]] = []
    together = Together[int](lambda items: calls.append(list(items)))

    async def work(item: int) -> None:
        await together(item)
        went_on.append((item, sum(map(len, calls))))

    anyio.run(lambda: for_each(range(10), work, concurrency=5))
    assert sorted(item for call in calls for item in call) == list(range(10))
    assert len(calls[0]) == 5
    assert all(any(item in call for call in calls) for item, _ in went_on)
    assert all(written >= 5 for _, written in went_on)


def test_what_cannot_be_written_is_the_error_of_its_own_task_alone():
    written: list[int] = []
    failed: list[int] = []

    def write(items: Sequence[int]) -> None:
        if 2 in items:
            raise ValueError("two")
        written.extend(items)

    together = Together(write)

    async def work(item: int) -> None:
        try:
            await together(item)
        except ValueError:
            failed.append(item)

    anyio.run(lambda: for_each(range(4), work, concurrency=4))
    assert (sorted(written), failed) == ([0, 1, 3], [2])


def test_what_a_cancelled_task_handed_over_is_written():
    written: list[int] = []
    together = Together[int](written.extend)

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for item in range(3):
                group.start_soon(together, item)
            group.start_soon(anyio.sleep_forever)
            await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()

    anyio.run(main)
    assert sorted(written) == [0, 1, 2]


def test_places_bound_what_is_under_way_and_are_given_on_by_the_cancelled():
    busy, most = 0, 0

    async def main() -> None:
        nonlocal busy, most
        places = Places(2)

        async def work(give_up: bool) -> None:
            nonlocal busy, most
            with anyio.move_on_after(0.001 if give_up else None):
                async with places:
                    busy += 1
                    most = max(most, busy)
                    try:
                        await anyio.sleep(0.005)
                    finally:
                        busy -= 1

        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(work, number % 3 == 0)
        async with places, places:  # all are free again
            pass

    anyio.run(main)
    assert (busy, most) == (0, 2)


def test_an_error_that_is_of_no_item_is_not_waited_for_again():
    calls: list[list[int]] = []
    errors: list[Exception] = []

    def write(items: Sequence[int]) -> None:
        calls.append(list(items))
        raise OSError("locked")

    together = Together[int](write, hopeless=lambda error: isinstance(error, OSError))

    async def one(item: int) -> None:
        try:
            await together(item)
        except OSError as exc:
            errors.append(exc)

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for item in range(3):
                group.start_soon(one, item)

    anyio.run(main)
    assert calls == [[0, 1, 2]]
    assert len(errors) == 3
