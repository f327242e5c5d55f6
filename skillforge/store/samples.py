"""Eval samples by the address of what was asked: a killed eval resumes and pays for nothing twice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from skillforge.sample import Sample
from skillforge.store.database import immediate
from skillforge.store.runs import RunLog, RunRows, rows_in

if TYPE_CHECKING:
    from sqlite_utils import Database

_UPSERT = """
    INSERT INTO samples (key, arm, case_id, status, kept, run_id, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (key) DO UPDATE SET arm = excluded.arm, case_id = excluded.case_id, status = excluded.status,
        kept = excluded.kept, run_id = excluded.run_id, created_at = excluded.created_at"""


@dataclass(frozen=True, slots=True)
class SampleRows:
    """A sample made ready for writing, in column order, with its run's rows."""

    key: str
    finished: bool
    kept: str
    sample: tuple[str, ...]
    run: RunRows

    @property
    def best(self) -> bool:
        """Whether no later sample of its key can replace it."""
        return self.finished and self.kept == "full"


class SampleLog:
    """Samples and their runs in one database.

    A resumed eval scores outputs again, so a sample's run keeps its redacted output (and its status) even where the run
    log's ``store_io`` is ``none``; its input and the texts of its attempts follow ``store_io``. Where redaction changed
    an output, a resumed eval sees the redacted one.

    The column ``kept`` is ``redacted`` where redaction changed the output, else ``full``. ``arm`` and ``case_id`` are
    those of the eval that asked first: others that ask the same share the sample, so only the key says whose it is.
    """

    def __init__(self, db: Database, run_log: RunLog) -> None:
        self._db = db
        self._runs = run_log

    def known(self, keys: Iterable[str]) -> dict[str, Sample]:
        """The finished samples among ``keys`` that an eval may score; what is left out is asked again.

        Left out are errors and, where ``store_io`` is ``full``, outputs that redaction changed: under ``full`` labels
        are not redacted, and such an output would never equal its label.
        """
        return self._finished(keys, "AND kept = 'full'" if self._runs.store_io == "full" else "")

    def stored(self, keys: Iterable[str]) -> dict[str, Sample]:
        """The finished samples among ``keys`` as they were kept, redacted or not: to be shown, not to be scored."""
        return self._finished(keys, "")

    def _finished(self, keys: Iterable[str], condition: str) -> dict[str, Sample]:
        found = rows_in(
            self._db,
            "SELECT key, arm, case_id, status, run_id, created_at FROM samples"
            f" WHERE status = 'ok' {condition} AND key IN",
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

    def add(self, sample: Sample, *, version: int | None = None) -> None:
        """Store a sample and its run in one transaction, durable against a killed process when this returns.

        ``version`` is that of the skill the run is of, where the run does not say itself.
        """
        self.write([self.prepare(sample, version=version)])

    def prepare(self, sample: Sample, *, version: int | None = None) -> SampleRows:
        """Redact and encode, outside the transaction."""
        run = self._runs.prepare(sample.run, source="eval", keep_output=True, version=version)
        kept = "redacted" if run.output_changed else "full"
        created_at = sample.created_at or run.created_at
        row = (sample.key, sample.arm, sample.case_id, sample.status, kept, run.id, created_at)
        return SampleRows(sample.key, sample.status == "ok", kept, row, run)

    def write(self, samples: Sequence[SampleRows]) -> None:
        """Store prepared samples with their runs in one transaction: all of them, or none where it raises.

        The first ``ok`` of a key stays: a later sample of that key is ignored, its run too. A later sample replaces an
        ``error``, and a later ``ok`` kept in full replaces one that redaction changed; the replaced sample's run stays
        in the run log (it may have cost something).
        """
        with immediate(self._db) as conn:
            asked = "SELECT key, kept FROM samples WHERE status = 'ok' AND key IN"
            finished = {row["key"]: row["kept"] for row in rows_in(self._db, asked, [each.key for each in samples])}
            better = []
            for ready in samples:
                kept = finished.get(ready.key)
                if kept == "full" or (kept == "redacted" and not ready.best):
                    continue
                if ready.finished:
                    finished[ready.key] = ready.kept
                better.append(ready)
            self._runs.write(conn, [ready.run for ready in better])
            conn.executemany(_UPSERT, [ready.sample for ready in better])
