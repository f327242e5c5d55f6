"""Paid answers that no finished row holds yet: what an interrupted command finds again instead of paying twice.

A run is stored when it is whole, a draft when it stands; the calls behind them are several. Each answer waits here
until the command that asked for it has finished.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from skillforge.config import StoreIO
from skillforge.messages import Completion
from skillforge.redact import Redactor
from skillforge.store.database import immediate, rows, utc_now
from skillforge.store.runs import CHUNK, encode_json

if TYPE_CHECKING:
    from sqlite_utils import Database

KEPT_DAYS = 30  # of an answer that nobody came back for


class AnswerLog:
    """Answers by the address of what was asked, in one database.

    Secrets are taken out unless ``store_io`` is ``full``. Under ``none`` nothing is kept, so what an interrupted
    command was in the middle of has to be asked again.
    """

    def __init__(self, db: Database, redactor: Redactor, store_io: StoreIO = "redacted") -> None:
        self._db = db
        self._redactor = redactor
        self._store_io = store_io

    def known(self, key: str) -> Completion | None:
        """The answer kept under ``key``, or ``None``. Where a stored run counts its calls already, it has none."""
        found = rows(self._db, "SELECT body, counted FROM answers WHERE key = ?", [key])
        if not found:
            return None
        completion = Completion.model_validate(json.loads(found[0]["body"]))
        return completion.model_copy(update={"calls": 0}) if found[0]["counted"] else completion

    def add(self, key: str, model: str, completion: Completion) -> None:
        """Keep an answer, durable against a killed process when this returns. The first one of a key stays."""
        if self._store_io == "none":
            return
        body = completion.model_dump()
        if self._store_io == "redacted":
            body["message"] = self._redactor.value(body["message"])
            body["logprobs"] = None  # token by token, a secret would stand there in pieces
        row = (key, model, encode_json(body), utc_now())
        with immediate(self._db) as conn:
            conn.execute("INSERT OR IGNORE INTO answers (key, model, body, created_at) VALUES (?, ?, ?, ?)", row)

    def count(self, keys: Iterable[str]) -> None:
        """Mark answers whose calls a stored run counts: it ended in an error after them."""
        with immediate(self._db) as conn:
            conn.executemany("UPDATE answers SET counted = 1 WHERE key = ?", [(key,) for key in keys])

    def forget(self, keys: Iterable[str]) -> None:
        """Drop these answers, whose command has finished, and those that nobody came back for in time."""
        before = datetime.now(UTC) - timedelta(days=KEPT_DAYS)
        wanted = list(keys)
        with immediate(self._db) as conn:
            conn.execute("DELETE FROM answers WHERE created_at < ?", (before.isoformat(timespec="milliseconds"),))
            for start in range(0, len(wanted), CHUNK):
                chunk = wanted[start : start + CHUNK]
                conn.execute(f"DELETE FROM answers WHERE key IN ({', '.join('?' * len(chunk))})", chunk)
