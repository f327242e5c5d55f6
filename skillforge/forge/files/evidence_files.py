"""Evidence between the registry and git: what of it is kept beside a skill, and what a file of it is worth."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, fields
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from pydantic import ValidationError

from skillforge.atomicfile import replace_file
from skillforge.config import SKILLS_FOLDER
from skillforge.errors import SkillforgeError
from skillforge.evals.report import EvalReport, evidence_arm
from skillforge.evidencefile import EVIDENCE_FOLDER, RecordedEvidence, evidence_bytes, evidence_path, read_evidence
from skillforge.forge.repolock import repository_lock
from skillforge.lockfile import LockedSkill, read_lock
from skillforge.redact import Redactor
from skillforge.skillfile import SKILL_FILE, read_skill
from skillforge.store.evidence import Evidence, EvidenceLog, Measured

_FIELDS = tuple(item.name for item in fields(Measured))
_NAMED = ("skill", "digest", "suite", "suite_digest", "split")  # what a report says again; a mask must not change it


def keep_evidence(
    root: Path, name: str, log: EvidenceLog, redactor: Redactor, say: Callable[[str], None] = lambda message: None
) -> None:
    """Write the newest evidence of a skill of this repository beside it. What cannot be written is said: it is stored.

    Kept is the newest of every student, version, suite and split, of versions that git holds: the reviewed ones, which
    may be promoted or rolled back to, and the one that the file is now.
    """
    folder = root / SKILLS_FOLDER / name
    if not (folder / SKILL_FILE).is_file():
        return
    try:
        with repository_lock(root):
            entry = read_lock(root).skill(name)
            for path, data in evidence_changes(folder, entry, log.for_skill(name), redactor, root).items():
                write_change(path, data)
    except (SkillforgeError, OSError) as exc:
        say(f"the evidence is stored, but not written beside {name}: {exc}; mend it, then: skillforge sync")


def evidence_changes(
    folder: Path, entry: LockedSkill, rows: Iterable[Evidence], redactor: Redactor, root: Path
) -> dict[Path, bytes | None]:
    """What the evidence files of a skill should hold where they hold something else; ``None`` for one that should go.

    A file that cannot be read is left as it is.
    """
    kept = _kept_digests(folder, entry)
    stored: dict[Path, list[RecordedEvidence]] = {path: [] for path in (folder / EVIDENCE_FOLDER).glob("*.json")}
    for row in rows:
        if kept is None or row.digest in kept:
            found = _recorded(row, redactor, root)
            stored.setdefault(evidence_path(folder, found.student), []).append(found)
    changes = {}
    for path, results in sorted(stored.items()):
        try:
            held = read_evidence(path) if path.exists() else ()
        except SkillforgeError:
            continue
        newest = _newest([item for item in held if kept is None or item.digest in kept], results)
        data = evidence_bytes(newest) if newest else None
        if data != (path.read_bytes() if path.exists() else None):
            changes[path] = data
    return changes


def write_change(path: Path, data: bytes | None) -> None:
    if data is None:
        path.unlink(missing_ok=True)
    else:
        replace_file(path, data)


def measured(item: RecordedEvidence) -> Measured:
    """The result as the registry keeps it. Raises ``ValueError`` where its report says something else."""
    try:
        report = EvalReport.model_validate(item.report)
    except ValidationError as exc:
        raise ValueError(f"its report is none of this skillforge ({exc.error_count()} problems)") from None
    if wrong := [name for name in (*_NAMED, "cases") if getattr(report, name) != getattr(item, name)]:
        raise ValueError(f"its report is about another {wrong[0].replace('_', ' ')}")
    arm = evidence_arm(report, item.student, item.variant)
    if arm is None or arm.versus_teacher is None or arm.versus_teacher.verdict != item.verdict:
        raise ValueError(f"its report does not say {item.verdict} of {item.student}")
    return Measured(**{name: getattr(item, name) for name in _FIELDS})


def _kept_digests(folder: Path, entry: LockedSkill) -> set[str] | None:
    """Digests of the versions that git holds; ``None`` where that cannot be known: then nothing is dropped."""
    kept = {digest for number, digest in entry.versions.items() if number not in entry.deleted}
    if not (folder / SKILL_FILE).is_file():
        return kept
    try:
        return {*kept, read_skill(folder).skill.digest()}
    except SkillforgeError:  # somebody is in the middle of editing it
        return None


def _newest(held: Iterable[RecordedEvidence], stored: Iterable[RecordedEvidence]) -> list[RecordedEvidence]:
    """One result a version, suite and split. One that says what the file says already does not replace it."""
    best = {item.measures: item for item in held}
    for item in sorted(stored, key=lambda item: item.created_at):
        known = best.get(item.measures)
        if known is None or (item.created_at > known.created_at and not _measured(item).same_as(_measured(known))):
            best[item.measures] = item
    return list(best.values())


def _measured(item: RecordedEvidence) -> Measured:
    return Measured(**{name: getattr(item, name) for name in _FIELDS})


def _recorded(row: Evidence, redactor: Redactor, root: Path) -> RecordedEvidence:
    """A stored result as a file may hold it: no secrets, no paths of this machine, no words of a server."""
    body = asdict(row)
    del body["id"]
    arms = [body["report"].get("teacher", {}), *body["report"].get("arms", [])]
    for arm in arms:
        arm["error_reasons"] = []
    names = {row.student, row.teacher, *(arm.get("student", "") for arm in arms)}
    told = {name: _portable(name, root) for name in sorted(names, key=len, reverse=True)}
    told = {name: short for name, short in told.items() if name != short} | {f"{root}/": ""}
    body = _renamed(body, told)
    report = redactor.value(body["report"])
    body["report"] = {**report, **{name: body["report"][name] for name in _NAMED}}
    body["samples"] = redactor.value(body["samples"])
    return RecordedEvidence.model_validate(body)


def _portable(name: str, root: Path) -> str:
    """A model's name without a machine's path: relative to the repository, else the file's name alone."""
    kind, colon, path = name.partition(":")
    if not colon or not (PurePosixPath(path).is_absolute() or PureWindowsPath(path).is_absolute() or path[:1] == "~"):
        return name
    inside = Path(path).is_relative_to(root)
    short = Path(path).relative_to(root).as_posix() if inside else PureWindowsPath(path).name
    return f"{kind}:{short}"


def _renamed(value: Any, told: dict[str, str]) -> Any:
    """A JSON value with parts of its texts replaced, in keys too."""
    if isinstance(value, str):
        for old, new in told.items():
            value = value.replace(old, new)
        return value
    if isinstance(value, dict):
        return {_renamed(key, told): _renamed(inner, told) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_renamed(inner, told) for inner in value]
    return value
