"""Where the engine reports what it has finished and paid for, so that a killed run resumes.

The engine does not know SQLite: ``Forge`` binds these to the store, tests to a dictionary.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from skillforge.sample import Sample
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
