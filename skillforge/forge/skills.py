"""Finding, saving and listing skills: names, versions and files become one resolved version."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from skillforge.config import SKILLS_FOLDER as SKILLS_FOLDER
from skillforge.errors import NotFound
from skillforge.forge.workspace import Workspace
from skillforge.ref import SkillRef
from skillforge.skillfile import SkillFile, read_skill, skill_path
from skillforge.store.registry import SavedVersion, SkillVersion


def save_file(work: Workspace, path: Path, *, provenance: dict[str, Any] | None = None) -> SavedVersion:
    """Store the skill at ``path`` as a draft version; identical content returns the version that exists.

    Raises ``NotFound``, ``SkillFileError``, ``SecretFound``, ``StoreError``.
    """
    found = read_skill(path)
    return _save(work, found, provenance or {"author": "file"})


def resolve(work: Workspace, ref: str) -> SkillVersion:
    """The version a reference names. A file that changed is saved as a new draft first, and that is said.

    ``NAME`` alone is the file ``skills/NAME`` when it exists, whatever else has that name in the current folder, else
    the newest stored version: what is measured is what is written. ``NAME@3``, ``@latest`` and ``@sha256:…`` are stored
    versions, ``@production`` and other aliases the deployed ones. Raises ``NotFound``.
    """
    parsed = _of_repository(work, ref) or SkillRef.parse(ref)
    if parsed.alias is not None:
        name = parsed.name if parsed.path is None else read_skill(parsed.path).skill.name
        return work.deployed.get(name, parsed.alias).version
    if parsed.path is not None:
        if parsed.selector is None:
            return _current(work, parsed.path)
        return work.registry.get(read_skill(parsed.path).skill.name, parsed.selector)
    if parsed.selector is None:
        folder = work.root / SKILLS_FOLDER / parsed.name
        if skill_path(folder).is_file():
            return _current(work, folder)
        return work.registry.get(parsed.name, None)
    try:
        return work.registry.get(parsed.name, parsed.selector)
    except NotFound:
        return _unsaved_match(work, parsed)


def _of_repository(work: Workspace, ref: str) -> SkillRef | None:
    """``ref`` as the name of a skill in ``skills/``: an export in the current folder must not stand in for it."""
    named = SkillRef.parse_name(ref)
    return named if named is not None and skill_path(work.root / SKILLS_FOLDER / named.name).is_file() else None


def _unsaved_match(work: Workspace, ref: SkillRef) -> SkillVersion:
    """A fresh clone has files and no database: save the file, then look again (``@latest``, ``@1``, its digest)."""
    folder = work.root / SKILLS_FOLDER / ref.name
    if skill_path(folder).is_file():
        _current(work, folder)
    return work.registry.get(ref.name, ref.selector)


def _current(work: Workspace, path: Path) -> SkillVersion:
    found = read_skill(path)
    saved = _save(work, found, {"author": "file"})
    if saved.created:
        work.say(f"{found.path}: saved as draft {saved.name}@{saved.version}")
    return work.registry.get(saved.name, str(saved.version))


def _save(work: Workspace, found: SkillFile, provenance: dict[str, Any]) -> SavedVersion:
    return work.registry.save(
        found.skill, source=found.source, source_path=_relative(work, found.path), provenance=provenance
    )


def _relative(work: Workspace, path: Path) -> str:
    """Paths inside the repository are kept relative: a registry may be moved with its repository."""
    resolved = path.resolve()
    return str(resolved.relative_to(work.root)) if resolved.is_relative_to(work.root) else str(resolved)
