"""The schema, as numbered steps that are only ever appended, and the triggers that must exist."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from skillforge.errors import StoreError

if TYPE_CHECKING:
    from sqlite_utils import Database

# "SKFG" in the file's header: tells a registry from any other SQLite file.
APPLICATION_ID = 0x534B4647

# Triggers, not good manners, keep these rows as they were written. The insert rule holds for connections without
# recursive_triggers too, where INSERT OR REPLACE would walk around the delete rule.
_IMMUTABLE = {
    "versions_no_update": """
        CREATE TRIGGER versions_no_update BEFORE UPDATE ON versions
        BEGIN SELECT RAISE(ABORT, 'a saved version never changes'); END""",
    "versions_no_delete": """
        CREATE TRIGGER versions_no_delete BEFORE DELETE ON versions
        BEGIN SELECT RAISE(ABORT, 'a saved version is never deleted'); END""",
    "versions_no_replace": """
        CREATE TRIGGER versions_no_replace BEFORE INSERT ON versions
        WHEN EXISTS (SELECT 1 FROM versions
                     WHERE skill = NEW.skill AND (version = NEW.version OR digest = NEW.digest))
        BEGIN SELECT RAISE(ABORT, 'a saved version is never replaced'); END""",
    "evidence_no_update": """
        CREATE TRIGGER evidence_no_update BEFORE UPDATE ON evidence
        BEGIN SELECT RAISE(ABORT, 'evidence never changes'); END""",
    "evidence_no_delete": """
        CREATE TRIGGER evidence_no_delete BEFORE DELETE ON evidence
        BEGIN SELECT RAISE(ABORT, 'evidence is never deleted'); END""",
    "evidence_no_replace": """
        CREATE TRIGGER evidence_no_replace BEFORE INSERT ON evidence
        WHEN EXISTS (SELECT 1 FROM evidence WHERE id = NEW.id)
        BEGIN SELECT RAISE(ABORT, 'evidence is never replaced'); END""",
}
# Came with the table, in the third step.
_BURIED = {
    "tombstones_no_update": """
        CREATE TRIGGER tombstones_no_update BEFORE UPDATE ON tombstones
        BEGIN SELECT RAISE(ABORT, 'a deletion never changes'); END""",
    "tombstones_no_delete": """
        CREATE TRIGGER tombstones_no_delete BEFORE DELETE ON tombstones
        BEGIN SELECT RAISE(ABORT, 'a deletion is never undone'); END""",
    "tombstones_no_replace": """
        CREATE TRIGGER tombstones_no_replace BEFORE INSERT ON tombstones
        WHEN EXISTS (SELECT 1 FROM tombstones WHERE skill = NEW.skill AND version = NEW.version)
        BEGIN SELECT RAISE(ABORT, 'a deletion is never replaced'); END""",
}
TRIGGERS = {**_IMMUTABLE, **_BURIED}  # all that must exist

# Columns named *_estimated are 0 or 1; ids of runs sort by time; JSON is TEXT (json_valid() in a CHECK is refused under
# trusted_schema=OFF by SQLite 3.40).
_FIRST = (
    "CREATE TABLE skills (name TEXT NOT NULL PRIMARY KEY, created_at TEXT NOT NULL) STRICT",
    """CREATE TABLE versions (
        skill TEXT NOT NULL REFERENCES skills (name),
        version INTEGER NOT NULL CHECK (version > 0),
        digest TEXT NOT NULL,
        body TEXT NOT NULL,
        source BLOB,
        source_path TEXT,
        task TEXT NOT NULL,
        provenance TEXT NOT NULL,
        status TEXT NOT NULL DEFAULT 'draft',
        created_at TEXT NOT NULL,
        PRIMARY KEY (skill, version),
        UNIQUE (skill, digest)
    ) STRICT""",
    """CREATE TABLE runs (
        id TEXT NOT NULL PRIMARY KEY,
        skill TEXT NOT NULL,
        version INTEGER,
        digest TEXT NOT NULL,
        student TEXT NOT NULL,
        model TEXT NOT NULL,
        status TEXT NOT NULL,
        reason TEXT NOT NULL,
        input TEXT,
        output TEXT,
        checks TEXT NOT NULL,
        input_tokens INTEGER,
        cached_tokens INTEGER,
        output_tokens INTEGER,
        tokens_estimated INTEGER NOT NULL,
        usd REAL,
        cost_estimated INTEGER NOT NULL,
        cost_basis TEXT NOT NULL,
        latency_s REAL,
        tags TEXT NOT NULL,
        source TEXT NOT NULL CHECK (source IN ('run', 'eval', 'create')),
        created_at TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX runs_skill ON runs (skill)",
    """CREATE TABLE attempts (
        run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
        n INTEGER NOT NULL,
        kind TEXT NOT NULL,
        text TEXT,
        problems TEXT NOT NULL,
        stop TEXT NOT NULL,
        model TEXT NOT NULL,
        input_tokens INTEGER,
        cached_tokens INTEGER,
        output_tokens INTEGER,
        tokens_estimated INTEGER NOT NULL,
        usd REAL,
        cost_estimated INTEGER NOT NULL,
        cost_basis TEXT NOT NULL,
        latency_s REAL,
        error TEXT NOT NULL,
        PRIMARY KEY (run_id, n)
    ) STRICT""",
    """CREATE TABLE samples (
        key TEXT NOT NULL PRIMARY KEY,
        arm TEXT NOT NULL,
        case_id TEXT NOT NULL,
        status TEXT NOT NULL CHECK (status IN ('ok', 'error')),
        kept TEXT NOT NULL CHECK (kept IN ('full', 'redacted')),
        run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
        created_at TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX samples_run ON samples (run_id)",
    """CREATE TABLE traces (
        key TEXT NOT NULL PRIMARY KEY,
        task TEXT NOT NULL,
        case_id TEXT NOT NULL,
        teacher TEXT NOT NULL,
        status TEXT NOT NULL CHECK (status IN ('ok', 'error')),
        body TEXT NOT NULL,
        created_at TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE evidence (
        id INTEGER PRIMARY KEY,
        skill TEXT NOT NULL,
        digest TEXT NOT NULL,
        student TEXT NOT NULL,
        student_identity TEXT NOT NULL,
        teacher TEXT NOT NULL,
        teacher_identity TEXT NOT NULL,
        suite TEXT NOT NULL,
        suite_digest TEXT NOT NULL,
        split TEXT NOT NULL,
        cases INTEGER NOT NULL,
        harness TEXT NOT NULL,
        verdict TEXT NOT NULL,
        report TEXT NOT NULL,
        samples TEXT NOT NULL,
        created_at TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX evidence_measured ON evidence (digest, student, suite_digest)",
    "CREATE INDEX evidence_skill ON evidence (skill)",
    *_IMMUTABLE.values(),
)

# Tokens written to a prompt cache and thought in silence; how many requests an attempt took; and paid answers that no
# finished row holds yet.
_SECOND = (
    *(
        f"ALTER TABLE {table} ADD COLUMN {column} INTEGER"
        for table in ("runs", "attempts")
        for column in ("written_tokens", "reasoning_tokens")
    ),
    "ALTER TABLE attempts ADD COLUMN calls INTEGER NOT NULL DEFAULT 1",
    """CREATE TABLE answers (
        key TEXT NOT NULL PRIMARY KEY,
        model TEXT NOT NULL,
        body TEXT NOT NULL,
        counted INTEGER NOT NULL DEFAULT 0,
        created_at TEXT NOT NULL
    ) STRICT""",
)

# Recorded calls of other programs, the groups a scan found in them, deleted versions, what skillforge.lock says of the
# numbers of versions (also of those whose content is not here), which reviewed files were read already (``stamp`` is
# what a look at the file's status gives), and what a run's alias did.
_THIRD = (
    """CREATE TABLE calls (
        id TEXT NOT NULL PRIMARY KEY,
        at TEXT NOT NULL,
        api TEXT NOT NULL,
        model TEXT NOT NULL,
        conversation TEXT NOT NULL,
        subject TEXT NOT NULL,
        tags TEXT NOT NULL,
        input_tokens INTEGER,
        output_tokens INTEGER,
        usd REAL,
        list_usd REAL,
        latency_s REAL,
        error TEXT NOT NULL,
        body TEXT NOT NULL,
        source TEXT NOT NULL CHECK (source IN ('wrap', 'import')),
        created_at TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX calls_at ON calls (at)",
    """CREATE TABLE call_groups (
        id TEXT NOT NULL PRIMARY KEY,
        body TEXT NOT NULL,
        created_at TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE tombstones (
        skill TEXT NOT NULL,
        version INTEGER NOT NULL,
        reason TEXT NOT NULL,
        created_at TEXT NOT NULL,
        PRIMARY KEY (skill, version),
        FOREIGN KEY (skill, version) REFERENCES versions (skill, version)
    ) STRICT""",
    *_BURIED.values(),
    """CREATE TABLE locked (
        skill TEXT NOT NULL,
        version INTEGER NOT NULL CHECK (version > 0),
        digest TEXT NOT NULL,
        deleted INTEGER NOT NULL,
        PRIMARY KEY (skill, version)
    ) STRICT""",
    """CREATE TABLE imported (
        path TEXT NOT NULL PRIMARY KEY,
        digest TEXT NOT NULL,
        stamp TEXT NOT NULL DEFAULT '',
        created_at TEXT NOT NULL
    ) STRICT""",
    "ALTER TABLE runs ADD COLUMN alias TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE runs ADD COLUMN fallback TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE attempts ADD COLUMN list_usd REAL",
)

# What judges said (``position`` is the order in which two answers were shown), and how far a judge agreed with people.
_FOURTH = (
    """CREATE TABLE judgements (
        key TEXT NOT NULL PRIMARY KEY,
        judge TEXT NOT NULL,
        question TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('rubric', 'pairwise')),
        position TEXT NOT NULL CHECK (position IN ('', 'AB', 'BA')),
        status TEXT NOT NULL CHECK (status IN ('ok', 'unreadable', 'error')),
        grade TEXT NOT NULL,
        replies TEXT NOT NULL,
        error TEXT NOT NULL,
        input_tokens INTEGER,
        cached_tokens INTEGER,
        written_tokens INTEGER,
        output_tokens INTEGER,
        reasoning_tokens INTEGER,
        tokens_estimated INTEGER NOT NULL,
        usd REAL,
        cost_estimated INTEGER NOT NULL,
        cost_basis TEXT NOT NULL,
        list_usd REAL,
        latency_s REAL,
        calls INTEGER NOT NULL,
        skill TEXT NOT NULL,
        created_at TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE alignments (
        id INTEGER PRIMARY KEY,
        question TEXT NOT NULL,
        judge TEXT NOT NULL,
        body TEXT NOT NULL,
        created_at TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX alignments_of ON alignments (question, judge)",
)

# What the steps of a workflow did, and how far unfinished workflow runs have come. ``key`` of a run says what was asked
# of what, ``asked`` only by what name and input; a step without ``ended_at`` was begun, and nobody knows more. ``body``
# is missing where nothing of it is kept; ``changed``: redaction took something out of it. Trajectories are imported
# traces: ``id`` is the digest of ``body``, ``origin`` the digest of what was read before secrets were taken out.
_FIFTH = (
    "ALTER TABLE runs ADD COLUMN steps TEXT NOT NULL DEFAULT '[]'",
    "ALTER TABLE attempts ADD COLUMN step TEXT NOT NULL DEFAULT ''",
    """CREATE TABLE workflow_runs (
        run_id TEXT NOT NULL PRIMARY KEY,
        key TEXT NOT NULL,
        asked TEXT NOT NULL,
        skill TEXT NOT NULL,
        created_at TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX workflow_runs_asked ON workflow_runs (asked)",
    """CREATE TABLE workflow_steps (
        run_id TEXT NOT NULL REFERENCES workflow_runs (run_id) ON DELETE CASCADE,
        key TEXT NOT NULL,
        writes INTEGER NOT NULL,
        body TEXT,
        changed INTEGER NOT NULL DEFAULT 0,
        started_at TEXT NOT NULL,
        ended_at TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (run_id, key)
    ) STRICT""",
    """CREATE TABLE trajectories (
        id TEXT NOT NULL PRIMARY KEY,
        origin TEXT NOT NULL UNIQUE,
        format TEXT NOT NULL,
        source TEXT NOT NULL,
        task_group TEXT NOT NULL,
        reward REAL,
        task TEXT NOT NULL,
        case_id TEXT NOT NULL,
        at TEXT NOT NULL,
        body TEXT NOT NULL,
        created_at TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX trajectories_group ON trajectories (task_group)",
)

# What makes students good. ``evidence.variant`` is the digest of the student's form of the skill, empty where that is
# the skill itself. A tuning is one search for such a form: ``key`` says what was asked, so that the same command goes
# on with it; ``answers`` are what the teacher said in it. Escalated inputs wait in ``candidate_cases`` to become cases
# of a suite. ``curations`` keep what one step of a curation (``node``: digest of its settings) said of one row.
_SIXTH = (
    "ALTER TABLE runs ADD COLUMN probabilities TEXT NOT NULL DEFAULT '{}'",
    "ALTER TABLE runs ADD COLUMN rungs TEXT NOT NULL DEFAULT '[]'",
    "ALTER TABLE evidence ADD COLUMN variant TEXT NOT NULL DEFAULT ''",
    """CREATE TABLE tunings (
        id TEXT NOT NULL PRIMARY KEY,
        key TEXT NOT NULL,
        skill TEXT NOT NULL,
        digest TEXT NOT NULL,
        student TEXT NOT NULL,
        suite_digest TEXT NOT NULL,
        status TEXT NOT NULL,
        body TEXT NOT NULL,
        created_at TEXT NOT NULL,
        ended_at TEXT NOT NULL DEFAULT ''
    ) STRICT""",
    "CREATE INDEX tunings_of ON tunings (skill, student)",
    """CREATE TABLE tune_candidates (
        tuning TEXT NOT NULL REFERENCES tunings (id) ON DELETE CASCADE,
        id TEXT NOT NULL,
        number INTEGER NOT NULL,
        stage TEXT NOT NULL,
        parent TEXT NOT NULL,
        body TEXT NOT NULL,
        scores TEXT NOT NULL,
        created_at TEXT NOT NULL,
        PRIMARY KEY (tuning, id)
    ) STRICT""",
    """CREATE TABLE tune_answers (
        tuning TEXT NOT NULL REFERENCES tunings (id) ON DELETE CASCADE,
        key TEXT NOT NULL,
        body TEXT NOT NULL,
        created_at TEXT NOT NULL,
        PRIMARY KEY (tuning, key)
    ) STRICT""",
    """CREATE TABLE candidate_cases (
        id TEXT NOT NULL PRIMARY KEY,
        skill TEXT NOT NULL,
        input TEXT NOT NULL,
        output TEXT NOT NULL,
        why TEXT NOT NULL,
        answered_by TEXT NOT NULL,
        run_id TEXT NOT NULL,
        created_at TEXT NOT NULL,
        taken_at TEXT NOT NULL DEFAULT ''
    ) STRICT""",
    "CREATE INDEX candidate_cases_of ON candidate_cases (skill, taken_at)",
    """CREATE TABLE encoders (
        digest TEXT NOT NULL PRIMARY KEY,
        name TEXT NOT NULL,
        skill TEXT NOT NULL,
        skill_digest TEXT NOT NULL,
        card TEXT NOT NULL,
        created_at TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX encoders_of ON encoders (name)",
    """CREATE TABLE curations (
        node TEXT NOT NULL,
        row TEXT NOT NULL,
        body TEXT NOT NULL,
        created_at TEXT NOT NULL,
        PRIMARY KEY (node, row)
    ) STRICT""",
)

# Step n brings user_version from n to n + 1. Append only: files in the field have run the earlier ones.
MIGRATIONS: tuple[tuple[str, ...], ...] = (_FIRST, _SECOND, _THIRD, _FOURTH, _FIFTH, _SIXTH)
SCHEMA_VERSION = len(MIGRATIONS)


def check_ours(conn: sqlite3.Connection, path: Path) -> None:
    """``StoreError`` where the file belongs to another program or to a newer skillforge. Reads only."""
    conn.execute("BEGIN")
    try:
        _schema_version(conn, path)
    finally:
        if conn.in_transaction:  # a full disk ends it by itself
            conn.execute("ROLLBACK")


def migrate(conn: sqlite3.Connection, path: Path) -> None:
    """Bring the schema up to date: all pending steps in one transaction, so concurrent first opens are safe."""
    if conn.execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION:
        return
    conn.execute("BEGIN IMMEDIATE")
    try:
        for step in MIGRATIONS[_schema_version(conn, path) :]:
            for statement in step:
                conn.execute(statement)
        conn.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        conn.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        conn.execute("COMMIT")
    except BaseException:
        if conn.in_transaction:
            conn.execute("ROLLBACK")
        raise


@contextmanager
def unguarded(conn: sqlite3.Connection) -> Iterator[None]:
    """Lift the guards of immutable rows. Inside a transaction only: they stand again when it ends, either way."""
    for name in TRIGGERS:
        conn.execute(f"DROP TRIGGER IF EXISTS {name}")
    yield
    for sql in TRIGGERS.values():
        conn.execute(sql)


def missing_triggers(db: Database) -> list[str]:
    """Names of the triggers that should guard the tables but are gone or were altered (table rebuilds drop them)."""
    found = {name: _squeeze(sql) for name, sql in db.triggers_dict.items()}
    return [name for name, sql in TRIGGERS.items() if found.get(name) != _squeeze(sql)]


def _schema_version(conn: sqlite3.Connection, path: Path) -> int:
    """``user_version`` of a file that is ours or empty. Call it inside a transaction: it reads more than once."""
    version: int = conn.execute("PRAGMA user_version").fetchone()[0]
    owner: int = conn.execute("PRAGMA application_id").fetchone()[0]
    empty = version == 0 and owner == 0 and not conn.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
    if not empty and owner != APPLICATION_ID:
        raise StoreError(f"{path} is another program's database", hint="set SKILLFORGE_DB to another path")
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{path} has schema version {version}; this skillforge knows up to {SCHEMA_VERSION}",
            hint="upgrade skillforge, or set SKILLFORGE_DB to another path",
        )
    return version


def _squeeze(sql: str) -> str:
    return re.sub(r"\s+", " ", sql).strip()
