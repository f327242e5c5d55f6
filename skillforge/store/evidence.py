"""Evidence: what was measured for a skill version, a student and a suite. Append-only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from skillforge.store.database import immediate, rows, utc_now
from skillforge.store.runs import encode_json

if TYPE_CHECKING:
    from sqlite_utils import Database

_COLUMNS = "skill, digest, student, teacher, suite, suite_digest, harness, verdict, report, created_at"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One measured result. ``digest`` is the skill version's, ``created_at`` is UTC, ISO 8601."""

    id: int
    skill: str
    digest: str
    student: str
    teacher: str
    suite: str
    suite_digest: str
    harness: str
    verdict: str
    report: dict[str, Any]
    created_at: str


class EvidenceLog:
    """Evidence in one database. Reports hold figures and case ids, never inputs or outputs: they are not redacted."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(
        self,
        *,
        skill: str,
        digest: str,
        student: str,
        teacher: str,
        suite: str,
        suite_digest: str,
        harness: str,
        verdict: str,
        report: Mapping[str, Any],
    ) -> int:
        """Store one result; returns its id."""
        row = (skill, digest, student, teacher, suite, suite_digest, harness, verdict, encode_json(dict(report)))
        with immediate(self._db) as conn:
            sql = f"INSERT INTO evidence ({_COLUMNS}) VALUES ({', '.join('?' * 10)})"
            return cast(int, conn.execute(sql, (*row, utc_now())).lastrowid)

    def latest(self, skill_digest: str, student: str, suite_digest: str) -> Evidence | None:
        """The newest result for this version, student and suite, or ``None``."""
        found = self._where(
            "digest = ? AND student = ? AND suite_digest = ? ORDER BY id DESC LIMIT 1",
            [skill_digest, student, suite_digest],
        )
        return found[0] if found else None

    def for_skill(self, name: str) -> list[Evidence]:
        """All results of all versions of a skill, newest first."""
        return self._where("skill = ? ORDER BY id DESC", [name])

    def _where(self, condition: str, params: list[str]) -> list[Evidence]:
        found = rows(self._db, f"SELECT id, {_COLUMNS} FROM evidence WHERE {condition}", params)
        return [Evidence(**{**row, "report": json.loads(row["report"])}) for row in found]
