"""Deleting versions: a tombstone hides them for good, their content and what was measured of them stay."""

from __future__ import annotations

import shlex
from collections.abc import Collection
from pathlib import Path

from skillforge.config import SKILLS_FOLDER
from skillforge.errors import NotFound, UsageError
from skillforge.forge.deploy.deployed import form_path, snapshot_path
from skillforge.forge.repolock import repository_lock
from skillforge.forge.workspace import Workspace
from skillforge.lockfile import LockedSkill, read_lock, write_lock
from skillforge.ref import SkillRef
from skillforge.skillfile import SKILL_FILE, read_skill
from skillforge.store.registry import Registry


def delete(work: Workspace, ref: str, reason: str = "") -> list[int]:
    """Tombstone ``NAME@3``, or every version of ``NAME``; returns the numbers.

    The snapshot that an earlier deployment left goes; other files stay, git removes them. What was deleted never
    comes back by itself: a file that still holds it is refused until it is changed. Raises ``UsageError`` while an
    alias points at one of the versions, ``NotFound``.
    """
    named = _named(ref)
    registry = work.registry
    with repository_lock(work.root):
        entry = read_lock(work.root).skill(named.name)
        numbers = deletable(work, ref)
        stored = registry.digests(named.name)
        registry.delete(named.name, [number for number in numbers if number in stored], reason)
        if reviewed := [number for number in numbers if number in entry.versions]:
            gone = tuple(sorted({*entry.deleted, *reviewed}))
            lock = read_lock(work.root)
            write_lock(work.root, lock.with_skill(named.name, entry.model_copy(update={"deleted": gone})))
            registry.adopt(named.name, entry.versions, gone)
        for number in numbers:
            _unlink_below(work.root, snapshot_path(work.root, named.name, number))
        for number, digest in entry.forms():
            if number in numbers:
                _unlink_below(work.root, form_path(work.root, named.name, number, digest))
    _say_what_stands(work, named.name, {stored.get(number, entry.versions.get(number)) for number in numbers})
    return numbers


def deletable(work: Workspace, ref: str) -> list[int]:
    """The numbers that ``delete`` would tombstone. Raises what it raises."""
    named = _named(ref)
    entry = read_lock(work.root).skill(named.name)
    numbers = _chosen(work.registry, named, entry)
    _refuse_deployed(named.name, numbers, entry)
    return numbers


def _named(ref: str) -> SkillRef:
    named = SkillRef.parse_name(ref)
    if named is None or named.alias is not None:
        hint = "write NAME@3 for one version, NAME for all of a skill"
        raise UsageError(f"{ref}: name the version to delete", hint=hint)
    return named


def _chosen(registry: Registry, named: SkillRef, entry: LockedSkill) -> list[int]:
    reviewed = set(entry.versions) - set(entry.deleted)
    if named.selector is not None:
        if named.selector.isdigit() and int(named.selector) in reviewed:  # its content may be in git's history only
            return [int(named.selector)]
        return [registry.get(named.name, named.selector).version]
    try:
        return sorted({*reviewed, *(item.version for item in registry.versions(named.name))})
    except NotFound:
        if reviewed:
            return sorted(reviewed)
        raise


def _refuse_deployed(name: str, numbers: Collection[int], entry: LockedSkill) -> None:
    for alias, move in entry.aliases.items():
        if move.version in numbers:
            hint = (
                f"first point {alias} elsewhere: skillforge promote {name}@VERSION"
                f" --student {shlex.quote(move.student)} --as {alias}, or take it away:"
                f" skillforge undeploy {name} --as {alias}"
            )
            raise UsageError(f"{name}@{move.version} is {alias}: it cannot be deleted", hint=hint)


def _unlink_below(root: Path, path: Path) -> None:
    """Remove a file of the repository; where its folder is a link out of it, nothing is."""
    if path.parent.resolve().is_relative_to(root.resolve()):
        path.unlink(missing_ok=True)


def _say_what_stands(work: Workspace, name: str, digests: Collection[str | None]) -> None:
    """The skill's own file, and no folder: deployed versions and evidence stand beside it."""
    folder = work.root / SKILLS_FOLDER / name
    try:
        skill = read_skill(folder).skill
    except UsageError:
        return
    if skill.digest() in digests:
        shown = f"{SKILLS_FOLDER}/{name}"
        files = [f"{shown}/{file}" for file in (SKILL_FILE, skill.examples.file) if file]
        verb = "hold" if len(files) > 1 else "holds"
        work.say(f"{' and '.join(files)} still {verb} what was deleted: change it, or git rm {' '.join(files)}")
