"""A thread that calls back into the loop, and ends when nobody waits for it any more."""

from __future__ import annotations

import asyncio
import threading

import pytest
from anyio.from_thread import start_blocking_portal

from skillforge.students.tune.bridge import Bridge, Left

pytestmark = pytest.mark.anyio
NAME = "skillforge-optimizer"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == NAME]


async def test_calls_run_in_the_callers_own_task_and_results_come_back() -> None:
    bridge, me = Bridge(), asyncio.current_task()

    async def there() -> bool:
        return asyncio.current_task() is me

    assert await bridge.run(lambda: [bridge.call(there), threading.current_thread().name]) == [True, NAME]
    assert threads() == []


async def test_what_a_call_raises_is_raised_in_the_thread_and_what_the_thread_raises_here() -> None:
    bridge = Bridge()

    async def fails() -> None:
        raise KeyError("inner")

    def work() -> str:
        try:
            bridge.call(fails)
        except KeyError as exc:
            return f"seen {exc}"
        return "not seen"

    assert await bridge.run(work) == "seen 'inner'"
    with pytest.raises(ZeroDivisionError):
        await Bridge().run(lambda: 1 // 0)


async def test_cancelling_ends_the_thread_past_every_except_exception() -> None:
    bridge, started = Bridge(), asyncio.Event()
    seen: list[str] = []

    async def waits() -> None:
        started.set()
        await asyncio.sleep(60)

    def stubborn() -> None:
        while True:
            try:
                bridge.call(waits)
            except Exception:  # as libraries do
                seen.append("went on")

    work = asyncio.create_task(bridge.run(stubborn))
    await started.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert (threads(), seen, bridge.closed) == ([], [], True)


async def test_a_thread_that_computes_when_it_is_left_ends_at_its_next_call() -> None:
    bridge, computing, go = Bridge(), threading.Event(), threading.Event()
    ended: list[BaseException] = []

    async def nothing() -> None: ...

    def work() -> None:
        computing.set()
        go.wait(5)
        try:
            bridge.call(nothing)
        except BaseException as exc:
            ended.append(exc)
            raise

    task = asyncio.create_task(bridge.run(work))
    await asyncio.to_thread(computing.wait, 5)
    asyncio.get_running_loop().call_later(0.05, go.set)
    threading.Timer(0.05, go.set).start()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [type(exc) for exc in ended] == [Left]


def test_cancelling_through_a_portal_ends_it_too() -> None:
    """As Ctrl-C does: the portal cancels the scope of the task."""
    started = threading.Event()

    async def body() -> None:
        bridge = Bridge()

        async def waits() -> None:
            started.set()
            await asyncio.sleep(60)

        await bridge.run(lambda: bridge.call(waits))

    with start_blocking_portal() as portal:
        future = portal.start_task_soon(body)
        assert started.wait(5)
        future.cancel()
        portal.call(asyncio.sleep, 0.05)
    assert threads() == []
