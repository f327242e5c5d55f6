"""What steps of a curation said of rows, by the step's node and the row's digest. No text of a row is kept."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from skillforge.store.database import immediate, rows, utc_now
from skillforge.store.runs import CHUNK, encode_json

if TYPE_CHECKING:
    from sqlite_utils import Database


class CurationLog:
    """Verdicts in one database. Rows are named by digests and verdicts quote nothing: ``store_io`` does not matter."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def known(self, node: str, wanted: Iterable[str]) -> dict[str, dict[str, Any]]:
        """The verdicts of a node on those of the rows that it has judged."""
        asked = list(dict.fromkeys(wanted))
        found: dict[str, dict[str, Any]] = {}
        for start in range(0, len(asked), CHUNK):
            part = asked[start : start + CHUNK]
            marks = ", ".join("?" * len(part))
            query = f"SELECT row, body FROM curations WHERE node = ? AND row IN ({marks})"
            found.update({row["row"]: json.loads(row["body"]) for row in rows(self._db, query, [node, *part])})
        return found

    def add(self, node: str, verdicts: Mapping[str, Mapping[str, Any]]) -> None:
        """Keep verdicts; the first one of a row stays."""
        now = utc_now()
        made = [(node, row, encode_json(dict(body)), now) for row, body in verdicts.items()]
        with immediate(self._db) as conn:
            conn.executemany("INSERT OR IGNORE INTO curations (node, row, body, created_at) VALUES (?, ?, ?, ?)", made)
