"""Reviewed files and registry brought together: three-way by digest, and nothing at all where that is a conflict."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal

from skillforge.atomicfile import LEFTOVER, replace_file
from skillforge.config import SKILLS_FOLDER
from skillforge.errors import NotFound, SkillFileError, SkillforgeError, StoreError
from skillforge.evidencefile import EVIDENCE_FOLDER
from skillforge.forge.deploy.deployed import (
    DEPLOYED_FOLDER,
    form_path,
    read_form,
    read_snapshot,
    snapshot_bytes,
    snapshot_path,
)
from skillforge.forge.files.catchup import catch_up
from skillforge.forge.files.compare import Compared, State, changes, compare
from skillforge.forge.files.evidence_files import evidence_changes, write_change
from skillforge.forge.repolock import repository_lock
from skillforge.forge.skills import save_file
from skillforge.forge.workspace import Workspace
from skillforge.lockfile import Lock, LockedSkill, read_lock, write_lock
from skillforge.messages import Value
from skillforge.skillfile import SKILL_FILE, read_skill, write_skill
from skillforge.store.database import is_unwritable
from skillforge.store.evidence import EvidenceLog
from skillforge.store.imports import ImportLog
from skillforge.store.registry import Registry, SkillVersion

Side = Literal["ours", "theirs"]

_DRIFT = ("new", "file_changed", "registry_changed", "missing_file")
_ABANDONED_S = 60.0  # a skill file may be in the middle of being written: nobody holds the lock for that


class SkillSync(Value):
    """One skill. ``state`` is what was found, ``note`` what was done about it, or would be; ``version`` the number that
    the file has afterwards (``None``: not known yet). ``diff`` is of a conflict: from the registry's to the file's.
    """

    name: str
    state: State
    note: str = ""
    version: int | None = None
    diff: str = ""


class SyncReport(Value):
    """What ``sync`` found and did; where ``check`` is true, or there are ``conflicts``, nothing was written.

    ``files`` are what was written or removed beside the skill files (evidence, deployed versions, leftovers);
    ``problems`` is what nothing here can mend.
    """

    check: bool
    skills: tuple[SkillSync, ...]
    files: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    taken: bool = False

    @property
    def conflicts(self) -> tuple[str, ...]:
        """Names of the skills that changed on both sides and were not decided by ``take``."""
        return () if self.taken else tuple(item.name for item in self.skills if item.state == "conflict")

    @property
    def changed(self) -> bool:
        """Whether anything differed, so that it was brought together or would be."""
        return bool(self.files) or any(item.state in (*_DRIFT, "conflict") for item in self.skills)

    @property
    def exit_code(self) -> int:
        """2 for a conflict, 1 for what is not in sync now, else 0."""
        if self.conflicts:
            return 2
        return 1 if self.problems or (self.check and self.changed) else 0


def sync(work: Workspace, *, check: bool = False, take: Side | None = None) -> SyncReport:
    """Bring files and registry together, or say (``check``) what that would do. See ``forge.repository.sync``.

    Raises ``SkillFileError`` for a lock or a skill file that is broken: then nothing is written either.
    """
    if check:
        return _checked(work, _readable(work))
    with repository_lock(work.root):
        read_lock(work.root)  # raises: catching up would go on without it
        registry = work.registry
        catch_up(work.root, work.database, registry, work.say)  # others may have written since
        return _brought_together(work, registry, take)


def _readable(work: Workspace) -> Registry | None:
    """The registry to check against. SQLite writes beside a file that it only reads: where it may not, none."""
    try:
        return Registry(work.database, work.redactor) if work.has_database else None
    except StoreError as exc:
        if not is_unwritable(exc):
            raise
        work.say(f"{exc}\nthe files alone are checked")
        return None


def _checked(work: Workspace, registry: Registry | None) -> SyncReport:
    lock = read_lock(work.root)
    found = _compared(work, lock, registry)
    files, problems = _files(work, lock, registry)
    skills = tuple(_told(work, item, _WOULD[item.state]) for item in found)
    return SyncReport(check=True, skills=skills, files=_names(work, files), problems=tuple(problems))


def _brought_together(work: Workspace, registry: Registry, take: Side | None) -> SyncReport:
    lock = before = read_lock(work.root)
    found = _compared(work, lock, registry)
    if take is None and any(item.state == "conflict" for item in found):
        skills = tuple(_told(work, item, _WOULD[item.state]) for item in found)
        return SyncReport(check=False, skills=skills)
    done: list[SkillSync] = []
    for item in found:
        entry, told = _settled(work, registry, item, lock.skill(item.name), take)
        lock = lock.with_skill(item.name, entry) if entry != lock.skill(item.name) else lock
        done.append(told)
    files, problems = _files(work, lock, registry)
    for path, data in files.items():
        write_change(path, data)
    if lock != before:
        write_lock(work.root, lock)
        catch_up(work.root, work.database, registry, work.say)
    return SyncReport(
        check=False, skills=tuple(done), files=_names(work, files), problems=tuple(problems), taken=take is not None
    )


_WOULD: Mapping[State, str] = {
    "in_sync": "",
    "new": "the file becomes a reviewed version",
    "file_changed": "the file becomes a reviewed version",
    "registry_changed": "the registry's newest version is written to the file",
    "conflict": "file and registry both changed: choose one with skillforge sync --take file|registry",
    "missing_file": "the file is written again (to be rid of the skill: skillforge delete)",
    "deleted": "",
}
_STILL = "what stands in the file was deleted: change it, remove it, or skillforge sync --take registry"


def _compared(work: Workspace, lock: Lock, registry: Registry | None) -> list[Compared]:
    folders = {path.parent.name for path in (work.root / SKILLS_FOLDER).glob(f"*/{SKILL_FILE}")}
    log = ImportLog(work.database) if registry is not None else None
    return [
        compare(work.root, name, lock.skill(name), registry, log.held(_file(name)) if log is not None else ())
        for name in sorted({*lock.skills, *folders})
    ]


def _told(work: Workspace, item: Compared, note: str, version: int | None = None) -> SkillSync:
    diff = ""
    if item.state == "conflict" and item.file is not None and item.ours is not None:
        names = (f"registry {item.name}@{item.ours.version}", f"file {_file(item.name)}")
        diff = work.redactor.text(changes(item.ours.skill, item.file.skill, names))
    if item.state == "deleted" and item.file is not None and not note:
        note = _STILL
    if item.state == "missing_file" and item.ours is None:
        note = f"{_file(item.name)} is gone, and nothing here holds it: restore it from git"
    return SkillSync(name=item.name, state=item.state, note=note, version=version, diff=diff)


def _settled(
    work: Workspace, registry: Registry, item: Compared, entry: LockedSkill, take: Side | None
) -> tuple[LockedSkill, SkillSync]:
    """One skill brought together: its lock entry afterwards, and what was done."""
    by_registry = item.state in ("registry_changed", "missing_file")
    if item.ours is not None and (by_registry or (take == "ours" and item.state in ("conflict", "deleted"))):
        note = _written(work, registry, item, item.ours)
        return _agreed(work, entry, item.ours.version, item.ours.digest, item.name), _told(
            work, item, note, item.ours.version
        )
    if item.file is None or item.state == "deleted":
        return entry, _told(work, item, "")
    saved = save_file(work, item.file.path)
    if item.ours is not None:  # the file was chosen over it: it is not offered again
        ImportLog(work.database).add_held(_file(item.name), item.ours.digest)
    note = "" if item.state == "in_sync" else f"the file is @{saved.version}"
    return _agreed(work, entry, saved.version, saved.digest, item.name), _told(work, item, note, saved.version)


def _agreed(work: Workspace, entry: LockedSkill, version: int, digest: str, name: str) -> LockedSkill:
    held = ImportLog(work.database)
    if digest not in held.held(_file(name)):
        held.add_held(_file(name), digest)
    body = entry.model_dump() | {"head": digest, "versions": {**entry.versions, version: digest}}
    return LockedSkill.model_validate(body)


def _written(work: Workspace, registry: Registry, item: Compared, ours: SkillVersion) -> str:
    """Write a version to the skill's file, with its comments where it was saved from a file; what is lost is said."""
    folder = work.root / SKILLS_FOLDER / item.name
    kept = ""
    if item.file is not None and item.state == "conflict":  # somebody's work: it stays a version
        saved = save_file(work, item.file.path)
        kept = f"; what stood there is kept as @{saved.version}"
    source = registry.source(item.name, ours.version)
    if source is not None and _says(source, ours):
        replace_file(folder / SKILL_FILE, source)
    else:
        write_skill(ours.skill, folder)
        kept += "; its comments are lost" if item.file is not None and b"#" in item.file.source else ""
    return f"@{ours.version} is written to {_file(item.name)}{kept}"


def _says(source: bytes, version: SkillVersion) -> bool:
    """Whether these bytes alone are that version: its examples may stand in a file of their own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / version.name
        folder.mkdir()
        (folder / SKILL_FILE).write_bytes(source)
        try:
            return read_skill(folder).skill.digest() == version.digest
        except SkillforgeError:
            return False


def _files(work: Workspace, lock: Lock, registry: Registry | None) -> tuple[dict[Path, bytes | None], list[str]]:
    """What else should change (``None``: goes), and what cannot be mended."""
    changed: dict[Path, bytes | None] = {}
    problems: list[str] = []
    log = EvidenceLog(work.database) if registry is not None else None
    for folder in sorted(path for path in (work.root / SKILLS_FOLDER).glob("*") if path.is_dir()):
        entry = lock.skills.get(folder.name)
        if entry is not None or (folder / SKILL_FILE).is_file():
            rows = log.for_skill(folder.name) if log is not None else ()
            changed |= evidence_changes(folder, entry or LockedSkill(), rows, work.redactor, work.root)
    for name, entry in lock.skills.items():
        changed |= _snapshots(work.root, name, entry, registry, problems.append)
    changed |= dict.fromkeys(_leftovers(work.root))
    for folder in sorted({path.parent for path in changed}):
        if not folder.resolve().is_relative_to(work.root):
            shown = folder.relative_to(work.root).as_posix()
            problems.append(f"{shown} is a link out of the repository: nothing is changed there")
            changed = {path: data for path, data in changed.items() if path.parent != folder}
    return changed, problems


def _snapshots(
    root: Path, name: str, entry: LockedSkill, registry: Registry | None, problem: Callable[[str], None]
) -> dict[Path, bytes | None]:
    """Deployed versions that are missing or damaged come from the registry; those go that no alias ever had, and those
    that were deleted since.
    """
    changed: dict[Path, bytes | None] = {}
    moved = {move.version: move.digest for move in entry.moves if move.version is not None}
    for number, digest in moved.items():
        if number in entry.deleted:
            continue
        try:
            read_snapshot(root, name, number, digest)
        except SkillFileError as exc:
            try:
                if registry is None:
                    raise NotFound("there is no registry") from None
                content = registry.get(name, digest).skill
                changed[snapshot_path(root, name, number)] = snapshot_bytes(content, digest, number)
            except NotFound:
                problem(str(exc))
    kept = {snapshot_path(root, name, number) for number in moved if number not in entry.deleted}
    for number, digest in entry.forms():
        kept.add(form_path(root, name, number, digest))
        try:
            read_form(root, name, number, digest)
        except SkillFileError as exc:
            problem(str(exc))
    for path in (root / SKILLS_FOLDER / name / DEPLOYED_FOLDER).glob("*.json"):
        if path not in kept:
            changed[path] = None
    return changed


def _leftovers(root: Path) -> Iterator[Path]:
    """Temporary files of killed processes. Those written under the repository's lock are abandoned for certain."""
    pattern = f".*{LEFTOVER}"
    yield from root.glob(pattern)
    for room in (EVIDENCE_FOLDER, DEPLOYED_FOLDER):
        yield from (root / SKILLS_FOLDER).glob(f"*/{room}/{pattern}")
    for path in (root / SKILLS_FOLDER).glob(f"*/{pattern}"):
        with suppress(FileNotFoundError):  # it was no leftover: just now it got its name
            if time.time() - path.stat().st_mtime > _ABANDONED_S:
                yield path


def _names(work: Workspace, files: Mapping[Path, bytes | None]) -> tuple[str, ...]:
    return tuple(
        f"{path.relative_to(work.root).as_posix()}{' (removed)' if data is None else ''}"
        for path, data in sorted(files.items())
    )


def _file(name: str) -> str:
    return f"{SKILLS_FOLDER}/{name}/{SKILL_FILE}"
