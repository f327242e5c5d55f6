"""A skill's file beside the registry and the lock: which of them changed since they last agreed, by digest."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from skillforge.config import SKILLS_FOLDER
from skillforge.errors import NotFound
from skillforge.lockfile import LockedSkill
from skillforge.skill import Skill
from skillforge.skillfile import SKILL_FILE, SkillFile, read_skill
from skillforge.store.registry import Registry, SkillVersion
from skillforge.yamlfile import dump_yaml

State = Literal["in_sync", "new", "file_changed", "registry_changed", "conflict", "missing_file", "deleted"]

SHOWN_LINES = 200


@dataclass(frozen=True)
class Compared:
    """One skill. ``base`` is the digest that file and registry last agreed on, ``file`` what stands in ``skill.yaml``
    (``None`` without one), ``ours`` the version that the registry has to offer: its own newest, or what would restore a
    missing or deleted file. A file that is new wins over it.
    """

    name: str
    state: State
    base: str
    file: SkillFile | None
    ours: SkillVersion | None

    @property
    def digest(self) -> str:
        """The digest of the file; empty without one."""
        return "" if self.file is None else self.file.skill.digest()


def compare(root: Path, name: str, entry: LockedSkill, registry: Registry | None, seen: Collection[str]) -> Compared:
    """Which side changed. ``registry`` is ``None`` where there is no database: then only files and lock are compared.

    ``seen`` are digests that the file has held or was chosen over. Raises ``SkillFileError`` for what is no skill.
    """
    folder = root / SKILLS_FOLDER / name
    file = read_skill(folder) if (folder / SKILL_FILE).is_file() else None
    living = _living(registry, name)
    numbers = {locked: number for number, locked in entry.versions.items()}
    if file is None:
        gone = set(entry.versions) <= set(entry.deleted)
        own = _own(living, numbers.get(entry.head, 0), {entry.head, *seen})
        return Compared(name, "deleted" if gone else "missing_file", entry.head, None, own or _reviewed(living, entry))
    digest = file.skill.digest()
    if _is_deleted(digest, entry, registry, name, living):
        return Compared(name, "deleted", entry.head, file, living[-1] if living else None)
    agreed = digest == entry.head or numbers.get(digest, 0) > numbers.get(entry.head, 0)
    base = digest if agreed else entry.head  # a promotion has moved on without it
    own = _own(living, numbers.get(base, 0), {base, *seen})
    if not base:
        return Compared(name, "new", base, file, own)
    if own is None or own.digest == digest:
        return Compared(name, "in_sync" if agreed else "file_changed", base, file, None)
    return Compared(name, "registry_changed" if agreed else "conflict", base, file, own)


def changes(old: Skill, new: Skill, names: tuple[str, str]) -> str:
    """A unified diff of two skills as YAML, shortened."""
    lines = list(difflib.unified_diff(_lines(old), _lines(new), *names, lineterm="", n=1))
    if len(lines) > SHOWN_LINES:
        lines = [*lines[:SHOWN_LINES], f"… and {len(lines) - SHOWN_LINES} more lines"]
    return "\n".join(lines)


def _lines(skill: Skill) -> list[str]:
    return dump_yaml(skill.model_dump(mode="json", by_alias=True, exclude_defaults=True)).splitlines()


def _living(registry: Registry | None, name: str) -> list[SkillVersion]:
    try:
        return [] if registry is None else registry.versions(name)
    except NotFound:
        return []


def _is_deleted(
    digest: str, entry: LockedSkill, registry: Registry | None, name: str, living: Collection[SkillVersion]
) -> bool:
    if digest in {entry.versions.get(number) for number in entry.deleted}:
        return True
    stored = digest in registry.digests(name).values() if registry is not None else False
    return stored and all(item.digest != digest for item in living)


def _own(living: Sequence[SkillVersion], since: int, seen: Collection[str]) -> SkillVersion | None:
    """What the registry alone has to offer: its newest version, where that came after ``since`` and not from the file.

    What was saved from the skill's own file, or from what git holds of it, the file has been: it went on since.
    """
    newest = living[-1] if living else None
    if newest is None or newest.version <= since or newest.digest in seen:
        return None
    from_file = (newest.source_path or "").startswith(f"{SKILLS_FOLDER}/{newest.name}/")
    return None if from_file else newest


def _reviewed(living: Sequence[SkillVersion], entry: LockedSkill) -> SkillVersion | None:
    """The version that file and registry last agreed on, else the newest reviewed one that is here."""
    reviewed = [item for item in living if item.digest in entry.versions.values()]
    return next((item for item in reviewed if item.digest == entry.head), reviewed[-1] if reviewed else None)
