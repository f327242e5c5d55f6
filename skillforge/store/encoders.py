"""Classifiers that were fitted or taken in here, by the digest of their file. Append-only."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from skillforge.store.database import immediate, rows, utc_now
from skillforge.store.runs import encode_json

if TYPE_CHECKING:
    from sqlite_utils import Database


@dataclass(frozen=True, slots=True)
class StoredEncoder:
    """``digest`` is the file's, ``skill_digest`` that of the skill version, ``card`` as it stands in its file."""

    digest: str
    name: str
    skill: str
    skill_digest: str
    card: dict[str, Any]
    created_at: str


class EncoderLog:
    """Cards hold figures and labels, no texts: they are not redacted."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(self, digest: str, name: str, skill: str, skill_digest: str, card: dict[str, Any]) -> bool:
        """Keep one; returns whether it is new."""
        row = (digest, name, skill, skill_digest, encode_json(card), utc_now())
        with immediate(self._db) as conn:
            added = conn.execute("INSERT OR IGNORE INTO encoders VALUES (?, ?, ?, ?, ?, ?)", row)
            return added.rowcount == 1

    def get(self, digest: str) -> StoredEncoder | None:
        found = rows(self._db, "SELECT * FROM encoders WHERE digest = ?", [digest])
        return _stored(found[0]) if found else None

    def named(self, name: str) -> list[StoredEncoder]:
        """All that ever had that name, the newest first."""
        sql = "SELECT * FROM encoders WHERE name = ? ORDER BY created_at DESC, rowid DESC"
        return [_stored(row) for row in rows(self._db, sql, [name])]


def _stored(row: dict[str, Any]) -> StoredEncoder:
    return StoredEncoder(**{**row, "card": json.loads(row["card"])})
