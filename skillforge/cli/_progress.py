"""Progress on stderr: one live line on a terminal, a line every tenth otherwise."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import ClassVar, Self

_SAID_EVERY = 10.0  # seconds between two "waiting" lines where there is no live one


class Progress:
    """Counts work of one kind. Nothing is drawn faster than ten times a second."""

    current: ClassVar[Progress | None] = None  # what a provider's waiting is shown on
    silent: ClassVar[bool] = False  # after an interrupt nothing more is drawn over what is said last

    def __init__(self, label: str, total: int) -> None:
        self.label = label
        self.total = total
        self.done = 0
        self._instant = 0
        self._started = time.monotonic()
        self._drawn = 0.0
        self._tenth = 0
        self.live = sys.stderr.isatty() and os.environ.get("TERM") != "dumb" and not os.environ.get("NO_COLOR")

    def __enter__(self) -> Self:
        Progress.current, Progress.silent = self, False
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        Progress.current = None
        self.clear()

    def clear(self) -> None:
        """Take the live line away, so that something else can be said."""
        if self.live and self._drawn:
            self._drawn = 0.0
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def wait(self, reason: str, seconds: float) -> None:
        """Say why nothing moves, until the next one is done."""
        self.clear()
        sys.stderr.write(self._line(time.monotonic(), _waiting(reason, seconds)) + ("" if self.live else "\n"))
        sys.stderr.flush()
        self._drawn = time.monotonic()

    def advance(self, note: str = "", *, instant: bool = False) -> None:
        """One more is done; ``note`` says what is going on. ``instant`` work took no time and forecasts none."""
        self.done += 1
        self._instant += instant
        if Progress.silent:
            return
        now = time.monotonic()
        if self.live:
            if now - self._drawn >= 0.1 or self.done == self.total:
                self._drawn = now
                sys.stderr.write(f"\r\x1b[K{self._line(now, note)}")
                sys.stderr.flush()
            return
        tenth = 10 * self.done // max(1, self.total)
        if tenth > self._tenth or self.done == 1:
            self._tenth = tenth
            sys.stderr.write(self._line(now, note) + "\n")
            sys.stderr.flush()

    def step(self, note: str) -> None:
        """Something went on, and none is done yet: said on a live line only."""
        now = time.monotonic()
        if self.live and not Progress.silent and now - self._drawn >= 0.1:
            self._drawn = now
            sys.stderr.write(f"\r\x1b[K{self._line(now, note)}")
            sys.stderr.flush()

    def _line(self, now: float, note: str) -> str:
        spent = now - self._started
        timed = self.done - self._instant
        left = spent / timed * (self.total - self.done) if timed else 0.0
        eta = f", about {_span(left)} left" if timed and self.done < self.total and spent > 2 else ""
        tail = f"  {note}" if note else ""
        return f"{self.label} {self.done}/{self.total} ({_span(spent)}{eta}){tail}"[:118]


def show_wait() -> Callable[[str, float], None]:
    """A callback of (reason, seconds) that says on the live line, or now and then on a line of its own, that calls are
    held back. An empty reason says that they go on: the next step shows that.
    """
    said = 0.0

    def show(reason: str, seconds: float) -> None:
        nonlocal said
        bar, now = Progress.current, time.monotonic()
        live = bar is not None and bar.live
        if not reason or Progress.silent or (not live and said and now - said < _SAID_EVERY):
            return
        said = now
        if bar is not None:
            bar.wait(reason, seconds)
        else:
            sys.stderr.write(_waiting(reason, seconds) + "\n")
            sys.stderr.flush()

    return show


def _waiting(reason: str, seconds: float) -> str:
    return f"waiting: {reason}" + (f", {_span(seconds)}" if seconds >= 1 else "")


def download(label: str) -> Callable[[int, int], None]:
    """A callback of (bytes done, bytes in all) that shows a download in steps of ten percent."""
    shown = -1

    def show(done: int, total: int) -> None:
        nonlocal shown
        tenth = 10 * done // max(1, total)
        if tenth > shown:
            shown = tenth
            sys.stderr.write(f"{label}: {done / 1e6:.0f} of {total / 1e6:.0f} MB\n")
            sys.stderr.flush()

    return show


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"
