"""The one SQLite file: opening it, its write transactions, and its errors in our words."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from skillforge.errors import StoreError
from skillforge.store.migrations import check_ours, migrate

if TYPE_CHECKING:
    from sqlite_utils import Database

BUSY_MS = 10_000
_LEAST_FREE = 65_536  # bytes; the index of the log (-shm) grows by 32 KiB

_PRAGMAS = (
    "PRAGMA synchronous = NORMAL",
    "PRAGMA foreign_keys = ON",
    # Without it INSERT OR REPLACE deletes rows without firing their triggers.
    "PRAGMA recursive_triggers = ON",
    # A database may come from anywhere: its views and triggers may call no function with side effects.
    "PRAGMA trusted_schema = OFF",
)

_PERMISSIONS = "check the permissions of the file and of its folder (SQLite writes beside it), or set SKILLFORGE_DB"
_SET_ASIDE = "move the file away (skills are saved again from their files), or set SKILLFORGE_DB to another path"

# What SQLite's primary result codes mean to the caller, and what mends it (https://sqlite.org/rescode.html).
_MEANINGS = {
    sqlite3.SQLITE_NOTADB: ("is not a SQLite database", _SET_ASIDE),
    sqlite3.SQLITE_CORRUPT: ("is damaged", f"restore it from a backup, or {_SET_ASIDE}"),
    sqlite3.SQLITE_BUSY: (
        f"is locked: another process has been writing for more than {BUSY_MS // 1000} s",
        "wait for that process or end it, then try again",
    ),
    sqlite3.SQLITE_LOCKED: ("is locked by this process", "finish the other write first"),
    sqlite3.SQLITE_READONLY: ("cannot be written", _PERMISSIONS),
    sqlite3.SQLITE_PERM: ("cannot be opened", _PERMISSIONS),
    sqlite3.SQLITE_CANTOPEN: ("cannot be opened", _PERMISSIONS),
    sqlite3.SQLITE_FULL: ("cannot grow: the disk is full", "free some space, then try again: nothing was half written"),
    sqlite3.SQLITE_IOERR: ("cannot be read or written", "check the disk; a network filesystem cannot hold it"),
    sqlite3.SQLITE_CONSTRAINT: ("refuses the write", "this is a rule of the registry, not a fault of the file"),
}


def open_database(path: Path) -> Database:
    """Open the registry at ``path``, creating it (folder 0700, file 0600) and bringing its schema up to date.

    The connection belongs to the calling thread and to whoever closes it. Raises ``StoreError`` naming the file.
    """
    from sqlite_utils import Database

    path = Path(os.path.abspath(path))
    _create_private(path)
    with store_errors(path):
        conn = sqlite3.connect(path, isolation_level=None, timeout=BUSY_MS / 1000)
        try:
            _prepare(conn, path)
            # Installed sqlite-utils plugins would run code on every open.
            return Database(conn, execute_plugins=False)
        except BaseException:
            conn.close()
            raise


def immediate(db: Database) -> AbstractContextManager[sqlite3.Connection]:
    """One write transaction: ``BEGIN IMMEDIATE``, then ``COMMIT``, or ``ROLLBACK`` on any exception.

    Immediate, since a deferred transaction that turns into a writer fails at once under contention, whatever the busy
    timeout. Nesting raises ``StoreError``. Keep it short and never wait for anything else inside.
    """
    return _Transaction(db)


class _Transaction:
    """A class and not a generator: an eval enters it once a sample."""

    __slots__ = ("_conn", "_db")

    def __init__(self, db: Database) -> None:
        self._db = db
        self._conn: sqlite3.Connection = db.conn

    def __enter__(self) -> sqlite3.Connection:
        if self._conn.in_transaction:
            raise StoreError("a write to the registry is already under way", hint="finish it before starting another")
        try:
            self._conn.execute("BEGIN IMMEDIATE")
        except sqlite3.Error:
            with store_errors(self._db):
                raise
        return self._conn

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._conn.execute("COMMIT")
                return
        except BaseException as exc:
            error = exc
        # SQLite may have rolled back on its own (disk full); the first error is the one to report.
        with suppress(sqlite3.Error):
            if self._conn.in_transaction:
                self._conn.execute("ROLLBACK")
        with store_errors(self._db):
            raise error


def rows(db: Database, sql: str, params: Sequence[Any] = ()) -> list[dict[str, Any]]:
    """All rows of a query as dicts; ``StoreError`` where the file cannot be read."""
    with store_errors(db):
        return list(db.query(sql, list(params)))


@contextmanager
def store_errors(where: Database | Path) -> Iterator[None]:
    """Turn SQLite's errors into ``StoreError`` with the file's name and a mending step.

    Misuse of a connection (``ProgrammingError``: closed, or of another thread) is a bug, and passes as it is.
    """
    try:
        yield
    except sqlite3.ProgrammingError:
        raise
    except sqlite3.DatabaseError as exc:
        path = where if isinstance(where, Path) else database_path(where)
        code = getattr(exc, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_IOERR and _is_full(path.parent):
            code = sqlite3.SQLITE_FULL
        meaning, hint = _MEANINGS.get(code, ("cannot be used", f"restore it from a backup, or {_SET_ASIDE}"))
        raise StoreError(f"{path} {meaning} ({exc})", hint=hint) from exc
    except OverflowError as exc:
        raise StoreError(
            "a number is too large to be stored (64-bit integers)", hint="check the usage figures"
        ) from exc


def database_path(db: Database) -> Path:
    """The file behind a connection."""
    return Path(str(db.conn.execute("PRAGMA database_list").fetchone()[2]))


def is_unwritable(error: StoreError) -> bool:
    """Whether the file may not be written, or nothing beside it: what is wrong is where it lies, not what it holds."""
    code = getattr(error.__cause__, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN)


def is_of_the_file(error: Exception) -> bool:
    """Whether a write failed for what the file or its disk is (locked, full, unwritable), not for what was written."""
    return isinstance(error, StoreError) and isinstance(error.__cause__, sqlite3.OperationalError)


def _is_full(folder: Path) -> bool:
    """Whether a page more finds no place: SQLite calls it an input/output error where its log or its index cannot
    grow.
    """
    try:
        return shutil.disk_usage(folder).free < _LEAST_FREE
    except OSError:
        return False


def utc_now() -> str:
    """The time in UTC, ISO 8601 with milliseconds: ``2026-01-31T09:30:00.123Z``."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")[: -len("+00:00")] + "Z"


def _create_private(path: Path) -> None:
    """The folder and an empty file for this user only. SQLite gives its -wal and -shm files the mode of the file."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.is_dir():
            raise StoreError(f"{path} is a folder, not a registry file", hint="set SKILLFORGE_DB to a file's path")
        with suppress(FileExistsError):
            # Only ever opened when new: closing any descriptor of a live SQLite file drops the process's locks on it.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as exc:
        raise StoreError(f"{path} cannot be created: {exc.strerror or exc}", hint=_PERMISSIONS) from exc


def _prepare(conn: sqlite3.Connection, path: Path) -> None:
    """Journal mode, pragmas, schema. All of it can be repeated, and is while other processes do the same.

    The switch to write-ahead logging ignores the busy timeout, so concurrent first opens need the retry.
    """
    deadline = time.monotonic() + BUSY_MS / 1000
    while True:
        try:
            check_ours(conn, path)
            if conn.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                conn.execute("PRAGMA journal_mode = WAL").fetchone()
            for pragma in _PRAGMAS:
                conn.execute(pragma)
            migrate(conn, path)
            return
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(random.uniform(0.002, 0.02))
