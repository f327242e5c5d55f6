"""Traces of other programs: kept once each, by the address of their content, without secrets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from skillforge.config import StoreIO
from skillforge.errors import NotFound, StoreError, UsageError
from skillforge.messages import Value
from skillforge.redact import Redactor
from skillforge.store.database import immediate, rows, utc_now
from skillforge.store.runs import encode_json, rows_in
from skillforge.trace import Trace

if TYPE_CHECKING:
    from sqlite_utils import Database

_COLUMNS = "id, origin, format, source, task_group, reward, task, case_id, at, body, created_at"
_INSERT = f"INSERT INTO trajectories ({_COLUMNS}) VALUES ({', '.join('?' * 11)}) ON CONFLICT DO NOTHING"
_SAID = ("case_id", "task", "input", "output", "messages", "error", "tools", "source", "group", "extra")
_SELECT = "SELECT id, source, body, created_at FROM trajectories"
_NEWEST = "ORDER BY created_at DESC, rowid DESC"


class StoredTrace(Value):
    """A kept trace with its id (the digest of its content) and when it was imported (UTC, ISO 8601)."""

    id: str
    created_at: str
    trace: Trace


class TrajectoryLog:
    """Imported traces in one database, redacted also where ``store_io`` is ``full``: skills are authored from them."""

    def __init__(self, db: Database, redactor: Redactor, store_io: StoreIO = "redacted") -> None:
        self._db = db
        self._redactor = redactor
        self._store_io = store_io

    def add(self, traces: Iterable[Trace]) -> int:
        """Store the traces that are not stored yet, in one transaction; returns how many these were.

        The same content read from another place is the same trace. Raises ``UsageError`` under ``store_io = none``.
        """
        self.require_storing()
        origins = {origin_of(trace): trace for trace in traces}
        known = {row["origin"] for row in rows_in(self._db, "SELECT origin FROM trajectories WHERE origin IN", origins)}
        now = utc_now()
        # cleaning is what takes time: only what is new, and outside of the transaction
        ready = [self._row(origin, trace, now) for origin, trace in origins.items() if origin not in known]
        with immediate(self._db) as conn:
            before = conn.total_changes
            conn.executemany(_INSERT, ready)
            return conn.total_changes - before

    def require_storing(self) -> None:
        """Raise ``UsageError`` where nothing may be stored."""
        if self._store_io == "none":
            raise UsageError(
                "traces cannot be imported: store_io is none, so nothing of what was said may be stored",
                hint='set store_io = "redacted" in skillforge.toml, or name the file itself: '
                "skillforge create --from-trace FILE",
            )

    def stored(self, *, group: str | None = None, limit: int | None = None) -> list[StoredTrace]:
        """The traces, last imported first; of one group, or all. ``limit`` is how many at most."""
        where, given = ("WHERE task_group = ?", [group]) if group is not None else ("", [])
        most = "" if limit is None else f"LIMIT {int(limit)}"
        found = rows(self._db, f"{_SELECT} {where} {_NEWEST} {most}", given)
        return [_stored(row) for row in found]

    def groups(self) -> dict[str, int]:
        """How many traces there are of every named group."""
        counted = "SELECT task_group, count(*) AS n FROM trajectories WHERE task_group <> '' GROUP BY 1 ORDER BY 1"
        return {row["task_group"]: row["n"] for row in rows(self._db, counted)}

    def get(self, id: str) -> StoredTrace:
        """The trace of an id, of a beginning that no other has, or of a case id.

        Raises ``NotFound``, and ``UsageError`` where several begin so.
        """
        found = rows(self._db, f"{_SELECT} WHERE substr(id, 1, ?) = ? LIMIT 6", [len(id), id]) if id else []
        found = found or rows(self._db, f"{_SELECT} WHERE case_id = ? LIMIT 6", [id])
        if not found:
            raise NotFound(f"no trace {id!r}", hint="see them: skillforge trace list")
        if len(found) > 1:
            some = ", ".join(row["id"][:12] for row in found)
            raise UsageError(f"several traces are named {id!r}: {some}", hint="give more of the id")
        return _stored(found[0])

    def count(self) -> int:
        return int(rows(self._db, "SELECT count(*) AS n FROM trajectories")[0]["n"])

    def verify(self) -> Iterator[str]:
        """A line for every trace whose content is not what its id says."""
        for row in rows(self._db, "SELECT id, body FROM trajectories"):
            if _digest(row["body"]) != row["id"]:
                yield f"trace {row['id'][:12]}: its content was changed: it is {_digest(row['body'])[:12]}"

    def _row(self, origin: str, trace: Trace, now: str) -> tuple[Any, ...]:
        clean = clean_trace(trace, self._redactor)
        body = encode_json(clean.model_dump(exclude={"source"}))  # the same content is the same trace anywhere
        at = next((turn.at for turn in clean.turns if turn.at), "")
        return (
            _digest(body),
            origin,
            clean.format,
            clean.source,
            clean.group,
            clean.reward,
            clean.task,
            clean.case_id,
            at,
            body,
            now,
        )


def clean_trace(trace: Trace, redactor: Redactor) -> Trace:
    """The trace as it is stored: without secrets. Figures stay, also those that look like a card's number."""
    told = trace.model_dump()
    told.update({field: redactor.value(told[field]) for field in _SAID})
    return Trace.model_validate(told)


def origin_of(trace: Trace) -> str:
    """The digest of what was read, wherever it was read from."""
    return _digest(encode_json(trace.model_dump(exclude={"source"})))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _stored(row: dict[str, Any]) -> StoredTrace:
    try:
        trace = Trace.model_validate({**json.loads(row["body"]), "source": row["source"]})
    except ValueError as exc:
        raise StoreError(f"the trace {row['id'][:12]} cannot be read ({exc})"[:300], hint="skillforge verify") from exc
    return StoredTrace(id=row["id"], created_at=row["created_at"], trace=trace)
