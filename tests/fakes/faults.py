"""What can go wrong on the way to a model, and to which call it happens."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal[
    "status",
    "cut",
    "malformed",
    "drip",
    "reset",
    "stall",
    "no_stop",
    "huge",
    "empty",
    "stream_error",
]


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong. Most kinds take the answer that would have come and spoil it.
    ``at`` is the part of the answer that still comes, from 0 to 1; half of it where nothing is said, none for stall.

    status: ``status`` with ``body`` (text or bytes go out as they are, anything else as JSON; ``None``: the API's own
    error shape) and ``retry_after`` (as it is: seconds, a date, garbage).
    cut: the answer stops at ``at`` (0: after the headers) and the connection closes; ``clean`` ends a stream's
    transfer properly, so that only the missing last event tells.
    malformed: 200 with broken JSON; in a stream half of the events are no JSON.
    drip: one byte of the body every ``every_ms``.
    reset: RST at ``at`` of the answer; 0 is before its first byte.
    stall: silence from ``at`` on, until the client leaves, or for ``seconds`` and then the rest.
    no_stop: the answer is whole but nothing says why it ended. huge: its text has ``size`` bytes. empty: no body.
    stream_error: 200, and at ``at`` of the stream an error event (not streamed: a plain 500).
    """

    kind: Kind
    status: int = 500
    body: Any = None
    retry_after: str | float | None = None
    headers: Mapping[str, str] = field(default_factory=dict, hash=False)
    at: float | None = None
    clean: bool = False
    every_ms: float = 1.0
    seconds: float | None = None
    size: int = 64 * 2**20
    message: str = "a fault of the fake server"

    def __hash__(self) -> int:  # a body may be a dict; faults are keys in ``seeded``
        return hash((self.kind, self.status, repr(self.body), self.retry_after, self.at, self.clean, self.size))

    @property
    def part(self) -> float:
        return self.at if self.at is not None else 0.0 if self.kind == "stall" else 0.5

    @property
    def label(self) -> str:
        return f"status {self.status}" if self.kind == "status" else self.kind


Faults = Callable[[int, Mapping[str, Any]], Fault | None]


def refuse(status: int, retry_after: str | float | None = None, **more: Any) -> Fault:
    return Fault("status", status=status, retry_after=retry_after, **more)


def every(n: int, fault: Fault) -> Faults:
    """The calls n, 2n, 3n…"""
    return lambda number, body: fault if number % n == 0 else None


def sequence(faults: Sequence[Fault | None]) -> Faults:
    """The first calls in turn; the calls after them are served."""
    return lambda number, body: faults[number - 1] if number <= len(faults) else None


def seeded(seed: int, chances: Mapping[Fault, float]) -> Faults:
    """Each call draws by its own number: the same seed spoils the same calls, whatever order they come in."""

    def draw(number: int, body: Mapping[str, Any]) -> Fault | None:
        left = random.Random(f"{seed}:{number}").random()
        for fault, chance in chances.items():
            left -= chance
            if left < 0:
                return fault
        return None

    return draw
