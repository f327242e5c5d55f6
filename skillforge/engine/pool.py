"""Bounded concurrency over a stream of work: workers pull, nothing is queued ahead."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import anyio

Item = TypeVar("Item")


async def for_each(items: Iterable[Item], work: Callable[[Item], Awaitable[None]], *, concurrency: int) -> None:
    """Await ``work`` on every item, at most ``concurrency`` at a time, in order of arrival.

    Never more than one task a worker: a million items cost no more memory than ten. The first exception cancels the
    rest and is raised as it is (not in a group).
    """
    stream = iter(items)
    failure: list[BaseException] = []

    async def worker(scope: anyio.CancelScope) -> None:
        try:
            for item in stream:
                await work(item)
        except Exception as exc:
            failure.append(exc)
            scope.cancel()

    async with anyio.create_task_group() as group:
        for _ in range(max(1, concurrency)):
            group.start_soon(worker, group.cancel_scope)
    if failure:
        raise failure[0]
