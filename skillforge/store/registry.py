"""Skills and their versions: append-only, content-addressed, checked against their digest on every read."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from skillforge.canonical import canonical_json
from skillforge.errors import NotFound, SecretFound, StoreError, UsageError
from skillforge.redact import Redactor
from skillforge.ref import LATEST, check_selector
from skillforge.skill import Skill
from skillforge.store.database import database_path, immediate, rows, utc_now
from skillforge.store.migrations import missing_triggers
from skillforge.store.numbers import DELETED, PURGED_CONTENT, Renumbered, next_number, renumber

if TYPE_CHECKING:
    import sqlite3

    from sqlite_utils import Database

_LIVING = f"NOT {DELETED}"
_COLUMNS = "skill, version, digest, body, source_path, task, provenance, status, created_at"


@dataclass(frozen=True, slots=True)
class SkillVersion:
    """One immutable version. ``created_at`` is UTC, ISO 8601; ``task`` is the sentence the teacher was given."""

    name: str
    version: int
    digest: str
    skill: Skill
    status: str
    task: str
    source_path: str | None
    provenance: dict[str, Any]
    created_at: str


@dataclass(frozen=True, slots=True)
class SavedVersion:
    """What ``save`` did: ``created`` is false where this content was stored before."""

    name: str
    version: int
    digest: str
    created: bool


class Registry:
    """The skills in one database. Every method may raise ``StoreError``.

    ``redactor`` knows the secrets that no skill may hold; left out, those are what the patterns find.
    """

    def __init__(self, db: Database, redactor: Redactor | None = None) -> None:
        self._db = db
        self._redactor = redactor or Redactor()

    def save(
        self,
        skill: Skill,
        *,
        source: bytes | None = None,
        source_path: str | None = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> SavedVersion:
        """Store ``skill`` as the next version of its name, or find the version that has the same digest.

        Licence and metadata are not part of the identity: where only they differ, the stored version stays as it is.
        ``source`` is the file as written. Raises ``SecretFound`` (nothing is stored) and ``UsageError`` for content
        that JSON cannot hold or that was deleted: that never comes back.
        """
        digest, body = _encode(skill)
        origin = dict(provenance or {})
        self._refuse(body, source, source_path, origin)
        self._refuse_deleted(skill.name, digest)
        known = self._version_of(skill.name, digest)
        if known is not None:
            return SavedVersion(skill.name, known, digest, created=False)
        with immediate(self._db) as conn:
            # Looked up again: another process may have saved it between the look and the lock.
            known = self._version_of(skill.name, digest)
            if known is not None:
                return SavedVersion(skill.name, known, digest, created=False)
            row = (digest, body, source, source_path, skill.task_sentence, json.dumps(origin))
            return SavedVersion(skill.name, _insert(conn, skill.name, digest, row), digest, created=True)

    def refuse_secrets(self, skill: Skill, *, provenance: Mapping[str, Any] | None = None) -> None:
        """Raise what ``save`` would raise for this skill, ``SecretFound`` or ``UsageError``, and store nothing."""
        _, body = _encode(skill)
        self._refuse(body, None, None, dict(provenance or {}))

    def adopt(self, name: str, numbers: Mapping[int, str], deleted: Collection[int] = ()) -> list[Renumbered]:
        """Take over the reviewed numbers of a skill (number -> digest), and which of them are deleted.

        They are the reviewed content's from now on, whether it is here yet or is saved later. A local draft that holds
        one of them gets the next free number instead; returns every version that got another number.
        """
        gone = set(deleted)
        wanted = {number: (digest, number in gone) for number, digest in numbers.items()}
        if self._locked(name) == wanted:
            return []
        with immediate(self._db) as conn:
            known = self._locked(name)
            old = [(name, number) for number, entry in known.items() if wanted.get(number) != entry]
            new = [(name, number, *entry) for number, entry in wanted.items() if known.get(number) != entry]
            conn.executemany("DELETE FROM locked WHERE skill = ? AND version = ?", old)
            conn.executemany("INSERT INTO locked (skill, version, digest, deleted) VALUES (?, ?, ?, ?)", new)
            return renumber(conn, name, numbers)

    def adopted(self) -> list[str]:
        """Names of the skills with reviewed numbers."""
        return [row["skill"] for row in rows(self._db, "SELECT DISTINCT skill FROM locked ORDER BY skill")]

    def delete(self, name: str, versions: Iterable[int], reason: str) -> None:
        """Put a tombstone on stored versions: they are hidden from then on, and kept. One that has one keeps it."""
        now = utc_now()
        with immediate(self._db) as conn:
            for version in versions:
                conn.execute(
                    "INSERT INTO tombstones (skill, version, reason, created_at) SELECT ?, ?, ?, ?"
                    " WHERE NOT EXISTS (SELECT 1 FROM tombstones WHERE skill = ? AND version = ?)",
                    (name, version, self._redactor.text(reason), now, name, version),
                )

    def digests(self, name: str) -> dict[int, str]:
        """Number and digest of every stored version of ``name``, deleted ones too; empty for an unknown skill."""
        found = rows(self._db, "SELECT version, digest FROM versions WHERE skill = ? ORDER BY version", [name])
        return {row["version"]: row["digest"] for row in found}

    def get(self, name: str, selector: str | None = None) -> SkillVersion:
        """The version that ``selector`` (see ``SkillRef``) picks; ``None`` and ``latest`` are the newest not deleted.

        Raises ``NotFound`` with what exists, or with when and why it was deleted, ``UsageError`` for a malformed or
        ambiguous selector.
        """
        condition: str
        params: list[Any]
        if selector is None or check_selector(selector) == LATEST:
            condition, params = f"{_LIVING} ORDER BY version DESC LIMIT 1", []
        elif selector.startswith("sha256:"):
            condition, params = "substr(digest, 1, ?) = ?", [len(selector), selector]
        else:
            condition, params = "version = ?", [int(selector)]
        found = rows(
            self._db,
            f"SELECT {_COLUMNS}, {DELETED} AS gone FROM versions WHERE skill = ? AND {condition}",
            [name, *params],
        )
        found = [row for row in found if not row["gone"]] or found
        if len(found) > 1:
            matches = ", ".join(f"@{row['version']} ({row['digest'][:23]}…)" for row in found)
            raise UsageError(f"{name}@{selector} is ambiguous: {matches}", hint="write more digits or the number")
        if not found:
            raise self._not_found(name, selector)
        if found[0]["gone"]:
            raise NotFound(self._grave(name, found[0]["version"]), hint=self._others(name))
        return self._load(found[0])

    def versions(self, name: str) -> list[SkillVersion]:
        """All versions of ``name`` that are not deleted, oldest first; ``NotFound`` where there is none."""
        found = rows(
            self._db, f"SELECT {_COLUMNS} FROM versions WHERE skill = ? AND {_LIVING} ORDER BY version", [name]
        )
        if not found:
            raise self._not_found(name, None)
        return [self._load(row) for row in found]

    def skills(self) -> list[SkillVersion]:
        """The newest version of every skill, by name; deleted ones are left out."""
        newest = f"SELECT skill AS s, max(version) AS v FROM versions WHERE {_LIVING} GROUP BY skill"
        found = rows(
            self._db, f"SELECT {_COLUMNS} FROM versions JOIN ({newest}) ON skill = s AND version = v ORDER BY skill"
        )
        return [self._load(row) for row in found]

    def source(self, name: str, version: int) -> bytes | None:
        """The file that a version was saved from, byte for byte; ``None`` where it was not saved from a file."""
        found = rows(self._db, "SELECT source FROM versions WHERE skill = ? AND version = ?", [name, version])
        if not found:
            raise self._not_found(name, str(version))
        source: bytes | None = found[0]["source"]
        return source

    def verify(self) -> list[str]:
        """Everything wrong with the stored skills, one line each: pages, triggers, and every version re-hashed."""
        problems = [
            f"database: {row['quick_check']}"
            for row in rows(self._db, "PRAGMA quick_check")
            if row["quick_check"] != "ok"
        ]
        problems += [f"trigger {name} is missing or altered" for name in missing_triggers(self._db)]
        whole = f"SELECT {_COLUMNS} FROM versions WHERE NOT ({PURGED_CONTENT}) ORDER BY skill, version"
        for row in rows(self._db, whole):
            try:
                _decode(row)
            except ValueError as exc:
                problems.append(f"{row['skill']}@{row['version']}: {exc}")
        return problems

    def _refuse(self, body: str, source: bytes | None, source_path: str | None, provenance: dict[str, Any]) -> None:
        """``SecretFound`` naming the first field that holds one; its value is never repeated."""
        places = list(_texts(json.loads(body)))
        places.append(("the source file", (source or b"").decode("utf-8", "replace")))
        places.append(("source_path", source_path or ""))
        places += _texts(provenance, "provenance")
        for field, text in places:
            if self._redactor.holds_secret(text):
                raise SecretFound(
                    f"{field} holds something that looks like a secret: nothing was saved",
                    hint="take it out of the skill and pass it at run time, or revoke it if it was ever shared",
                )

    def _version_of(self, name: str, digest: str) -> int | None:
        found = rows(self._db, "SELECT version FROM versions WHERE skill = ? AND digest = ?", [name, digest])
        return found[0]["version"] if found else None

    def _load(self, row: Mapping[str, Any]) -> SkillVersion:
        try:
            skill = _decode(row)
            provenance = json.loads(row["provenance"])
        except ValueError as exc:
            raise StoreError(
                f"{database_path(self._db)}: {row['skill']}@{row['version']} is damaged: {exc}",
                hint="restore the registry from a backup, or save the skill again from its file into a new registry",
            ) from exc
        return SkillVersion(
            name=row["skill"],
            version=row["version"],
            digest=row["digest"],
            skill=skill,
            status=row["status"],
            task=row["task"],
            source_path=row["source_path"],
            provenance=provenance,
            created_at=row["created_at"],
        )

    def _locked(self, name: str) -> dict[int, tuple[str, bool]]:
        found = rows(self._db, "SELECT version, digest, deleted FROM locked WHERE skill = ?", [name])
        return {row["version"]: (row["digest"], bool(row["deleted"])) for row in found}

    def _refuse_deleted(self, name: str, digest: str) -> None:
        """``UsageError`` where this content was deleted, here or in the reviewed lock file."""
        number = next((number for number, entry in self._locked(name).items() if entry == (digest, True)), None)
        if number is None:
            found = rows(
                self._db, f"SELECT version FROM versions WHERE skill = ? AND digest = ? AND {DELETED}", [name, digest]
            )
            number = found[0]["version"] if found else None
        if number is not None:
            hint = "change the file (that is a new version), or remove it: what was deleted never comes back by itself"
            raise UsageError(self._grave(name, number), hint=hint)

    def _grave(self, name: str, version: int) -> str:
        found = rows(
            self._db, "SELECT reason, created_at FROM tombstones WHERE skill = ? AND version = ?", [name, version]
        )
        if not found:
            return f"{name}@{version} was deleted, as skillforge.lock says"
        reason = f": {found[0]['reason']}" if found[0]["reason"] else ""
        return f"{name}@{version} was deleted on {found[0]['created_at']}{reason}"

    def _others(self, name: str) -> str:
        found = rows(self._db, f"SELECT version FROM versions WHERE skill = ? AND {_LIVING} ORDER BY version", [name])
        return f"versions of {name}: {_some([str(row['version']) for row in found])}" if found else ""

    def _not_found(self, name: str, selector: str | None) -> NotFound:
        if selector in {str(number) for number in self._locked(name)}:
            hint = f"check out the commit that holds it, then: skillforge save skills/{name}"
            return NotFound(f"{name}@{selector} is reviewed, but its content is only in git's history", hint=hint)
        if others := self._others(name):
            return NotFound(f"{name} has no version @{selector}", hint=others)
        if stored := self.digests(name):
            hint = f"see when and why: skillforge show {name}@{max(stored)}"
            return NotFound(f"every version of {name} was deleted", hint=hint)
        names = [
            row["skill"] for row in rows(self._db, f"SELECT DISTINCT skill FROM versions WHERE {_LIVING} ORDER BY 1")
        ]
        if not names:
            return NotFound(f"no skill named {name}: the registry is empty", hint="name a skill file by its path")
        close = get_close_matches(name, names, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        return NotFound(f"no skill named {name}", hint=f"{hint}skills: {_some(names)}")


def _encode(skill: Skill) -> tuple[str, str]:
    """Digest and JSON body; ``UsageError`` for what would come back as something else (NaN, dates, half surrogates)."""
    try:
        # Python values, not pydantic's JSON mode: that one writes NaN as null and dates as text without a word.
        canonical_json(skill.model_dump())
        return skill.digest(), skill.model_dump_json(by_alias=True)
    except ValueError as exc:
        raise UsageError(
            f"skill {skill.name} cannot be stored: {exc}", hint="keep to JSON values: finite numbers, valid text"
        ) from exc


def _decode(row: Mapping[str, Any]) -> Skill:
    """The skill of a row; ``ValueError`` where it is not what its digest says."""
    try:
        skill = Skill.model_validate_json(row["body"])
    except ValidationError as exc:
        raise ValueError(f"its body is not a skill ({exc.error_count()} problems)") from exc
    digest = skill.digest()
    if digest != row["digest"] or skill.name != row["skill"]:
        raise ValueError(f"its content is {skill.name} {digest}, stored as {row['skill']} {row['digest']}")
    return skill


def _insert(conn: sqlite3.Connection, name: str, digest: str, row: tuple[Any, ...]) -> int:
    now = utc_now()
    conn.execute("INSERT INTO skills (name, created_at) VALUES (?, ?) ON CONFLICT DO NOTHING", (name, now))
    version = next_number(conn, name, digest)
    conn.execute(
        "INSERT INTO versions (skill, version, digest, body, source, source_path, task, provenance, created_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (name, version, *row, now),
    )
    return version


def _texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every text in a JSON value, keys too, with the path to it (``examples.items[3].input.ticket``)."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield f"a key of {path or 'the skill'}", str(key)
            yield from _texts(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _texts(inner, f"{path}[{index}]")


def _some(names: list[str]) -> str:
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
