"""Teacher traces by the address of what was asked, redacted before they are stored."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from skillforge.config import StoreIO
from skillforge.redact import Redactor
from skillforge.store.database import immediate, utc_now
from skillforge.store.runs import encode_json, rows_in
from skillforge.trace import Trace

if TYPE_CHECKING:
    from sqlite_utils import Database

_UPSERT = """
    INSERT INTO traces (key, task, case_id, teacher, status, body, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (key) DO UPDATE SET task = excluded.task, case_id = excluded.case_id, teacher = excluded.teacher,
        status = excluded.status, body = excluded.body, created_at = excluded.created_at
    WHERE traces.status = 'error'"""

_SAID = ("task", "input", "output", "messages", "error")


class TraceLog:
    """Traces in one database, redacted also where ``store_io`` is ``full``: skills are authored from them.

    Under ``none`` nothing of a trace is stored, so what was solved has to be asked again.
    """

    def __init__(self, db: Database, redactor: Redactor, store_io: StoreIO = "redacted") -> None:
        self._db = db
        self._redactor = redactor
        self._store_io = store_io

    def known(self, keys: Iterable[str]) -> dict[str, Trace]:
        """The solved traces among ``keys``; failed ones are left out, so that they are asked again."""
        found = rows_in(self._db, "SELECT key, body FROM traces WHERE status = 'ok' AND key IN", keys)
        return {row["key"]: Trace.model_validate(json.loads(row["body"])) for row in found}

    def add(self, key: str, trace: Trace, teacher: str) -> None:
        """Store a trace. The first solved one of a key stays; a later one replaces a failed one."""
        if self._store_io == "none":
            return
        # Python values, not pydantic's JSON mode: that one refuses half surrogates, which models do send.
        body = trace.model_dump()
        # Figures and names stay: a token count that looks like a card number must stay a number.
        body.update({field: self._redactor.value(body[field]) for field in _SAID})
        status = "error" if trace.error else "ok"
        row = (key, body["task"], trace.case_id, teacher, status, encode_json(body), utc_now())
        with immediate(self._db) as conn:
            conn.execute(_UPSERT, row)
