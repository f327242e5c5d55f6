"""Which version has which number: the reviewed numbers of ``skillforge.lock`` win over local drafts."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from skillforge.store.migrations import unguarded

_BURIED = """EXISTS (SELECT 1 FROM tombstones
    WHERE tombstones.skill = versions.skill AND tombstones.version = versions.version)"""

# Of a row of ``versions``: what git says of a reviewed number counts, so that another branch may not know a deletion.
# Without its content a version is gone whatever git says.
DELETED = f"""(coalesce(
    (SELECT deleted FROM locked WHERE locked.skill = versions.skill AND locked.version = versions.version),
    {_BURIED}) OR (versions.body = '' AND {_BURIED}))"""

# Of a deleted row: a purge took its content away, and left its number.
PURGED_CONTENT = f"body = '' AND {DELETED}"


@dataclass(frozen=True, slots=True)
class Renumbered:
    """A stored version that got another number."""

    name: str
    old: int
    new: int
    digest: str


def renumber(conn: sqlite3.Connection, name: str, locked: Mapping[int, str]) -> list[Renumbered]:
    """Give stored versions of ``name`` the numbers that ``locked`` (number -> digest) says, inside a transaction.

    What stands at such a number with another digest gets the next free one; its runs and its tombstone follow.
    """
    found = conn.execute("SELECT version, digest FROM versions WHERE skill = ?", (name,)).fetchall()
    before: dict[int, str] = dict(found)
    moves = _moves(before, locked)
    if not moves:
        return []
    conn.execute("PRAGMA defer_foreign_keys = ON")  # until the commit: tombstones move after their versions
    with unguarded(conn):
        for old, new in moves:
            for table in ("versions", "tombstones", "runs"):
                conn.execute(f"UPDATE {table} SET version = ? WHERE skill = ? AND version = ?", (new, name, old))
    after = dict(conn.execute("SELECT digest, version FROM versions WHERE skill = ?", (name,)).fetchall())
    changed = ((old, after[digest], digest) for old, digest in sorted(before.items()))
    return [Renumbered(name, old, new, digest) for old, new, digest in changed if old != new]


def next_number(conn: sqlite3.Connection, name: str, digest: str) -> int:
    """The number that content gets: its own where it is reviewed, else the next that neither side has used."""
    own = conn.execute(
        "SELECT min(version) FROM locked WHERE skill = :name AND digest = :digest"
        " AND version NOT IN (SELECT version FROM versions WHERE skill = :name)",
        {"name": name, "digest": digest},
    ).fetchone()[0]
    if own is not None:
        return int(own)
    newest = conn.execute(
        "SELECT max((SELECT coalesce(max(version), 0) FROM versions WHERE skill = :name),"
        " (SELECT coalesce(max(version), 0) FROM locked WHERE skill = :name))",
        {"name": name},
    ).fetchone()[0]
    return int(newest) + 1


def _moves(stored: Mapping[int, str], locked: Mapping[int, str]) -> list[tuple[int, int]]:
    """(old, new) in an order in which every new number is free."""
    held = dict(stored)
    free = max([0, *stored, *locked]) + 1
    moves = []
    for number, digest in sorted(locked.items()):
        if held.get(number, digest) != digest:
            moves.append((number, free))
            held[free] = held.pop(number)
            free += 1
    at = {digest: number for number, digest in held.items()}
    for number, digest in sorted(locked.items()):
        old = at.get(digest, number)
        if old != number and locked.get(old) != digest:
            moves.append((old, number))
            at[digest] = number
    return moves
