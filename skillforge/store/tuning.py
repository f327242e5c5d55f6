"""Tunings: what was asked, every candidate with its scores, what the teacher said. A resume pays for none of it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from skillforge.config import StoreIO
from skillforge.redact import Redactor
from skillforge.store.database import immediate, rows, utc_now
from skillforge.store.runs import encode_json

if TYPE_CHECKING:
    from sqlite_utils import Database

_COLUMNS = "id, key, skill, digest, student, suite_digest, status, body, created_at, ended_at"


@dataclass(frozen=True, slots=True)
class TuningRow:
    """One tuning. ``key`` says what was asked; ``body`` holds what it has spent (``calls``, ``usd``) and what came of
    it. ``status``: ``open``, ``budget`` (stopped there), ``done``.
    """

    id: str
    key: str
    skill: str
    digest: str
    student: str
    suite_digest: str
    status: str
    body: Mapping[str, Any]
    created_at: str
    ended_at: str


class TuningLog:
    """Tunings in one database. Bodies are redacted unless ``store_io`` is ``full``; under ``none`` what a teacher said
    is not kept (it quotes cases), and is asked for again.
    """

    def __init__(self, db: Database, redactor: Redactor, store_io: StoreIO = "redacted") -> None:
        self._db = db
        self._redactor = redactor
        self._store_io = store_io

    def begin(self, *, key: str, skill: str, digest: str, student: str, suite_digest: str) -> TuningRow:
        """The tuning of that key; a new one where none was begun."""
        created = (f"t-{secrets.token_hex(4)}", key, skill, digest, student, suite_digest, "open")
        body = encode_json({"calls": 0, "usd": 0.0})
        with immediate(self._db) as conn:
            if conn.execute("SELECT 1 FROM tunings WHERE key = ?", (key,)).fetchone() is None:
                conn.execute(
                    f"INSERT INTO tunings ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, '')",
                    (*created, body, utc_now()),
                )
        return _row(rows(self._db, f"SELECT {_COLUMNS} FROM tunings WHERE key = ?", [key])[0])

    def spend(self, tuning: str, calls: int, usd: float) -> None:
        """Add to what a tuning has spent."""
        sums = "'$.calls', json_extract(body, '$.calls') + ?, '$.usd', json_extract(body, '$.usd') + ?"
        with immediate(self._db) as conn:
            conn.execute(f"UPDATE tunings SET body = json_set(body, {sums}) WHERE id = ?", (calls, usd, tuning))

    def end(self, tuning: str, status: str, found: Mapping[str, Any]) -> None:
        """Note what came of it, beside what it spent."""
        with immediate(self._db) as conn:
            conn.execute(
                "UPDATE tunings SET status = ?, ended_at = ?, body = json_patch(body, ?) WHERE id = ?",
                (status, utc_now(), encode_json(self._clean(dict(found))), tuning),
            )

    def clear(self, tuning: str) -> None:
        """Forget the candidates of a tuning that is begun again: it goes the same way, or on with more to spend."""
        with immediate(self._db) as conn:
            conn.execute("DELETE FROM tune_candidates WHERE tuning = ?", (tuning,))

    def put(self, tuning: str, row: Mapping[str, Any]) -> None:
        """Keep a candidate as it is now: ``id``, ``number``, ``stage``, ``parent``, ``body``, ``scores``."""
        body, scores = encode_json(self._clean(row["body"])), encode_json(row["scores"])
        with immediate(self._db) as conn:
            conn.execute(
                "INSERT INTO tune_candidates (tuning, id, number, stage, parent, body, scores, created_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (tuning, id) DO UPDATE SET number = excluded.number,"
                " stage = excluded.stage, parent = excluded.parent, body = excluded.body, scores = excluded.scores",
                (tuning, row["id"], row["number"], row["stage"], row["parent"], body, scores, utc_now()),
            )

    def candidates(self, tuning: str) -> list[dict[str, Any]]:
        """The candidates of a tuning, in the order in which they came up."""
        asked = "SELECT id, number, stage, parent, body, scores FROM tune_candidates WHERE tuning = ? ORDER BY number"
        found = rows(self._db, asked, [tuning])
        return [{**row, "body": json.loads(row["body"]), "scores": json.loads(row["scores"])} for row in found]

    def of_skill(self, skill: str, student: str = "") -> list[TuningRow]:
        """The tunings of a skill, newest first; of one student where it is named."""
        condition, values = ("AND student = ?", [skill, student]) if student else ("", [skill])
        asked = f"SELECT {_COLUMNS} FROM tunings WHERE skill = ? {condition} ORDER BY created_at DESC, rowid DESC"
        return [_row(row) for row in rows(self._db, asked, values)]

    def answer(self, tuning: str, key: str) -> str | None:
        """What the teacher said to that question."""
        found = rows(self._db, "SELECT body FROM tune_answers WHERE tuning = ? AND key = ?", [tuning, key])
        return str(json.loads(found[0]["body"])) if found else None

    def keep_answer(self, tuning: str, key: str, text: str) -> str:
        """Keep an answer, durable when this returns; returns it as it will be found again. The first one stays."""
        kept = text if self._store_io == "full" else self._redactor.text(text)
        if self._store_io != "none":
            with immediate(self._db) as conn:
                conn.execute(
                    "INSERT OR IGNORE INTO tune_answers (tuning, key, body, created_at) VALUES (?, ?, ?, ?)",
                    (tuning, key, encode_json(kept), utc_now()),
                )
        return kept

    def _clean(self, body: Any) -> Any:
        return body if self._store_io == "full" else self._redactor.value(body)


def _row(row: Mapping[str, Any]) -> TuningRow:
    return TuningRow(**{**row, "body": json.loads(row["body"])})
