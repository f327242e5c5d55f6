"""A synchronous library in a thread of its own, calling back into the loop it was started from."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")

_JOIN_S = 30.0


class Left(BaseException):
    """Nobody waits for the work any more. No ``Exception``: libraries catch those and go on."""


class Bridge:
    """``run`` starts ``work`` in a thread and serves its ``call``\\ s in the caller's own task, so that cancelling the
    caller cancels what is under way, and the thread ends: its next ``call``, or the one it waits in, raises ``Left``.

    ``anyio.to_thread`` would wait for a thread that does not know it was cancelled, or abandon it while it still asks
    models.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._closed = False
        self._waiting: Future[Any] | None = None
        self._loop: asyncio.AbstractEventLoop
        self._inbox: asyncio.Queue[tuple[Callable[[], Awaitable[Any]], Future[Any]] | None]

    @property
    def closed(self) -> bool:
        return self._closed

    def call(self, function: Callable[[], Awaitable[T]]) -> T:
        """From the thread: run ``function`` in the loop and wait. Raises what it raises, and ``Left``."""
        future: Future[T] = Future()
        with self._lock:
            if self._closed:
                raise Left
            self._waiting = future
            self._loop.call_soon_threadsafe(self._inbox.put_nowait, (function, future))
        return future.result()

    async def run(self, work: Callable[[], T]) -> T:
        """What ``work`` returns or raises. When this is left, the thread has ended."""
        self._loop, self._inbox = asyncio.get_running_loop(), asyncio.Queue()
        ended: Future[T] = Future()

        def body() -> None:
            try:
                ended.set_result(work())
            except BaseException as exc:  # also Left, and a KeyboardInterrupt that must not vanish with the thread
                ended.set_exception(exc)
            with suppress(RuntimeError):  # the loop is gone
                self._loop.call_soon_threadsafe(self._inbox.put_nowait, None)

        thread = threading.Thread(target=body, name="skillforge-optimizer", daemon=True)
        thread.start()
        try:
            while (asked := await self._inbox.get()) is not None:
                await _serve(*asked)
        finally:
            self._close()
            thread.join(_JOIN_S)
        return ended.result()

    def _close(self) -> None:
        with self._lock:
            self._closed = True
            if self._waiting is not None and not self._waiting.done():
                self._waiting.set_exception(Left())


async def _serve(function: Callable[[], Awaitable[Any]], future: Future[Any]) -> None:
    try:
        value = await function()
    except Exception as exc:
        future.set_exception(exc)
    else:
        future.set_result(value)
