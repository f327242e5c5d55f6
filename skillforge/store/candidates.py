"""Inputs that went up a ladder: what the rungs said of them waits here to become cases of a suite."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from skillforge.canonical import digest
from skillforge.config import StoreIO
from skillforge.errors import StoreError
from skillforge.messages import Value
from skillforge.redact import Redactor
from skillforge.run import Run
from skillforge.store.database import immediate, rows, utc_now
from skillforge.store.runs import encode_json

if TYPE_CHECKING:
    from sqlite_utils import Database


class Said(Value):
    """What one rung said, how sure it was, and why the next one was asked."""

    student: str
    reason: str = ""
    output: Any = None
    confidence: float | None = None


class Candidate(Value):
    """One input that went up. ``output`` is the last rung's answer (``None``: it gave none that holds), ``said`` are
    the rungs below it. ``run_id`` is the first run with this input; times are UTC, ISO 8601, ``taken_at`` is empty
    until it became a case.
    """

    id: str
    skill: str
    input: dict[str, Any]
    output: Any
    said: tuple[Said, ...]
    answered_by: str
    run_id: str
    created_at: str
    taken_at: str = ""


class CandidateLog:
    """Candidate cases in one database, one for every input of a skill.

    ``store_io`` is that of the run log: under ``redacted`` secrets are taken out before anything is written, ``none``
    keeps no candidate at all.
    """

    def __init__(self, db: Database, redactor: Redactor, store_io: StoreIO = "redacted") -> None:
        self._db = db
        self._redactor = redactor
        self._store_io = store_io

    def add(self, run: Run) -> bool:
        """Keep the input of a run that went up its ladder. ``False`` where that input is known, or nothing may be kept.

        Raises ``StoreError`` for a run that did not go up.
        """
        if len(run.rungs) < 2:
            raise StoreError(f"the run {run.id} went up no ladder", hint="only escalated runs become candidates")
        if self._store_io == "none":
            return False
        given = self._clean(run.input)
        output = self._clean(run.output) if run.status == "ok" else None
        said = [self._said(rung.student, rung.reason, rung.output, rung.confidence) for rung in run.rungs[:-1]]
        try:
            name = digest({"skill": run.skill, "input": given}).removeprefix("sha256:")[:32]
        except ValueError:  # an input that has no canonical form is no case either
            return False
        values = [name, run.skill, encode_json(given), encode_json(output), encode_json(said)]
        row = [*values, run.rungs[-1].student, run.id, utc_now()]
        with immediate(self._db) as conn:
            added = conn.execute(
                "INSERT INTO candidate_cases (id, skill, input, output, why, answered_by, run_id, created_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
                row,
            )
        return bool(added.rowcount)

    def waiting(self, skill: str) -> list[Candidate]:
        """The candidates of a skill that nobody took, oldest first."""
        sql = "SELECT * FROM candidate_cases WHERE skill = ? AND taken_at = '' ORDER BY created_at, id"
        return [_candidate(row) for row in rows(self._db, sql, [skill])]

    def taken(self, ids: Iterable[str]) -> None:
        """Note that these became cases, or need not: they do not wait any more."""
        with immediate(self._db) as conn:
            conn.executemany(
                "UPDATE candidate_cases SET taken_at = ? WHERE id = ? AND taken_at = ''",
                [(utc_now(), name) for name in ids],
            )

    def _said(self, student: str, reason: str, output: Any, confidence: float | None) -> dict[str, Any]:
        told = {"student": student, "reason": self._redactor.text(reason), "output": self._clean(output)}
        return {**told, "confidence": confidence}

    def _clean(self, value: Any) -> Any:
        return value if self._store_io == "full" else self._redactor.value(value)


def _candidate(row: dict[str, Any]) -> Candidate:
    decoded = {"input": json.loads(row["input"]), "output": json.loads(row["output"]), "said": json.loads(row["why"])}
    plain = {name: row[name] for name in ("id", "skill", "answered_by", "run_id", "created_at", "taken_at")}
    return Candidate(**plain, **decoded)
