"""One thread per Forge owns the event loop, the clients and SQLite; sync and async callers go through it.

So a sync call works inside a running loop (a notebook), and an async call does not block the caller's loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError
from contextlib import ExitStack
from threading import Event, Lock
from typing import TypeVar

from anyio.from_thread import BlockingPortal, start_blocking_portal

from skillforge.errors import UsageError

Result = TypeVar("Result")


_BEGIN_S = 1.0  # a task that the loop has not begun by then is one that it never will


class Portal:
    """Starts its thread on first use. ``close`` ends it; a later call starts a new one."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._portal: BlockingPortal | None = None
        self._opening = Lock()

    def run(self, function: Callable[[], Result]) -> Result:
        """A plain function on the portal's thread, where SQLite lives."""

        async def there() -> Result:
            return function()

        return self.call(there)

    def call(self, function: Callable[[], Awaitable[Result]], *, paid: bool = False) -> Result:
        """Run ``function`` on the portal's loop and wait. An interrupt here cancels it there, then is raised.

        What had no more to wait for ends all the same. Where it was ``paid`` for, its result counts then: all of it is
        stored, and would be paid for again if it were taken for interrupted. A second interrupt does not wait for that.
        """
        begun, ended = Event(), Event()
        results: list[Result] = []

        async def noted() -> Result:
            begun.set()
            try:
                results.append(await function())
                return results[0]
            finally:
                ended.set()

        future = self._open().start_task_soon(noted)
        try:
            return future.result()
        except CancelledError:
            hint = "close it when nothing is under way; what is done is kept"
            raise UsageError("the Forge was closed while it worked", hint=hint) from None
        except KeyboardInterrupt:
            future.cancel()
            if begun.wait(_BEGIN_S):  # a task that was cancelled before it began never ends
                ended.wait()
            if results and paid:
                return results[0]
            raise

    async def acall(self, function: Callable[[], Awaitable[Result]]) -> Result:
        """The same from a running event loop, without blocking it. Cancelling the caller cancels the work."""
        return await asyncio.wrap_future(self._open().start_task_soon(function))

    @property
    def started(self) -> bool:
        return self._portal is not None

    def close(self) -> None:
        """End the thread; what is still under way is cancelled, or a slow model would keep the interpreter alive."""
        portal, self._portal = self._portal, None
        if portal is not None:
            portal.call(portal.stop, True)
        self._stack.close()

    def _open(self) -> BlockingPortal:
        with self._opening:  # two threads may come first at once: one loop, one owner of SQLite
            if self._portal is None:
                self._portal = self._stack.enter_context(start_blocking_portal(name="skillforge"))
            return self._portal


async def now(function: Callable[[], Result]) -> Result:
    """A plain function as a coroutine, so that it runs on the portal's thread, where SQLite lives."""
    return function()
