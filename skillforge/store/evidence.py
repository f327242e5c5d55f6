"""Evidence: what was measured for a skill version, a student and a suite. Append-only."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, cast

from skillforge.store.database import immediate, rows, utc_now
from skillforge.store.runs import encode_json

if TYPE_CHECKING:
    import sqlite3

    from sqlite_utils import Database

_JSON = ("report", "samples")
# What it took to make a report this time, and who else was measured in it: no part of a student's result. Nor is the
# version's number, which a reviewed version of that number may have taken from it; its digest says what was measured.
_CIRCUMSTANCES = (
    "version",
    "reused",
    "seconds",
    "spent_usd",
    "cost_usd",
    "made_usd",
    "repaid_after",
    "wished",  # how the suite came to say so: its digest says what it says
    "samples",
    "arms",
    "teacher",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One measured result. ``digest`` is the skill version's.

    ``student_identity`` and ``teacher_identity`` name all that could change a model's answers at the time of measuring:
    evidence is stale where they differ from the model's identity now. ``split`` and ``cases`` (a number) say which
    part of the suite was measured. ``variant`` is the digest of the student's form of the skill, empty where that is
    the skill itself. ``samples`` maps the name of an arm to the sample keys of its lost and gained cases,
    by case id.
    """

    skill: str
    digest: str
    student: str
    student_identity: str
    teacher: str
    teacher_identity: str
    suite: str
    suite_digest: str
    split: str
    cases: int
    harness: str
    verdict: str
    report: dict[str, Any]
    samples: dict[str, dict[str, str]] = field(default_factory=dict)
    variant: str = ""

    def same_as(self, other: Measured) -> bool:
        """Whether both say the same of the same, so that one row is enough; what making the report took may differ."""
        return self._result() == other._result()

    def _result(self) -> dict[str, Any]:
        report = {name: value for name, value in self.report.items() if name not in _CIRCUMSTANCES}
        arms = [self.report.get("teacher", {}), *self.report.get("arms", [])]
        own = [arm for number, arm in enumerate(arms) if number == 0 or arm["student"] == self.student]
        report["own"] = [_own(arm) for arm in own]
        teacher, *students = [arm.get("name") for arm in own]
        lost = {name: keys for name, keys in self.samples.items() if name in students}
        cases = {case_id for keys in lost.values() for case_id in keys}  # the teacher's rows hold other students' too
        taught = {case_id: key for case_id, key in self.samples.get(teacher, {}).items() if case_id in cases}
        return {**self.columns(), "report": report, "samples": {**lost, teacher: taught}}

    def columns(self) -> dict[str, Any]:
        """The values by column, in the order of the columns."""
        return {name: getattr(self, name) for name in _COLUMNS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence(Measured):
    """A stored result. ``created_at`` is UTC, ISO 8601."""

    id: int
    created_at: str


def _own(arm: dict[str, Any]) -> dict[str, Any]:
    """An arm's figures without what other students, or the ids of requests, have put there."""
    versus = arm.get("versus_teacher")
    told = None if versus is None else {**versus, "adjusted": False}
    return {**arm, "error_reasons": [], "versus_teacher": told}


_COLUMNS = tuple(column.name for column in fields(Measured))
_NEWEST = "created_at DESC, id DESC"  # an older result of somebody else's may be stored later


class EvidenceLog:
    """Evidence in one database. Reports hold figures and case ids, never inputs or outputs: they are not redacted."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(self, measured: Measured) -> int:
        """Store one result; returns its id."""
        with immediate(self._db) as conn:
            return _insert(conn, measured, utc_now())

    def adopt(self, results: Iterable[tuple[Measured, str]]) -> int:
        """Store results that were measured elsewhere, each with its ``created_at``; returns how many were new.

        One that is here already, or that says the same as one that is here, is left.
        """
        added = 0
        with immediate(self._db) as conn:
            for measured, created_at in results:
                known = self._where("digest = ? AND suite_digest = ?", [measured.digest, measured.suite_digest])
                if not any(item.same_as(measured) or _is_row(item, measured, created_at) for item in known):
                    _insert(conn, measured, created_at)
                    added += 1
        return added

    def latest(self, skill_digest: str, student: str, suite_digest: str, variant: str = "") -> Evidence | None:
        """The newest result for this version, student, form and suite, or ``None``."""
        found = self._where(
            f"digest = ? AND student = ? AND suite_digest = ? AND variant = ? ORDER BY {_NEWEST} LIMIT 1",
            [skill_digest, student, suite_digest, variant],
        )
        return found[0] if found else None

    def for_skill(self, name: str) -> list[Evidence]:
        """All results of all versions of a skill, newest first."""
        return self._where(f"skill = ? ORDER BY {_NEWEST}", [name])

    def _where(self, condition: str, params: list[str]) -> list[Evidence]:
        found = rows(self._db, f"SELECT id, {', '.join(_COLUMNS)}, created_at FROM evidence WHERE {condition}", params)
        return [Evidence(**{**row, **{name: json.loads(row[name]) for name in _JSON}}) for row in found]


def _insert(conn: sqlite3.Connection, measured: Measured, created_at: str) -> int:
    values = [encode_json(value) if name in _JSON else value for name, value in measured.columns().items()]
    sql = f"INSERT INTO evidence ({', '.join(_COLUMNS)}, created_at) VALUES ({'?, ' * len(_COLUMNS)}?)"
    return cast(int, conn.execute(sql, (*values, created_at)).lastrowid)


def _is_row(item: Evidence, measured: Measured, created_at: str) -> bool:
    """Whether it is that very row, come back from a file, where names of models are written without paths."""
    last = [re.split(r"[:/\\]", student)[-1] for student in (item.student, measured.student)]
    return item.created_at == created_at and last[0] == last[1]
