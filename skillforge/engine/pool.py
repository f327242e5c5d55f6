"""Bounded concurrency over a stream of work: workers pull, nothing is queued ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import anyio
import anyio.lowlevel

from skillforge.errors import Halt

Item = TypeVar("Item")


class Places:
    """At most ``count`` at a time, in the order of arrival; who finds a free place does not wait a turn of the loop."""

    def __init__(self, count: int) -> None:
        self._free = max(1, count)
        self._waiting: deque[anyio.Event] = deque()

    async def __aenter__(self) -> None:
        if self._free:
            self._free -= 1
            return
        called = anyio.Event()
        self._waiting.append(called)
        try:
            await called.wait()
        except BaseException:  # cancelled: a place that it was given meanwhile is the next one's
            if called.is_set():
                self._leave()
            else:
                self._waiting.remove(called)
            raise

    async def __aexit__(self, *error: object) -> None:
        self._leave()

    def _leave(self) -> None:
        if self._waiting:
            self._waiting.popleft().set()
        else:
            self._free += 1


@dataclass
class _Batch(Generic[Item]):
    items: list[Item]
    written: anyio.Event = field(default_factory=anyio.Event)
    errors: dict[int, Exception] = field(default_factory=dict)  # by the item's number


class Together(Generic[Item]):
    """One call of ``write`` for what tasks hand over in the same turn of the event loop: a group commit.

    Nobody goes on before its item is written. Where ``write`` raises for several items it is called for each alone, so
    that a task gets the error of its own item and no other's; not so where the error is ``hopeless``: it is of no item
    (a locked database, a full disk), and each would wait for it in turn. The item of a task that is cancelled while it
    waits is written all the same.
    """

    def __init__(
        self,
        write: Callable[[Sequence[Item]], None],
        hopeless: Callable[[Exception], bool] = lambda error: False,
    ) -> None:
        self._write = write
        self._hopeless = hopeless
        self._open: _Batch[Item] | None = None

    async def __call__(self, item: Item) -> None:
        batch, number = self._open, 0
        if batch is not None:
            number = len(batch.items)
            batch.items.append(item)
            await batch.written.wait()
        else:  # the first one writes for all
            batch = self._open = _Batch([item])
            with anyio.CancelScope(shield=True):
                await anyio.lowlevel.checkpoint()
            self._open = None
            self._write_all(batch)
            batch.written.set()
        if number in batch.errors:
            raise batch.errors[number]

    def _write_all(self, batch: _Batch[Item]) -> None:
        try:
            self._write(batch.items)
        except Exception as exc:
            if len(batch.items) == 1 or self._hopeless(exc):
                batch.errors = dict.fromkeys(range(len(batch.items)), exc)
                return
            for number, item in enumerate(batch.items):
                try:
                    self._write([item])
                except Exception as exc:
                    batch.errors[number] = exc


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
