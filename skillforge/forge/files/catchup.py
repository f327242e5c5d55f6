"""The database is built from the reviewed files where it is missing or behind: numbers, contents and evidence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from skillforge.canonical import digest_bytes
from skillforge.config import LOCK_FILE, SKILLS_FOLDER
from skillforge.errors import SkillFileError, SkillforgeError
from skillforge.evidencefile import EVIDENCE_FOLDER, evidence_bytes_of, parse_evidence
from skillforge.forge.deploy.deployed import read_snapshot, snapshot_path
from skillforge.forge.files.evidence_files import measured
from skillforge.lockfile import LockedSkill, lock_path, read_lock
from skillforge.skillfile import SKILL_FILE, SkillFile, read_skill
from skillforge.store.evidence import EvidenceLog
from skillforge.store.imports import ImportLog
from skillforge.store.registry import Registry

if TYPE_CHECKING:
    from sqlite_utils import Database

_NOTHING = ""  # the stamp and the digest of a file that is not there


def catch_up(root: Path, db: Database, registry: Registry, say: Callable[[str], None]) -> None:
    """Take over what ``skillforge.lock`` and the evidence files say and the database does not know yet.

    Cheap where no file changed: each is looked at, none is read. Any number of processes may do it at once. A file that
    is broken is said and left; ``skillforge verify`` tells all of it. A local draft whose number was reviewed for
    another content meanwhile gets the next free one, which is said too.
    """
    log = ImportLog(db)
    known = log.known()
    stamp = _stamp(lock_path(root))
    if known.get(LOCK_FILE, (_NOTHING, _NOTHING))[1] != stamp:
        try:
            complete = _take_lock(root, registry, say)
        except SkillFileError as exc:
            say(f"{exc}: the registry goes on with the numbers it has ({exc.hint})")
        else:
            if complete:
                log.add(LOCK_FILE, stamp, stamp)
    for path in sorted((root / SKILLS_FOLDER).glob(f"*/{EVIDENCE_FOLDER}/*.json")):
        name, stamp = path.relative_to(root).as_posix(), _stamp(path)
        digest, seen = known.get(name, (_NOTHING, _NOTHING))
        if seen != stamp:
            _take_evidence(db, path, name, stamp, digest, say)


def _take_lock(root: Path, registry: Registry, say: Callable[[str], None]) -> bool:
    """Numbers first, then the contents that are here; whether all that was ever deployed is stored now."""
    lock = read_lock(root)
    complete = True
    for name in sorted({*lock.skills, *registry.adopted()}):
        entry = lock.skill(name)
        for moved in registry.adopt(name, entry.versions, entry.deleted):
            why = "as" if moved.new in entry.versions else f"because the reviewed @{moved.old} is another:"
            say(f"{name}@{moved.old} is @{moved.new} from now on, {why} skillforge.lock says")
        complete &= _take_contents(root, registry, name, entry, say)
    return complete


def _take_contents(root: Path, registry: Registry, name: str, entry: LockedSkill, say: Callable[[str], None]) -> bool:
    stored = set(registry.digests(name).values())
    deployed = {move.version for move in entry.moves}
    missing = {n: digest for n, digest in entry.versions.items() if digest not in stored and n not in entry.deleted}
    file = _readable(root / SKILLS_FOLDER / name) if missing else None
    standing = "" if file is None else file.skill.digest()
    complete = True
    for number, digest in missing.items():
        try:
            own = file if digest == standing else None
            complete &= _take_content(root, registry, name, number, digest, own) or number not in deployed
        except SkillforgeError as exc:
            say(f"{name}@{number} is not in the registry: {exc}")
            complete = False
    return complete


def _readable(folder: Path) -> SkillFile | None:
    try:
        return read_skill(folder)
    except SkillforgeError:
        return None


def _take_content(root: Path, registry: Registry, name: str, number: int, digest: str, file: SkillFile | None) -> bool:
    """Store a reviewed version from the skill's ``file`` where that is it, else from its snapshot; whether one was
    there. Most reviewed versions are in git's history only: they keep their number.
    """
    if file is not None:
        skill, source, path = file.skill, file.source, root / SKILLS_FOLDER / name / SKILL_FILE
    elif (path := snapshot_path(root, name, number)).exists():
        skill, source = read_snapshot(root, name, number, digest), None
    else:
        return False
    registry.save(skill, source=source, source_path=path.relative_to(root).as_posix(), provenance={"author": "git"})
    return True


def _take_evidence(db: Database, path: Path, name: str, stamp: str, known: str, say: Callable[[str], None]) -> None:
    try:
        data = evidence_bytes_of(path)
        digest = digest_bytes(data)
        if digest != known:
            found = [(measured(item), item.created_at) for item in parse_evidence(data, path)]
            EvidenceLog(db).adopt(found)
    except (SkillforgeError, ValueError) as exc:
        say(f"{name} is not in the registry: {exc}")
    else:
        ImportLog(db).add(name, digest, stamp)


def _stamp(path: Path) -> str:
    """What changes when a file does, as far as a look at it tells; empty where there is none."""
    try:
        status = path.stat()
    except OSError:
        return _NOTHING
    return f"{status.st_size}.{status.st_mtime_ns}.{status.st_ino}"
