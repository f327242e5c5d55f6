"""Deleting versions: a tombstone hides them for good, their content and what was measured of them stay."""

from __future__ import annotations

from collections.abc import Collection

from skillforge.config import SKILLS_FOLDER
from skillforge.errors import NotFound, UsageError
from skillforge.forge.repolock import repository_lock
from skillforge.forge.workspace import Workspace
from skillforge.lockfile import LockedSkill, read_lock, write_lock
from skillforge.ref import SkillRef
from skillforge.skillfile import SKILL_FILE, read_skill
from skillforge.store.registry import Registry


def delete(work: Workspace, ref: str, reason: str = "") -> list[int]:
    """Tombstone ``NAME@3``, or every version of ``NAME``; returns the numbers.

    Files stay: git removes them. What was deleted never comes back by itself: a file that still holds it is refused
    until it is changed. Raises ``UsageError`` while an alias points at one of the versions, ``NotFound``.
    """
    named = SkillRef.parse_name(ref)
    if named is None or named.alias is not None:
        hint = "write NAME@3 for one version, NAME for all of a skill"
        raise UsageError(f"{ref}: name the version to delete", hint=hint)
    registry = work.registry
    with repository_lock(work.root):
        lock = read_lock(work.root)
        entry = lock.skill(named.name)
        numbers = _chosen(registry, named, entry)
        _refuse_deployed(named.name, numbers, entry)
        stored = registry.digests(named.name)
        registry.delete(named.name, [number for number in numbers if number in stored], reason)
        if reviewed := [number for number in numbers if number in entry.versions]:
            gone = tuple(sorted({*entry.deleted, *reviewed}))
            write_lock(work.root, lock.with_skill(named.name, entry.model_copy(update={"deleted": gone})))
            registry.adopt(named.name, entry.versions, gone)
    _say_what_stands(work, named.name, {stored.get(number, entry.versions.get(number)) for number in numbers})
    return numbers


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
                f"first point {alias} elsewhere: skillforge promote {name}@VERSION --student {move.student}"
                f" --as {alias}, or take it away: skillforge undeploy {name} --as {alias}"
            )
            raise UsageError(f"{name}@{move.version} is {alias}: it cannot be deleted", hint=hint)


def _say_what_stands(work: Workspace, name: str, digests: Collection[str | None]) -> None:
    folder = work.root / SKILLS_FOLDER / name
    try:
        standing = read_skill(folder).skill.digest()
    except UsageError:
        return
    if standing in digests:
        work.say(
            f"{SKILLS_FOLDER}/{name}/{SKILL_FILE} still holds what was deleted: change it, or git rm -r"
            f" {SKILLS_FOLDER}/{name}"
        )
