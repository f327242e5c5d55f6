"""Erasing rows for good: what is old, and all that holds certain texts. Afterwards the file holds none of it either.

The guards of immutable rows are lifted inside the one transaction that erases, and stand again when it ends.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from skillforge.errors import StoreError
from skillforge.store.database import database_path, immediate, rows, store_errors, utc_now
from skillforge.store.migrations import unguarded
from skillforge.store.runs import CHUNK, rows_in

if TYPE_CHECKING:
    from sqlite_utils import Database

PURGED = "purged"

Holds = Callable[[bytes], bool]  # of the UTF-8 of a value

# What may hold a text, by table: the column that names a row's owner, and the columns that are searched.
_TEXTS = {
    "runs": ("id", ("input", "output", "reason", "checks", "tags", "fallback", "steps", "rungs")),
    "attempts": ("run_id", ("text", "problems", "error")),
    "calls": ("id", ("body", "tags", "error", "conversation", "subject")),
    "traces": ("key", ("body", "task", "case_id")),
    "trajectories": ("id", ("body", "task", "task_group", "case_id", "source")),
    "answers": ("key", ("body",)),
    "judgements": ("key", ("replies", "error")),
    "workflow_steps": ("run_id", ("body",)),
    "workflow_runs": ("run_id", ("skill",)),
    "evidence": ("id", ("report", "samples")),
    "call_groups": ("id", ("body",)),
    "candidate_cases": ("id", ("input", "output", "why")),
    "tunings": ("id", ("body",)),
    "tune_candidates": ("rowid", ("body", "scores")),
    "tune_answers": ("rowid", ("body",)),
    "versions": ("rowid", ("body", "source", "task", "provenance")),
    "tombstones": ("rowid", ("reason",)),
}
_OLD = {
    "runs": "created_at",
    "calls": "at",
    "traces": "created_at",
    "trajectories": "created_at",
    "answers": "created_at",
    "judgements": "created_at",
    "workflow_runs": "created_at",
    "candidate_cases": "created_at",
}


@dataclass(frozen=True, slots=True)
class Named:
    """Rows that name a subject (ids by table), the bodies of its calls, and the inputs of its runs."""

    rows: dict[str, list[Any]]
    calls: list[dict[str, Any]]
    inputs: list[dict[str, Any]]


class Erasure:
    """Finds rows and erases them. ``found`` everywhere maps a table to the ids of its rows."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def of_subject(self, subject: str) -> Named:
        """What names the subject: calls by subject or conversation, runs by their tags of these names."""
        calls = rows(self._db, "SELECT id, body FROM calls WHERE subject = ? OR conversation = ?", [subject, subject])
        runs = rows(
            self._db,
            "SELECT id, input FROM runs WHERE EXISTS (SELECT 1 FROM json_each(runs.tags)"
            " WHERE json_each.key IN ('subject', 'conversation') AND json_each.value = ?)",
            [subject],
        )
        ids = [row["id"] for row in runs]
        held = "SELECT DISTINCT run_id AS id FROM workflow_steps WHERE body IS NOT NULL AND run_id IN"
        begun = [row["id"] for row in rows_in(self._db, held, ids)]
        return Named(
            rows={"calls": [row["id"] for row in calls], "runs": ids, "workflow_steps": begun},
            calls=[json.loads(row["body"]) for row in calls],
            inputs=[json.loads(row["input"]) for row in runs if row["input"]],
        )

    def holding(self, holds: Holds) -> dict[str, list[Any]]:
        """The rows with a column of which ``holds`` is true."""
        self._teach(holds)
        found = {}
        for table, (key, columns) in _TEXTS.items():
            where = " OR ".join(f"holds({column})" for column in columns)
            found[table] = [
                row["id"] for row in rows(self._db, f"SELECT DISTINCT {key} AS id FROM {table} WHERE {where}")
            ]
        found["runs"] = list(dict.fromkeys([*found["runs"], *found.pop("attempts")]))
        return {table: ids for table, ids in found.items() if ids}

    def call_bodies(self, ids: Collection[str]) -> Iterator[dict[str, Any]]:
        """The bodies of these calls."""
        for chunk in _chunks(sorted(ids)):
            marks = ", ".join("?" * len(chunk))
            for row in rows(self._db, f"SELECT body FROM calls WHERE id IN ({marks})", chunk):
                yield json.loads(row["body"])

    def run_inputs(self, ids: Collection[str]) -> Iterator[tuple[dict[str, Any], Any]]:
        """(tags, input) of these runs; those without an input are left out."""
        for chunk in _chunks(sorted(ids)):
            marks = ", ".join("?" * len(chunk))
            asked = f"SELECT tags, input FROM runs WHERE input IS NOT NULL AND id IN ({marks})"
            for row in rows(self._db, asked, chunk):
                yield json.loads(row["tags"] or "{}"), json.loads(row["input"])

    def asked_with(self, inputs: Collection[str]) -> list[str]:
        """Ids of the runs that name no subject and whose input is one of these (canonical JSON)."""
        from skillforge.canonical import canonical_json

        wanted = set(inputs)
        unnamed = "SELECT id, input FROM runs WHERE input IS NOT NULL AND tags ->> '$.subject' IS NULL"
        stored = rows(self._db, unnamed) if wanted else []
        return [row["id"] for row in stored if canonical_json(json.loads(row["input"])).decode() in wanted]

    def candidates_of(self, run_ids: Collection[str]) -> list[str]:
        """Ids of the candidate cases that these runs left."""
        return [row["id"] for row in rows_in(self._db, "SELECT id FROM candidate_cases WHERE run_id IN", run_ids)]

    def older_than(self, moment: str) -> dict[str, list[Any]]:
        """The rows from before a moment (UTC, ISO 8601), of what piles up: runs, calls, traces, answers, judgements,
        candidate cases.
        """
        found = {}
        for table, column in _OLD.items():
            key = _TEXTS[table][0]
            old = rows(self._db, f"SELECT {key} AS id FROM {table} WHERE {column} <> '' AND {column} < ?", [moment])
            found[table] = [row["id"] for row in old]
        return found

    def versions(self, rowids: Collection[int]) -> list[tuple[int, str, int]]:
        """(row, skill, version) of version rows."""
        marks = ", ".join("?" * len(rowids))
        sql = f"SELECT rowid AS id, skill, version FROM versions WHERE rowid IN ({marks}) ORDER BY skill, version"
        return [(row["id"], row["skill"], row["version"]) for row in rows(self._db, sql, list(rowids))]

    def erase(self, found: dict[str, list[Any]]) -> None:
        """Delete the rows in one transaction; of versions only the content goes, their numbers stay taken, of steps of
        unfinished workflows only what they gave, and of tombstones only the reason. What is deleted stands in the file
        until ``scrub``.
        """
        with store_errors(self._db):
            self._db.conn.execute("PRAGMA secure_delete = ON")
        with immediate(self._db) as conn, unguarded(conn):
            for table, ids in found.items():
                if table == "versions":
                    _empty(conn, ids)
                elif table == "tombstones":
                    conn.executemany(
                        "UPDATE tombstones SET reason = ? WHERE rowid = ?", [(PURGED, rowid) for rowid in ids]
                    )
                elif table == "workflow_steps":  # that a write was made stays known: it must not be made twice
                    emptied = "UPDATE workflow_steps SET body = NULL, changed = 1 WHERE run_id = ?"
                    conn.executemany(emptied, [(run_id,) for run_id in ids])
                else:
                    for chunk in _chunks(ids):
                        marks = ", ".join("?" * len(chunk))
                        conn.execute(f"DELETE FROM {table} WHERE {_TEXTS[table][0]} IN ({marks})", chunk)

    def scrub(self) -> None:
        """Write the file anew, without what was deleted from it, and empty its log.

        Raises ``StoreError`` while another process reads or writes for longer than the busy timeout.
        """
        with store_errors(self._db):
            self._db.conn.execute("VACUUM")
            busy, _, _ = self._db.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise StoreError(
                f"{database_path(self._db)}: what was erased still stands in its log, which another process reads",
                hint="end that process, then run the same purge again: it goes on from here",
            )

    def tables_holding(self, holds: Holds) -> list[str]:
        """Names of the tables with a row of which ``holds`` is true for any column.

        The file itself is not opened for that: closing it would let go of SQLite's locks of the whole process.
        """
        self._teach(holds)
        found = []
        for name in (row["name"] for row in rows(self._db, "SELECT name FROM sqlite_master WHERE type = 'table'")):
            where = " OR ".join(f"holds({row['name']})" for row in rows(self._db, f"PRAGMA table_info({name})"))
            if rows(self._db, f"SELECT 1 FROM {name} WHERE {where} LIMIT 1"):
                found.append(name)
        return found

    def _teach(self, holds: Holds) -> None:
        """One pass over the rows, however many texts are looked for."""

        def function(value: Any) -> bool:
            return value is not None and holds(value if isinstance(value, bytes) else str(value).encode())

        self._db.conn.create_function("holds", 1, function, deterministic=True)


def _empty(conn: sqlite3.Connection, ids: Collection[int]) -> None:
    """A version without content: the tombstone says why."""
    for rowid in ids:
        conn.execute(
            "UPDATE versions SET body = '', source = NULL, task = '', provenance = '{}' WHERE rowid = ?", (rowid,)
        )
        conn.execute(
            "INSERT INTO tombstones (skill, version, reason, created_at)"
            " SELECT skill, version, ?, ? FROM versions WHERE rowid = ?"
            " ON CONFLICT (skill, version) DO UPDATE SET reason = excluded.reason",
            (PURGED, utc_now(), rowid),
        )


def _chunks(ids: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(ids), CHUNK):
        yield ids[start : start + CHUNK]
