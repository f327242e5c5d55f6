"""The groups of recurring calls that scans found, as JSON: a suite and a skill are made from them later."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from skillforge.store.database import immediate, rows, utc_now

if TYPE_CHECKING:
    from sqlite_utils import Database

_UPSERT = """
    INSERT INTO call_groups (id, body, created_at) VALUES (?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET body = excluded.body, created_at = excluded.created_at"""


class GroupLog:
    """Groups by id. Bodies hold constant prompt text: the caller takes secrets out of them before."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def save(self, bodies: Mapping[str, Mapping[str, Any]]) -> None:
        """Store groups by id, in the place of former ones of the same id."""
        told = [(group, json.dumps(body, ensure_ascii=False), utc_now()) for group, body in bodies.items()]
        with immediate(self._db) as conn:
            conn.executemany(_UPSERT, told)

    def all(self) -> dict[str, dict[str, Any]]:
        """Every group's body by id, the latest scan's first."""
        found = rows(self._db, "SELECT id, body FROM call_groups ORDER BY created_at DESC, rowid")
        return {row["id"]: json.loads(row["body"]) for row in found}
