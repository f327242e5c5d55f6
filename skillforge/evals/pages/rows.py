"""The cases of an eval with every arm's answer side by side: what pages and files list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from skillforge.case import Case
from skillforge.evals.answer import Answer, Table
from skillforge.evals.verdict.summary import Summary


@dataclass(frozen=True, slots=True)
class Cell:
    """One arm's answers to a case (one an epoch) and their mean score by the metric, ``None`` where it was not scored;
    ``error`` says why the scorer failed.
    """

    answers: tuple[Answer, ...]
    score: float | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class CaseRow:
    """One case. ``cells`` maps the names of arms to what they answered, the teacher first; arms that have no answer to
    it are missing.
    """

    id: str
    input: Mapping[str, Any]
    expected: Any
    cluster: str | None
    metadata: Mapping[str, Any]
    cells: Mapping[str, Cell] = field(default_factory=dict)


def case_rows(cases: Sequence[Case], table: Table, summary: Summary) -> Iterator[CaseRow]:
    """The rows in the order of the cases, made one at a time."""
    for case in cases:
        cells = {
            name: Cell(
                answers=answers[case.id],
                score=summary.scores[name].values.get(case.id),
                error=summary.scores[name].errors.get(case.id, ""),
            )
            for name, answers in table.items()
            if case.id in answers
        }
        yield CaseRow(case.id, case.input, case.expected, case.cluster, case.metadata, cells)
