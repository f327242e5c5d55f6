"""One HTTP exchange as its bytes passed by. Nothing here parses: it runs inside the caller's own call."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from skillforge.call import Api, Call
from skillforge.capture.context import Labels
from skillforge.config import StoreIO

MAX_BODY = 8 * 1_048_576  # bytes of a body that are held; a longer one is recorded without its texts

CLOSED_EARLY = "closed early"


Mask = Callable[[Call], Call | None]


@dataclass(frozen=True, slots=True)
class Policy:
    """What is kept of the calls of one wrapped client: their ``share`` (0 to 1), what ``mask`` makes of each (``None``
    drops it), and how much of their texts.
    """

    store_io: StoreIO
    share: float = 1.0
    mask: Mask | None = None


class Exchange:
    """A request that was sent, and what came back. ``done`` receives it once, when the last byte has passed.

    ``request`` is ``None`` for a body that was too long, ``chunks`` are the answer's bytes as they came over the wire
    (``encoding`` is their content encoding), ``held`` counts them, ``overlong`` says that they became too many.
    ``status`` is 0 where no answer came. ``error`` says what broke off, ``started_at`` is seconds since the epoch.
    """

    __slots__ = (
        "_clock",
        "_done",
        "_ended",
        "api",
        "chunks",
        "encoding",
        "error",
        "held",
        "labels",
        "latency_s",
        "overlong",
        "policy",
        "request",
        "server",
        "started_at",
        "status",
    )

    def __init__(
        self, api: Api, server: str, request: bytes, labels: Labels, policy: Policy, done: Callable[[Exchange], None]
    ) -> None:
        self.api = api
        self.server = server
        self.request = request if len(request) <= MAX_BODY else None
        self.labels = labels
        self.policy = policy
        self.status = 0
        self.encoding = ""
        self.error = ""
        self.chunks: list[bytes] = []
        self.held = 0
        self.overlong = False
        self.latency_s = 0.0
        self.started_at = time.time()
        self._done = done
        self._ended = False
        self._clock = time.perf_counter()

    @property
    def size(self) -> int:
        """Bytes held."""
        return self.held + len(self.request or b"")

    def answered(self, status: int, encoding: str) -> None:
        """The answer's head has come."""
        self.status, self.encoding = status, encoding

    def take(self, chunk: bytes) -> None:
        """Bytes of the answer, as the caller reads them."""
        if self.overlong:
            return
        self.held += len(chunk)
        if self.held > MAX_BODY:
            self.overlong, self.held = True, 0
            self.chunks.clear()
        else:
            self.chunks.append(chunk)

    def end(self, error: str = "") -> None:
        """The last byte has passed, or ``error`` says why none will. Only the first end counts."""
        if self._ended:
            return
        self._ended = True
        self.latency_s = time.perf_counter() - self._clock
        self.error = error
        self._done(self)


def error_name(exc: BaseException) -> str:
    """What broke off, without the words: they may quote what was sent."""
    return type(exc).__name__
