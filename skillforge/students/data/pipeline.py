"""A curation: steps one after another, each a node named by the hash of its settings, its verdicts kept by row.

The same step on the same row is never judged twice: only what is new is. What depends on the other rows, as a near
duplicate does, has them in its node. (OpenPipe's design: nodes hashed by their configuration, entries by content.)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from skillforge.canonical import digest
from skillforge.messages import Value
from skillforge.students.data.row import Row, Verdict

CURATION = "1"  # names how steps judge: change any of them and change it too


class Step(Protocol):
    """``settings`` is JSON: all that a verdict depends on besides the row. ``alone``: the other rows do not matter.

    ``judge`` gives one verdict a row, in their order; verdicts quote neither inputs nor outputs.
    """

    @property
    def name(self) -> str: ...

    @property
    def alone(self) -> bool: ...

    @property
    def settings(self) -> Mapping[str, Any]: ...

    def judge(self, rows: Sequence[Row]) -> list[Verdict]: ...


class VerdictJournal(Protocol):
    """Where verdicts are kept, by node and row."""

    def known(self, node: str, rows: Iterable[str]) -> dict[str, dict[str, Any]]: ...

    def add(self, node: str, verdicts: Mapping[str, Mapping[str, Any]]) -> None: ...


class StepCount(Value):
    """What one step did: so many rows came, so many stayed; ``dropped`` and ``noted`` count the reasons."""

    name: str
    node: str
    came: int
    kept: int
    dropped: dict[str, int]
    noted: dict[str, int]


@dataclass(frozen=True, slots=True)
class Dropped:
    """A row that went, at which step and why."""

    row: Row
    step: str
    reason: str


@dataclass(frozen=True, slots=True)
class Curated:
    """``known`` of the verdicts were kept from an earlier build."""

    rows: list[Row]
    steps: list[StepCount]
    dropped: list[Dropped]
    known: int = 0


def curate(rows: Sequence[Row], steps: Iterable[Step], journal: VerdictJournal) -> Curated:
    """Run the steps in their order, each on what the one before left."""
    left = list(rows)
    counts: list[StepCount] = []
    gone: list[Dropped] = []
    seen = 0
    for step in steps:
        node = node_of(step, left)
        verdicts, known = _judged(step, node, left, journal)
        seen += known
        for row, verdict in zip(left, verdicts, strict=True):
            if not verdict.keep:
                gone.append(Dropped(row, step.name, verdict.reason))
        kept = [row for row, verdict in zip(left, verdicts, strict=True) if verdict.keep]
        counts.append(
            StepCount(
                name=step.name,
                node=node,
                came=len(left),
                kept=len(kept),
                dropped=_reasons(verdict for verdict in verdicts if not verdict.keep),
                noted=_reasons(verdict for verdict in verdicts if verdict.keep and verdict.reason),
            )
        )
        left = kept
    return Curated(left, counts, gone, seen)


def node_of(step: Step, rows: Sequence[Row]) -> str:
    """The digest of all that a step's verdicts depend on besides the row itself."""
    others = {} if step.alone else {"rows": [row.digest for row in rows]}
    return digest({"curation": CURATION, "step": step.name, "settings": dict(step.settings), **others})


def _judged(step: Step, node: str, rows: Sequence[Row], journal: VerdictJournal) -> tuple[list[Verdict], int]:
    """The verdicts in the order of the rows, and how many were known."""
    found = journal.known(node, [row.digest for row in rows])
    missing = [row for row in rows if row.digest not in found]
    if missing:
        asked = missing if step.alone else list(rows)
        new = {
            row.digest: verdict.model_dump(exclude_defaults=True)
            for row, verdict in zip(asked, step.judge(asked), strict=True)
        }
        journal.add(node, new)
        found = {**found, **new}
    return [Verdict.model_validate(found[row.digest]) for row in rows], len(rows) - len(missing)


def _reasons(verdicts: Iterable[Verdict]) -> dict[str, int]:
    counted = Counter(verdict.reason for verdict in verdicts)
    return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))
