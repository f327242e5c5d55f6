"""An event loop whose clock jumps: nothing sleeps, and waiting for something that cannot come is an error."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import anyio

Result = TypeVar("Result")


class Frozen(AssertionError):
    """Every task waits and no timer runs: in real time this would hang for ever."""


class _Jumping(selectors.DefaultSelector):
    """Instead of waiting for the next timer, the time becomes that of the next timer."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise Frozen("every task waits for another")
        self.now += max(timeout, 0.0)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._clock = _Jumping()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


def run(main: Callable[..., Awaitable[Result]], *args: Any) -> Result:
    """``anyio.run`` in virtual time, which starts at 0: ``anyio.current_time`` and ``anyio.sleep`` follow it."""
    return anyio.run(main, *args, backend_options={"loop_factory": VirtualLoop})
