"""Eval samples by the address of what was asked: a killed eval resumes and pays for nothing twice."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from skillforge.run import Run
from skillforge.sample import Sample
from skillforge.store.database import immediate, rows, utc_now
from skillforge.store.runs import RunLog, rows_in

if TYPE_CHECKING:
    from sqlite_utils import Database

_UPSERT = """
    INSERT INTO samples (key, arm, case_id, status, run_id, created_at) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (key) DO UPDATE SET arm = excluded.arm, case_id = excluded.case_id, status = excluded.status,
        run_id = excluded.run_id, created_at = excluded.created_at"""


class SampleLog:
    """Samples and their runs in one database.

    A resumed eval scores outputs again, so a sample's run keeps its redacted output (and its status) even where the run
    log's ``store_io`` is ``none``; its input and the texts of its attempts follow ``store_io``. Where redaction changed
    an output, a resumed eval sees the redacted one.
    """

    def __init__(self, db: Database, run_log: RunLog) -> None:
        self._db = db
        self._runs = run_log

    def known(self, keys: Iterable[str]) -> dict[str, Sample]:
        """The finished (``ok``) samples among ``keys``; errors are left out, so that they are asked again."""
        found = rows_in(
            self._db,
            "SELECT key, arm, case_id, status, run_id, created_at FROM samples WHERE status = 'ok' AND key IN",
            keys,
        )
        runs = self._runs.by_ids(row["run_id"] for row in found)
        return {
            row["key"]: Sample(
                key=row["key"],
                arm=row["arm"],
                case_id=row["case_id"],
                status=row["status"],
                run=runs[row["run_id"]].run,
                created_at=row["created_at"],
            )
            for row in found
        }

    def answers(self, digest: str, student: str) -> dict[str, Run]:
        """The finished runs of one skill version on one student, by case id; the newest where a case has several."""
        found = rows(
            self._db,
            "SELECT samples.case_id, samples.run_id FROM samples JOIN runs ON runs.id = samples.run_id"
            " WHERE samples.status = 'ok' AND runs.digest = ? AND runs.student = ? ORDER BY samples.rowid",
            [digest, student],
        )
        runs = self._runs.by_ids(row["run_id"] for row in found)
        return {row["case_id"]: runs[row["run_id"]].run for row in found}

    def add(self, sample: Sample) -> None:
        """Store a sample and its run in one transaction, durable against a killed process when this returns.

        The first ``ok`` of a key stays: a later sample of that key is ignored, its run too. A later sample replaces an
        ``error``, whose run stays in the run log (it may have cost something).
        """
        ready = self._runs.prepare(sample.run, source="eval", keep_output=True)
        with immediate(self._db) as conn:
            stored = conn.execute("SELECT status FROM samples WHERE key = ?", (sample.key,)).fetchone()
            if stored is not None and stored[0] == "ok":
                return
            self._runs.write(conn, ready)
            created_at = sample.created_at or utc_now()
            conn.execute(_UPSERT, (sample.key, sample.arm, sample.case_id, sample.status, ready.id, created_at))
