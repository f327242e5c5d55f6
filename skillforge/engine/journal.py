"""Where the engine reports what it has finished and paid for, so that a killed run resumes.

The engine does not know SQLite: ``Forge`` binds these to the store, tests to a dictionary.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from skillforge.messages import ToolCall, Value
from skillforge.run import Attempt, StepRun
from skillforge.sample import Sample
from skillforge.tools.base import ToolOutcome
from skillforge.trace import Trace


class TraceJournal(Protocol):
    """Keeps solved traces by key."""

    def known(self, keys: Iterable[str]) -> dict[str, Trace]: ...

    def add(self, key: str, trace: Trace, teacher: str) -> None: ...


class SampleJournal(Protocol):
    """Keeps eval samples by key. ``known`` returns finished ones only; errors are asked for again. ``add`` keeps a
    sample for good before it returns it as it will be found again, which is what is scored: a resumed eval must score
    the same.
    """

    def known(self, keys: Iterable[str]) -> dict[str, Sample]: ...

    async def add(self, sample: Sample) -> Sample: ...


class CallJournal(Protocol):
    """Keeps what tools gave to one input that is being solved, so that going on after an interruption calls none of
    them twice. ``known`` are the calls of an earlier, unfinished try by key; ``None`` is one that was begun and never
    ended: whether it was made nobody knows. ``writes`` are the keys of those that write.
    """

    def known(self) -> dict[str, ToolOutcome | None]: ...

    def writes(self) -> frozenset[str]: ...

    def start(self, key: str, *, writes: bool) -> None: ...

    def finish(self, key: str, call: ToolCall, outcome: ToolOutcome, *, writes: bool) -> None: ...

    def close(self) -> None: ...


class StepState(Value):
    """A finished step, and the model calls it took. ``said`` is the digest of what a write was called with, "" where
    nobody knows; ``lost``: that it was done is known, what it gave is not.
    """

    run: StepRun
    attempts: tuple[Attempt, ...] = ()
    said: str = ""
    lost: bool = False


class StepJournal(Protocol):
    """Keeps how far one run of a workflow has come. ``finished`` are the steps an earlier process ended, by key;
    ``started`` those it began and never ended: whether their call was made nobody knows. ``run_id`` stays the same over
    all processes that work on the run, so that an idempotency key made of it does.
    """

    @property
    def run_id(self) -> str: ...

    def finished(self) -> dict[str, StepState]: ...

    def started(self) -> frozenset[str]: ...

    async def start(self, key: str) -> None: ...

    async def finish(self, key: str, state: StepState) -> None: ...
