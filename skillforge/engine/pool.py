"""Bounded concurrency over a stream of work: workers pull, nothing is queued ahead."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import anyio

from skillforge.errors import Halt

Item = TypeVar("Item")


class Stop:
    """Shared by the loops of one command: after the first ``Halt`` none of them starts anything new."""

    def __init__(self) -> None:
        self.reason: Halt | None = None


async def for_each(
    items: Iterable[Item], work: Callable[[Item], Awaitable[None]], *, concurrency: int, stop: Stop | None = None
) -> None:
    """Await ``work`` on every item, at most ``concurrency`` at a time, in order of arrival.

    Never more than one task a worker: a million items cost no more memory than ten. The first exception cancels the
    rest and is raised as it is (not in a group). A ``Halt`` cancels nothing: what is under way may have been paid for,
    so it is finished before the halt is raised.
    """
    stream = iter(items)
    stop = stop or Stop()
    failure: list[BaseException] = []

    async def worker(scope: anyio.CancelScope) -> None:
        try:
            for item in stream:
                if stop.reason is not None:
                    return
                await work(item)
        except Halt as exc:
            stop.reason = stop.reason or exc
        except Exception as exc:
            failure.append(exc)
            scope.cancel()

    async with anyio.create_task_group() as group:
        for _ in range(max(1, concurrency)):
            group.start_soon(worker, group.cancel_scope)
    if failure:
        raise failure[0]
    if stop.reason is not None:
        raise stop.reason
