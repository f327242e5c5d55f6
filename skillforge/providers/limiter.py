"""How many calls at once one server takes from one key: found out while calling, as TCP finds out about a network.

A rate limit belongs to a key, whatever models it is used for, so every model of one key shares one ``Limiter``.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from types import TracebackType

import anyio

from skillforge.canonical import digest_bytes

OnWait = Callable[[str, float], None]

START = 4  # calls at once before anything is known
RATE_LIMITED = "rate limited"
SERVER_FAILING = "server failing"
CHANCE = 4  # failures in a row of a server that has answered: fewer are each that call's own bad luck
DOWN_ROUNDS = 8  # of calls that all failed: with the pauses in between, half a minute
DOWN_CALLERS = 5  # different ones: a few requests that a server cannot digest do not make it down
_REGAINED = 0.75  # of the limit before a 429: grown back quickly
_FIRST_HOLD_S = 0.25  # of a failing server, doubled with every round of calls that brings no answer
_LONGEST_HOLD_S = 30.0
_LONGEST_PAUSE_S = 600.0  # whatever it is told: a limiter never stops for good


class Held(Exception):
    """New calls are held for longer than this one would wait: ``reason``, for ``seconds`` from now."""

    def __init__(self, reason: str, seconds: float) -> None:
        super().__init__(reason)
        self.reason = reason
        self.seconds = seconds


class Limiter:
    """Additive increase, multiplicative decrease, with a slow start (Jacobson 1988, RFC 5681).

    The limit starts at 4 and grows by 1 with every success, which doubles it every round, until the first 429. A 429
    halves it; up to three quarters of what it was it grows back with every success (servers also refuse by chance, and
    a cautious climb from a half costs most of the time), from there on by 1 with ``limit`` successes, between 1 and
    ``most``. Of many 429s to calls that were under way together only the first halves it. It grows only while it is
    what holds calls back: what was never tried proves nothing (RFC 7661).

    A 429 and a failing server hold all new calls for a while; a failing server says nothing about the limit. One that
    never answered, or failed 4 times in a row, is a failing one: it is held longer with every round of failures, and
    from the second round on only one call at a time looks whether it is back. After half a minute it is ``down``:
    nobody is held any more, so that all who wait can be told.

    Calls get through in the order in which they came. ``on_wait(reason, seconds)`` is called when new calls start to
    be held, and ``on_wait("", 0)`` when they flow again. One event loop at a time.
    """

    def __init__(self, most: int, *, on_wait: OnWait | None = None) -> None:
        self.most = max(1, most)
        self.on_wait = on_wait
        self._limit = min(START, self.most)
        self._cautious = math.inf  # from this limit on it grows slowly
        self._earned = 0  # successes since the limit last changed
        self._round = 0  # how often the limit has shrunk
        self._running = 0
        self._answered = False  # the server did, once
        self._failures = 0  # in a row
        self._failed_callers: set[int] = set()  # with no answer in between
        self._down = False
        self._failing = 0  # rounds of failures with no answer in between
        self._failed_round = 0  # how often such a round has ended
        self._queue: deque[_Waiting] = deque()  # only its head looks whether it may go
        self._reason = ""  # why new calls are held; empty while they are not
        self._until = 0.0

    @property
    def limit(self) -> int:
        """How many calls at once it lets through now."""
        return self._limit

    @property
    def running(self) -> int:
        return self._running

    @property
    def down(self) -> bool:
        """Whether the server failed for so long that asking on makes no sense."""
        return self._down

    def start_again(self) -> None:
        """For a new command: a server that was down gets a new chance."""
        if self._down:
            self._down = False
            self._answer()

    def slot(self, patience_s: float = math.inf) -> Ticket:
        """A place among the calls under way: ``async with limiter.slot() as ticket``.

        Entering raises ``Held`` where new calls are held for more than ``patience_s`` seconds from now. Waiting for
        other calls to end is no such thing.
        """
        return Ticket(self, patience_s)

    async def _enter(self, patience_s: float) -> tuple[int, int]:
        if self._queue or self._running >= self._room() or self._held_s() > 0:
            await self._wait(patience_s)
        self._running += 1
        return self._round, self._failed_round

    def _room(self) -> int:
        return self._limit if self._failing < 2 or self._down else 1

    async def _wait(self, patience_s: float) -> None:
        """Come back, with no waiting in between, when this call may go."""
        me = _Waiting()
        self._queue.append(me)
        try:
            while True:
                if (left := self._held_s()) > patience_s:
                    raise Held(self._reason, left)
                if self._queue[0] is not me or self._running >= self._room():
                    await me.called()
                elif left > 0:
                    await anyio.sleep(left)
                else:
                    return
        finally:  # also when cancelled, maybe as the head that was just called
            self._queue.remove(me)
            self._call_head()

    def _leave(self) -> None:
        self._running -= 1
        self._call_head()

    def _call_head(self) -> None:
        if self._queue:
            self._queue[0].call()

    def _held_s(self) -> float:
        """Seconds for which new calls are still held."""
        if not self._reason:
            return 0.0
        left = 0.0 if self._down else self._until - anyio.current_time()
        if left > 0:
            return left
        self._reason = ""
        self._tell("", 0.0)
        return 0.0

    def _hold(self, reason: str, pause_s: float) -> None:
        if math.isnan(pause_s) or pause_s <= 0:
            return
        pause = min(pause_s, _LONGEST_PAUSE_S)
        left = self._held_s()
        if pause <= left:
            return
        self._until = anyio.current_time() + pause
        if reason != self._reason or pause > left + 1:  # not for every call of a burst
            self._reason = reason
            self._tell(reason, pause)

    def _tell(self, reason: str, seconds: float) -> None:
        if self.on_wait is not None:
            self.on_wait(reason, seconds)

    def _answer(self) -> None:
        self._answered = True
        self._failures = self._failing = 0
        self._failed_callers.clear()

    def _fail(self, started: int, pause_s: float, caller: int) -> None:
        """Hold new calls if it is the server that fails."""
        self._failures += 1
        self._failed_callers.add(caller)
        if self._answered and self._failures < CHANCE:
            return
        if started == self._failed_round:  # of calls under way together only the first counts
            self._failed_round += 1
            self._failing += 1
        if self._failing >= DOWN_ROUNDS and len(self._failed_callers) >= DOWN_CALLERS:
            self._down = True
            return
        growing = _FIRST_HOLD_S * 2.0 ** min(self._failing - 1, 16) if self._failing else 0.0
        self._hold(SERVER_FAILING, max(pause_s, min(growing, _LONGEST_HOLD_S)))

    def _grow(self, started: int) -> None:
        used_up = self._running + len(self._queue) >= self._limit
        if started != self._round or not used_up or self._held_s() > 0:
            return
        self._earned += 1
        if self._limit < self._cautious or self._earned >= self._limit:
            self._limit = min(self._limit + 1, self.most)
            self._earned = 0
            self._call_head()

    def _shrink(self, started: int) -> None:
        if started != self._round:
            return
        self._round += 1
        self._cautious = self._limit * _REGAINED
        self._earned = 0
        self._limit = max(1, self._limit // 2)


class Ticket:
    """One call's place. It tells how the call went at most once; a call that says nothing changes nothing."""

    __slots__ = ("_failed", "_limiter", "_patience_s", "_shrunk")

    def __init__(self, limiter: Limiter, patience_s: float) -> None:
        self._limiter = limiter
        self._patience_s = patience_s
        self._shrunk = self._failed = -1  # the rounds in which it started

    async def __aenter__(self) -> Ticket:
        self._shrunk, self._failed = await self._limiter._enter(self._patience_s)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._limiter._leave()

    def succeeded(self) -> None:
        self._limiter._answer()
        self._limiter._grow(self._shrunk)

    def rate_limited(self, pause_s: float) -> None:
        """The server said 429: fewer calls at once, and no new one for ``pause_s`` seconds."""
        self._limiter._shrink(self._shrunk)
        self._limiter._hold(RATE_LIMITED, pause_s)

    def failed(self, pause_s: float, caller: int = 0) -> None:
        """The server failed (5xx, overloaded): no new call for ``pause_s`` seconds, or longer, unless that was chance.

        ``caller`` tells tries of one request from those of others.
        """
        self._limiter._fail(self._failed, pause_s, caller)


class LimiterPool:
    """The limiters of one process. ``on_wait`` hears all of them and may be set at any time."""

    def __init__(self, on_wait: OnWait | None = None) -> None:
        self.on_wait = on_wait
        self._limiters: dict[tuple[str, str], Limiter] = {}

    def get(self, origin: str, key: str, most: int) -> Limiter:
        """The limiter of a server and a key, of which only a digest is kept.

        Models of one key may differ in ``most``: the largest counts, since each keeps to its own concurrency.
        """
        which = (origin, digest_bytes(key.encode("utf-8", "backslashreplace")))
        limiter = self._limiters.get(which)
        if limiter is None:
            limiter = self._limiters[which] = Limiter(most, on_wait=self._told)
        limiter.most = max(limiter.most, most)
        return limiter

    def _told(self, reason: str, seconds: float) -> None:
        if self.on_wait is not None:
            self.on_wait(reason, seconds)


class _Waiting:
    """A call in the queue. It may be called before it listens, and more than once."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = anyio.Event()

    def call(self) -> None:
        self._event.set()

    async def called(self) -> None:
        await self._event.wait()
        self._event = anyio.Event()
