"""Takes exchanges from the callers' threads and stores them from one of its own.

A caller only appends to a bounded queue. The thread starts with the first exchange, gathers for a moment, reads, hands
over what is to be kept, and ends when nothing comes for a while. Nothing that goes wrong here reaches a caller: the
exchange is dropped and counted, and the reason is said once.
"""

from __future__ import annotations

import atexit
import concurrent.futures.thread  # noqa: F401  (cannot be imported any more when the program ends: others need it then)
import os
import threading
import time
import weakref
from collections import Counter, deque
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, suppress
from typing import Protocol

from skillforge.call import Call
from skillforge.capture.exchange import Exchange
from skillforge.config import StoreIO

MAX_WAITING = 10_000  # exchanges in the queue
MAX_HELD = 64 * 1_048_576  # bytes in the queue
BATCH = 32  # exchanges stored at once: taking secrets out of them holds the interpreter
EXIT_S = 2.0  # how long the end of the program, and ``close``, wait for what is not stored yet

_GATHER_S = 0.05
_IDLE_S = 30.0
_PAUSE_S = 0.005

_REASONS = 50  # how many are told apart

Kept = tuple[StoreIO, Call]


class Keeper(Protocol):
    """What the recorder's thread does with exchanges. Both methods may raise."""

    def read(self, exchange: Exchange) -> Kept | None:
        """The call to keep; ``None`` for one that is left out on purpose."""

    def store(self, kept: list[Kept]) -> None: ...


OpenKeeper = Callable[[], AbstractContextManager[Keeper]]


class Recorder:
    """``open_keeper`` is entered on the recorder's thread; it is left when the thread ends, and entered anew after it
    failed to store. ``say`` receives, once each, why exchanges were dropped, and at the end how many; ``dropped``
    counts them by reason.

    After ``os.fork`` the child begins with an empty queue and a thread of its own: what the parent had not stored yet
    is stored by the parent.
    """

    def __init__(self, open_keeper: OpenKeeper, *, say: Callable[[str], None]) -> None:
        self.dropped: Counter[str] = Counter()
        self._open_keeper = open_keeper
        self._say = say
        self._said: set[str] = set()
        self._counted = 0
        self._begin()
        _ALIVE.add(self)
        atexit.register(_close, weakref.ref(self))

    def _begin(self) -> None:
        # reentrant: collecting a dropped stream ends its exchange, wherever this thread is just then
        self._lock = threading.RLock()
        self._change = threading.Condition(self._lock)
        self._telling = threading.RLock()
        self._hurry = threading.Event()
        self._waiting: deque[Exchange] = deque()
        self._held = self._put = self._done = 0
        self._thread: threading.Thread | None = None
        self._leaving = False

    def put(self, exchange: Exchange) -> None:
        """Take an exchange over. Never blocks, never raises."""
        try:
            with self._lock:
                if len(self._waiting) >= MAX_WAITING or self._held + exchange.size > MAX_HELD:
                    self.dropped["they come faster than they can be stored"] += 1
                    return
                if self._thread is None:
                    thread = threading.Thread(target=self._run, name="skillforge-capture", daemon=True)
                    thread.start()
                    self._thread = thread
                elif not self._waiting:
                    self._change.notify_all()
                self._waiting.append(exchange)
                self._held += exchange.size
                self._put += 1
        except Exception as exc:  # no thread can be started, or no memory is left
            self.drop(type(exc).__name__)

    def drop(self, reason: str, count: int = 1) -> None:
        """Count exchanges that are not recorded; the thread says the reason, once."""
        with self._lock:
            known = reason in self.dropped or len(self.dropped) < _REASONS
            self.dropped[reason if known else "other reasons"] += count

    def flush(self, timeout_s: float | None = None) -> bool:
        """Wait until all that was put so far is stored or dropped; ``False`` where it took longer."""
        with self._lock:
            goal = self._put
            self._hurry.set()
            done = self._change.wait_for(lambda: self._done >= goal or self._thread is None, timeout_s)
        self._tell()
        return done

    def close(self, timeout_s: float = EXIT_S) -> None:
        """Flush and end the thread, with its connection. A later ``put`` starts a new one."""
        deadline = time.monotonic() + timeout_s
        self.flush(timeout_s)
        with self._lock:
            thread, self._leaving = self._thread, True
            self._change.notify_all()
        if thread is not None:
            thread.join(max(0.1, deadline - time.monotonic()))
        self._leaving = False
        count = sum(self.dropped.values())
        if count > self._counted:
            self._counted = count
            with suppress(Exception):
                self._say(f"{_calls(count)} not recorded")

    def tell_unstored(self) -> None:
        """Say how many exchanges the end of the program leaves behind."""
        if count := self._put - self._done:
            with suppress(Exception):
                self._say(f"{_calls(count)} not stored before the program ended")

    # the thread

    def _run(self) -> None:
        with ExitStack() as stack:
            keeper: Keeper | None = None
            while (batch := self._take()) is not None:
                try:
                    if keeper is None:
                        keeper = stack.enter_context(self._open_keeper())
                    self._store(keeper, batch)
                except BaseException as exc:  # a thread has nobody above it to tell
                    self.drop(_reason(exc), len(batch))
                    keeper = None
                    with suppress(Exception):
                        stack.close()
                self._finish(batch)
                self._tell()

    def _store(self, keeper: Keeper, batch: list[Exchange]) -> None:
        kept: list[Kept] = []
        for exchange in batch:
            started = time.perf_counter()
            try:
                if (found := keeper.read(exchange)) is not None:
                    kept.append(found)
            except BaseException as exc:  # also of a mask that wants to exit
                self.drop(_reason(exc))
            if not self._hurry.is_set():  # reading holds the interpreter: leave it to the callers for as long
                time.sleep(min(time.perf_counter() - started, _PAUSE_S))
        if kept:
            keeper.store(kept)

    def _take(self) -> list[Exchange] | None:
        """The next exchanges; ``None`` when the thread shall end."""
        with self._lock:
            if not self._waiting:
                self._change.wait_for(lambda: self._waiting or self._leaving, _IDLE_S)
            if not self._waiting:
                self._thread = None
                return None
            gather = len(self._waiting) < BATCH
        if gather:
            self._hurry.wait(_GATHER_S)
        with self._lock:
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            if not self._waiting:
                self._hurry.clear()
            return batch

    def _finish(self, batch: list[Exchange]) -> None:
        size = sum(exchange.size for exchange in batch)
        with self._lock:
            self._held -= size
            self._done += len(batch)
            self._change.notify_all()

    def _tell(self) -> None:
        with self._telling:  # who flushes has heard it when that returns, whichever thread says it
            for reason in [reason for reason in list(self.dropped) if reason not in self._said]:
                self._said.add(reason)
                with suppress(Exception):
                    self._say(f"some calls are not recorded: {reason}")


def _calls(count: int) -> str:
    return "1 call was" if count == 1 else f"{count:,} calls were"


def _reason(exc: BaseException) -> str:
    return str(exc) or type(exc).__name__


_ALIVE: weakref.WeakSet[Recorder] = weakref.WeakSet()


def _close(reference: weakref.ref[Recorder]) -> None:
    if recorder := reference():
        recorder.close(EXIT_S)
        recorder.tell_unstored()


def _after_fork() -> None:
    for recorder in list(_ALIVE):
        recorder._begin()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
