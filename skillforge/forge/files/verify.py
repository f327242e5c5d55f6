"""Everything that can be checked of what is stored and reviewed: all contents hashed again, all references followed."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from skillforge.config import SKILLS_FOLDER
from skillforge.errors import SkillFileError, SkillforgeError, StoreError
from skillforge.evidencefile import EVIDENCE_FOLDER, read_evidence
from skillforge.forge.deploy.deployed import read_form, read_snapshot
from skillforge.forge.encoders import folder_of, is_known
from skillforge.forge.files.beside import encoder_files, variant_files
from skillforge.forge.files.catchup import catch_up
from skillforge.forge.files.evidence_files import measured
from skillforge.forge.workspace import Workspace
from skillforge.ladder import ENCODER, rungs_of
from skillforge.lockfile import Lock, LockedSkill, read_lock
from skillforge.skillfile import read_skill
from skillforge.store.encoders import EncoderLog
from skillforge.store.registry import Registry
from skillforge.store.trajectories import TrajectoryLog


def verify(work: Workspace) -> list[str]:
    """One line for everything wrong. Without a database the files alone are verified, and that is said."""
    problems: list[str] = []
    lock = Lock()
    try:
        lock = read_lock(work.root)
    except SkillforgeError as exc:
        problems.append(str(exc))
    registry = None
    if work.has_database:
        try:
            registry = Registry(work.database, work.redactor)
            problems += registry.verify()
            problems += TrajectoryLog(work.database, work.redactor).verify()
            catch_up(work.root, work.database, registry, lambda message: None)  # what is wrong is told below
        except StoreError as exc:
            problems.append(str(exc))
    else:
        work.say("there is no registry yet: the files alone are verified")
    for name, entry in lock.skills.items():
        problems += _lock_entry(name, entry)
        problems += _contents(work.root, name, entry, registry)
    for path in sorted((work.root / SKILLS_FOLDER).glob(f"*/{EVIDENCE_FOLDER}/*.json")):
        problems += _evidence(work.root, path, lock, registry)
    log = EncoderLog(work.database) if registry is not None else None
    for folder in sorted(path for path in (work.root / SKILLS_FOLDER).glob("*") if path.is_dir()):
        problems += _beside(work.root, folder, log)
    problems += _gone(work, lock)
    return list(dict.fromkeys(problems))


def _lock_entry(name: str, entry: LockedSkill) -> Iterator[str]:
    """Whether the parts of the lock fit each other; ``read_lock`` has seen to their form."""
    if entry.head and entry.head not in entry.versions.values():
        yield f"skillforge.lock: the head of {name} is {entry.head}, which is none of its versions"
    for move in entry.moves:
        if move.version is not None and move.version not in entry.versions:
            yield f"skillforge.lock: {name}: the move {move.id} goes to @{move.version}, which is none of its versions"
    for number in entry.deleted:
        if number not in entry.versions:
            yield f"skillforge.lock: {name}: @{number} is deleted, but none of its versions"
    for alias, move in entry.aliases.items():
        if move.version in entry.deleted:
            yield f"skillforge.lock: {name}: {alias} points to @{move.version}, which is deleted"


def _contents(root: Path, name: str, entry: LockedSkill, registry: Registry | None) -> Iterator[str]:
    """Whether what the lock names is what is kept under that number, beside the skill and in the registry."""
    moved = {move.version: move.digest for move in entry.moves if move.version is not None}
    for number, digest in sorted(moved.items()):
        if number in entry.deleted:
            continue
        try:
            read_snapshot(root, name, number, digest)
        except SkillFileError as exc:
            yield str(exc)
    for number, digest in entry.forms():
        try:
            read_form(root, name, number, digest)
        except SkillFileError as exc:
            yield str(exc)
    try:
        stored = registry.digests(name) if registry is not None else {}
    except StoreError as exc:
        yield str(exc)
        return
    for number, digest in entry.versions.items():
        if stored.get(number, digest) != digest:
            yield f"{name}@{number} is {stored[number]} in the registry, {digest} in skillforge.lock"


def _beside(root: Path, folder: Path, log: EncoderLog | None) -> Iterator[str]:
    """What is wrong with the variants and the classifiers of a skill; what only its own file is to blame for is not."""
    found = list(encoder_files(folder, lambda card: log is not None and is_known(log, card)))
    with suppress(SkillforgeError):
        found += variant_files(folder, read_skill(folder).skill)
    for path, problem in found:
        if problem.level == "error":
            yield problem.describe(path.relative_to(root).as_posix()).replace(f"{root}/", "")


def _gone(work: Workspace, lock: Lock) -> Iterator[str]:
    """The classifiers that answer in production and are not there."""
    for name, entry in lock.skills.items():
        for alias, move in entry.aliases.items():
            for student in (*rungs_of(move.student), *rungs_of(move.fallback)):
                if student.startswith(ENCODER):
                    try:
                        folder_of(work, student.removeprefix(ENCODER))
                    except SkillforgeError as exc:
                        yield f"skillforge.lock: {name}: {alias} runs {student}: {exc}"


def _evidence(root: Path, path: Path, lock: Lock, registry: Registry | None) -> Iterator[str]:
    shown, name = path.relative_to(root).as_posix(), path.parent.parent.name
    try:
        known = {*lock.skill(name).versions.values(), *_file_digest(path.parent.parent)}
        known |= set(registry.digests(name).values()) if registry is not None else set()
        for item in read_evidence(path):
            measured(item)
            yield from _unknown(shown, item.digest, known)
    except SkillFileError as exc:
        yield str(exc).replace(str(path), shown)
    except (SkillforgeError, ValueError) as exc:
        yield f"{shown}: {exc}"


def _unknown(shown: str, digest: str, known: Collection[str]) -> Iterator[str]:
    if digest not in known:
        yield f"{shown}: measured {digest}, a version that nobody has (skillforge sync takes it out)"


def _file_digest(folder: Path) -> set[str]:
    try:
        return {read_skill(folder).skill.digest()}
    except SkillforgeError:
        return set()
