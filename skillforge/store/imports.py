"""Which reviewed files the database has read, and how they looked then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skillforge.store.database import immediate, rows, utc_now

if TYPE_CHECKING:
    from sqlite_utils import Database


class ImportLog:
    """Digest and stamp (what a look at a file's status gives) of files, by their path below the repository."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def known(self) -> dict[str, tuple[str, str]]:
        """Digest and stamp of every file read so far."""
        found = rows(self._db, "SELECT path, digest, stamp FROM imported")
        return {row["path"]: (row["digest"], row["stamp"]) for row in found}

    def add(self, path: str, digest: str, stamp: str = "") -> None:
        with immediate(self._db) as conn:
            conn.execute(
                "INSERT INTO imported (path, digest, stamp, created_at) VALUES (?, ?, ?, ?) ON CONFLICT (path) DO"
                " UPDATE SET digest = excluded.digest, stamp = excluded.stamp, created_at = excluded.created_at",
                (path, digest, stamp, utc_now()),
            )

    def held(self, path: str) -> set[str]:
        """The digests of all that a file is known to have held, see ``add_held``."""
        found = rows(self._db, "SELECT digest FROM imported WHERE path = ? || '@' || digest", [path])
        return {row["digest"] for row in found}

    def add_held(self, path: str, digest: str) -> None:
        """Note that a file held this content once."""
        self.add(f"{path}@{digest}", digest)
