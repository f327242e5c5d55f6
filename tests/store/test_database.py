from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlite_utils import Database

from skillforge.errors import StoreError
from skillforge.store import migrations
from skillforge.store.database import immediate, open_database, rows, store_errors
from skillforge.store.migrations import APPLICATION_ID, MIGRATIONS, SCHEMA_VERSION, missing_triggers

if TYPE_CHECKING:
    from conftest import Opened, Processes


def pragma(db: Database, name: str) -> object:
    return db.conn.execute(f"PRAGMA {name}").fetchone()[0]


def test_a_new_database_is_private_and_set_up(path: Path, db: Database) -> None:
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    expected = {
        "journal_mode": "wal",
        "synchronous": 1,
        "busy_timeout": 10_000,
        "foreign_keys": 1,
        "recursive_triggers": 1,
        "trusted_schema": 0,
        "user_version": SCHEMA_VERSION,
        "application_id": APPLICATION_ID,
    }
    assert {name: pragma(db, name) for name in expected} == expected
    assert all(table.strict for table in db.tables)
    assert missing_triggers(db) == []


def test_opening_again_changes_nothing(path: Path, opened: Opened) -> None:
    first = opened(path).schema
    assert opened(path).schema == first


def test_a_file_at_schema_0_gets_every_step(path: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    path.parent.mkdir()
    path.touch()
    extra = (*MIGRATIONS, ("CREATE TABLE later (n INTEGER) STRICT", "INSERT INTO later VALUES (1)"))
    monkeypatch.setattr(migrations, "MIGRATIONS", extra)
    monkeypatch.setattr(migrations, "SCHEMA_VERSION", len(extra))
    db = opened(path)
    assert pragma(db, "user_version") == len(extra)
    assert rows(db, "SELECT n FROM later") == [{"n": 1}]


def test_an_older_file_gets_only_the_later_steps(path: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    old = opened(path)
    with immediate(old) as conn:
        conn.execute("INSERT INTO skills VALUES ('kept', 'now')")
    extra = (*MIGRATIONS, ("ALTER TABLE skills ADD COLUMN note TEXT",))
    monkeypatch.setattr(migrations, "MIGRATIONS", extra)
    monkeypatch.setattr(migrations, "SCHEMA_VERSION", len(extra))
    assert rows(opened(path), "SELECT name, note FROM skills") == [{"name": "kept", "note": None}]


def test_a_failing_step_leaves_the_file_as_it_was(path: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    before = opened(path).schema
    extra = (*MIGRATIONS, ("CREATE TABLE half (n INTEGER) STRICT", "this is not SQL"))
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "MIGRATIONS", extra)
        patch.setattr(migrations, "SCHEMA_VERSION", len(extra))
        with pytest.raises(StoreError, match="syntax error"):
            open_database(path)
    again = opened(path)
    assert again.schema == before
    assert pragma(again, "user_version") == SCHEMA_VERSION


FIRST_OPENS = """
    import sys, time
    from pathlib import Path
    from skillforge.store.database import open_database
    import sqlite_utils
    while time.time() < float(sys.argv[2]):
        time.sleep(0.001)
    for n in range(20):
        open_database(Path(sys.argv[1]) / str(n) / "registry.db").close()
"""


def test_concurrent_first_opens_by_8_processes_all_succeed(
    tmp_path: Path, processes: Processes, opened: Opened
) -> None:
    start = time.time() + 2.5
    for _ in range(8):
        processes.start(FIRST_OPENS, tmp_path, start)
    processes.finish()
    for n in range(20):
        assert missing_triggers(opened(tmp_path / str(n) / "registry.db")) == []


def test_immediate_commits_rolls_back_and_does_not_nest(db: Database) -> None:
    with immediate(db) as conn:
        conn.execute("INSERT INTO skills VALUES ('kept', 'now')")
    with suppress(KeyError), immediate(db) as conn:
        conn.execute("INSERT INTO skills VALUES ('lost', 'now')")
        raise KeyError
    with pytest.raises(StoreError, match="already under way"), immediate(db), immediate(db):
        pass
    assert not db.conn.in_transaction
    assert [row["name"] for row in rows(db, "SELECT name FROM skills")] == ["kept"]


def test_a_file_that_is_no_database_is_named_and_left_alone(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"diary: today I wrote some tests\n" * 100)
    before = path.read_bytes()
    with pytest.raises(StoreError, match="not a SQLite database") as caught:
        open_database(path)
    assert str(path) in str(caught.value)
    assert "SKILLFORGE_DB" in caught.value.hint
    assert path.read_bytes() == before


def test_another_programs_database_is_refused_and_left_alone(path: Path) -> None:
    path.parent.mkdir()
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE runs (theirs TEXT)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="another program's database"):
        open_database(path)
    assert path.read_bytes() == before


def test_a_newer_schema_is_refused_with_the_mending_step(path: Path) -> None:
    with open_database(path) as db:
        db.conn.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="schema version 99") as caught:
        open_database(path)
    assert "upgrade" in caught.value.hint


def test_damaged_pages_are_named(path: Path) -> None:
    with open_database(path) as db, immediate(db) as conn:
        conn.executemany("INSERT INTO skills VALUES (?, 'now')", [(f"skill-{n}",) for n in range(5000)])
    data = bytearray(path.read_bytes())
    data[4096 * 2 :] = b"\xff" * (len(data) - 4096 * 2)
    path.write_bytes(bytes(data))
    with pytest.raises(StoreError, match="is damaged") as caught, open_database(path) as db:
        rows(db, "SELECT * FROM skills")
    assert str(path) in str(caught.value)
    assert "backup" in caught.value.hint


def test_a_folder_or_an_impossible_path_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is a folder"):
        open_database(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be created") as caught:
        open_database(tmp_path / "file" / "registry.db")
    assert "permissions" in caught.value.hint


def test_missing_permissions_are_a_store_error() -> None:
    me = os.geteuid()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "registry.db"
        open_database(path).close()
        path.parent.chmod(0o755)
        path.chmod(0)
        try:
            if me == 0:  # root reads everything: be nobody for a moment
                os.seteuid(65534)
            with pytest.raises(StoreError, match="cannot be opened") as caught:
                open_database(path)
        finally:
            os.seteuid(me)
    assert str(path) in str(caught.value)
    assert "permissions" in caught.value.hint


def test_a_long_lock_is_a_store_error_that_says_to_wait(path: Path, opened: Opened) -> None:
    holder, waiter = opened(path), opened(path)
    waiter.conn.execute("PRAGMA busy_timeout = 20")
    with immediate(holder), pytest.raises(StoreError, match="is locked") as caught, immediate(waiter):
        pass
    assert "wait" in caught.value.hint


def test_any_other_error_of_sqlite_hints_at_what_can_be_done(path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be used") as caught, store_errors(path):
        raise sqlite3.DatabaseError("something new")
    assert "restore it from a backup" in caught.value.hint
    assert "skillforge " not in caught.value.hint


def test_a_full_disk_rolls_back_and_says_so(db: Database) -> None:
    db.conn.execute(f"PRAGMA max_page_count = {pragma(db, 'page_count')}")
    with pytest.raises(StoreError, match="disk is full"), immediate(db) as conn:
        conn.execute("INSERT INTO skills VALUES (?, 'now')", ("x" * 200_000,))
    assert not db.conn.in_transaction
    assert rows(db, "SELECT * FROM skills") == []


def test_an_input_output_error_on_a_full_disk_is_told_as_a_full_disk(path: Path, monkeypatch) -> None:
    """SQLite says so where its log or its index cannot grow."""
    for free, told in ((0, "disk is full"), (1 << 30, "cannot be read or written")):
        monkeypatch.setattr(shutil, "disk_usage", lambda folder, free=free: shutil._ntuple_diskusage(1 << 40, 0, free))
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR | (19 << 8)  # SQLITE_IOERR_SHMSIZE
        with pytest.raises(StoreError, match=told), store_errors(path):
            raise error


def test_dropped_and_altered_triggers_are_listed(db: Database) -> None:
    db.conn.execute("DROP TRIGGER versions_no_update")
    db.conn.execute("DROP TRIGGER evidence_no_delete")
    db.conn.execute("CREATE TRIGGER evidence_no_delete BEFORE DELETE ON evidence BEGIN SELECT 1; END")
    assert missing_triggers(db) == ["versions_no_update", "evidence_no_delete"]


def test_a_table_rebuild_by_sqlite_utils_is_noticed(db: Database) -> None:
    db.table("evidence").transform(rename={"harness": "frame"})
    assert "evidence_no_update" in missing_triggers(db)
