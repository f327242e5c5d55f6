"""How far unfinished workflow runs have come, so that whoever asks the same again goes on and repeats no write.

A run is found by the address of what was asked (``key``); its rows go when it has ended. What a step gave is kept as
``store_io`` says. That a write was begun, or made, is kept always.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from skillforge.config import StoreIO
from skillforge.redact import Redactor
from skillforge.run import Attempt, StepRun
from skillforge.store.database import immediate, rows, store_errors, utc_now
from skillforge.store.runs import encode_json, rows_in

if TYPE_CHECKING:
    import sqlite3

    from sqlite_utils import Database

# replaced, and not updated: rows stand in the order in which steps ended
_PUT = """
    INSERT OR REPLACE INTO workflow_steps (run_id, key, writes, body, changed, started_at, ended_at)
    VALUES (?, ?, ?, ?, ?, ?, ?)"""


@dataclass(frozen=True, slots=True)
class KeptStep:
    """What is known of one step. ``run`` is ``None`` where it was begun and never ended (``ended_at`` is empty then),
    or purged; ``changed``: it does not hold all that the step gave (a secret was taken out, or nothing is kept).
    ``said`` is the digest of what a write was called with, kept whatever ``store_io`` is.
    """

    key: str
    writes: bool
    run: StepRun | None
    attempts: tuple[Attempt, ...]
    changed: bool
    ended_at: str
    said: str = ""


@dataclass(frozen=True, slots=True)
class OpenRun:
    """An unfinished run: ``key`` is what was asked of what, ``asked`` only the skill's name and the input."""

    run_id: str
    key: str
    asked: str
    skill: str
    created_at: str
    steps: tuple[KeptStep, ...]

    @property
    def writes(self) -> tuple[str, ...]:
        """The writes that were begun, whether they ended or not."""
        return tuple(step.key for step in self.steps if step.writes)


class WorkflowLog:
    """Unfinished workflow runs and their steps in one database.

    ``store_io``: ``redacted`` (the default) keeps values without their secrets and says where there were some, ``full``
    keeps them as they are, ``none`` keeps no value, and only the steps that write.
    """

    def __init__(self, db: Database, redactor: Redactor, store_io: StoreIO = "redacted") -> None:
        self._db = db
        self._redactor = redactor
        self.store_io = store_io

    def asked(self, asked: str) -> list[OpenRun]:
        """The unfinished runs of this skill on this input, oldest first, whoever ran them."""
        return self._found("asked = ?", [asked])

    def get(self, run_id: str) -> OpenRun | None:
        """The run as it stands, ``None`` where it has ended."""
        return next(iter(self._found("run_id = ?", [run_id])), None)

    def open(self, run_id: str, *, key: str, asked: str, skill: str) -> None:
        """A new run, of which nothing is done yet."""
        with immediate(self._db) as conn:
            conn.execute("INSERT INTO workflow_runs VALUES (?, ?, ?, ?, ?)", (run_id, key, asked, skill, utc_now()))

    def start(self, run_id: str, key: str, *, writes: bool) -> None:
        """A step begins. Of a write this is on the disk when it returns, even where the power fails next."""
        if writes or self.store_io != "none":
            with self._durable(writes) as conn:
                conn.execute(_PUT, (run_id, key, writes, None, False, utc_now(), ""))

    def finish(self, run_id: str, step: StepRun, attempts: Sequence[Attempt], *, writes: bool, said: str = "") -> None:
        """A step ended, with the model calls it took."""
        if not writes and self.store_io == "none":
            return
        body, changed = self._body(step, attempts, said)
        now = utc_now()
        with self._durable(writes) as conn:
            conn.execute(_PUT, (run_id, step.key, writes, body, changed, now, now))

    def withdraw(self, run_id: str, key: str) -> None:
        """A step that was begun did nothing: what it would have called was never called."""
        with immediate(self._db) as conn:
            conn.execute("DELETE FROM workflow_steps WHERE run_id = ? AND key = ? AND ended_at = ''", (run_id, key))

    def close(self, run_id: str) -> None:
        """The run has ended: nothing is left to go on with."""
        with immediate(self._db) as conn:
            conn.execute("DELETE FROM workflow_runs WHERE run_id = ?", (run_id,))

    def _body(self, step: StepRun, attempts: Sequence[Attempt], said: str) -> tuple[str, bool]:
        """(JSON, whether it holds less than the step gave). Under ``none`` it says what was done and how it ended."""
        if self.store_io == "full":
            return _encoded(step, attempts, said), False
        if self.store_io == "none":
            hidden: dict[str, Any] = {"arguments": {}, "output": None, "called": (), "checks": (), "reason": ""}
            return _encoded(step.model_copy(update=hidden), (), said), step.output is not None
        clean = self._redactor.value
        kept = StepRun.model_validate(
            {
                **step.model_dump(mode="json"),
                **{name: clean(getattr(step, name)) for name in ("arguments", "output", "reason")},
                "called": [{**call.model_dump(), "arguments": clean(call.arguments)} for call in step.called],
                "checks": [{**dict(check), "reason": clean(check.reason)} for check in step.checks],
            }
        )
        cleaned = [
            each.model_copy(
                update={
                    "text": clean(each.text),
                    "problems": tuple(map(clean, each.problems)),
                    "error": clean(each.error),
                }
            )
            for each in attempts
        ]
        return _encoded(kept, cleaned, said), encode_json(kept.output) != encode_json(step.output)

    def _found(self, where: str, params: list[Any]) -> list[OpenRun]:
        found = rows(self._db, f"SELECT * FROM workflow_runs WHERE {where} ORDER BY run_id", params)
        steps: dict[str, list[KeptStep]] = {row["run_id"]: [] for row in found}
        asked = "SELECT rowid AS n, * FROM workflow_steps WHERE run_id IN"
        for row in sorted(rows_in(self._db, asked, steps), key=lambda row: (not row["ended_at"], row["n"])):
            steps[row["run_id"]].append(_kept(row))
        return [OpenRun(**row, steps=tuple(steps[row["run_id"]])) for row in found]

    @contextmanager
    def _durable(self, writes: bool) -> Iterator[sqlite3.Connection]:
        """A transaction; where ``writes``, it has reached the disk at its end (``synchronous`` is ``NORMAL`` else)."""
        conn: sqlite3.Connection = self._db.conn
        with store_errors(self._db):
            if writes:
                conn.execute("PRAGMA synchronous = FULL")
            try:
                with immediate(self._db):
                    yield conn
            finally:
                if writes:
                    conn.execute("PRAGMA synchronous = NORMAL")


def _encoded(step: StepRun, attempts: Sequence[Attempt], said: str) -> str:
    told = [each.model_dump(mode="json") for each in attempts]
    return encode_json({"run": step.model_dump(mode="json"), "attempts": told, "said": said})


def _kept(row: dict[str, Any]) -> KeptStep:
    body = json.loads(row["body"]) if row["body"] else None
    return KeptStep(
        key=row["key"],
        writes=bool(row["writes"]),
        run=StepRun.model_validate(body["run"]) if body else None,
        attempts=tuple(Attempt.model_validate(each) for each in body["attempts"]) if body else (),
        changed=bool(row["changed"]),
        ended_at=row["ended_at"],
        said=body.get("said", "") if body else "",
    )
