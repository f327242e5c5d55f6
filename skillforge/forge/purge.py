"""Erasing what is old, or all that concerns one subject: from the registry, its log, and the repository's files."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from skillforge.call import Call
from skillforge.config import database_path
from skillforge.errors import UsageError
from skillforge.forge.concern import Concern
from skillforge.forge.purge_files import FilePurge, leftovers
from skillforge.forge.repolock import repository_lock
from skillforge.forge.workspace import Workspace
from skillforge.lockfile import read_lock, write_lock
from skillforge.messages import Value
from skillforge.store.call_groups import GroupLog
from skillforge.store.erasure import Erasure
from skillforge.traffic.groups import CallGroup
from skillforge.traffic.skeleton import Skeleton


class Purged(Value):
    """What a purge erased, or with ``dry_run`` would erase.

    ``rows`` counts by table, ``lines`` by file what was taken out, ``files`` are files that were removed whole.
    ``deployed`` are versions with the subject's texts that an alias points at: where there are any, only the examples
    in the skill files are taken out, so that a version without them can be promoted; all else waits for that, since it
    shows what is the subject's. ``remaining`` are the places where a text of the subject still stands.
    """

    dry_run: bool
    rows: dict[str, int]
    lines: dict[str, int]
    files: tuple[str, ...]
    deployed: tuple[str, ...] = ()
    remaining: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether nothing is left."""
        return not self.deployed and not self.remaining


def purge(work: Workspace, *, older_than_s: float | None, subject: str, dry_run: bool) -> Purged:
    """Erase by age (runs, calls, traces, paid answers and what quarantine and failed drafts hold), or by subject.

    Raises ``UsageError`` unless exactly one of the two is asked for.
    """
    if (older_than_s is None) == (not subject.strip()):
        raise UsageError("name an age or a subject", hint="skillforge purge --older-than 30d, or --subject ID")
    with repository_lock(work.root):
        if older_than_s is not None:
            return _by_age(work, older_than_s, dry_run)
        return _by_subject(work, subject.strip(), dry_run)


def _by_age(work: Workspace, age_s: float, dry_run: bool) -> Purged:
    if age_s < 0:
        raise UsageError("an age is not negative", hint="skillforge purge --older-than 30d")
    moment = datetime.now(UTC) - timedelta(seconds=age_s)
    files = FilePurge(work.root, dry_run)
    files.older_than(moment.timestamp())
    rows: dict[str, list[Any]] = {}
    if work.has_database:
        erasure = Erasure(work.database)
        rows = erasure.older_than(moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"))
        if not dry_run:
            erasure.erase(rows)
    return Purged(dry_run=dry_run, rows=_counts(rows), lines={}, files=tuple(files.removed))


def _by_subject(work: Workspace, subject: str, dry_run: bool) -> Purged:
    concern = Concern(subject)
    files = FilePurge(work.root, dry_run)
    files.learn(concern)
    rows = _rows(work, concern) if work.has_database else {}
    deployed = _deployed(work, rows.get("versions", []))
    if deployed:
        rows = {}
        files.erase_examples(concern)
    else:
        files.erase(concern)
    if rows and not dry_run:
        _bury(work, rows.get("versions", []))
        Erasure(work.database).erase(rows)
    remaining = [] if dry_run or deployed else leftovers(work.root, database_path(work.root), concern)
    return Purged(
        dry_run=dry_run,
        rows=_counts(rows),
        lines=files.lines,
        files=tuple(files.removed),
        deployed=tuple(deployed),
        remaining=tuple(remaining),
    )


def _rows(work: Workspace, concern: Concern) -> dict[str, list[Any]]:
    """All rows that name the subject, and all that hold what those show to be theirs."""
    erasure = Erasure(work.database)
    named = erasure.of_subject(concern.subject)
    skeletons = [CallGroup.model_validate(body).skeleton for body in GroupLog(work.database).all().values()]
    for body in named.calls:
        _learn_call(concern, Call.model_validate(body), skeletons)
    for given in named.inputs:
        concern.learn_input(given)
    found = erasure.holding(concern.forms)
    for table, ids in {**named.rows, "runs": [*named.rows["runs"], *erasure.asked_with(concern.inputs)]}.items():
        found[table] = list(dict.fromkeys([*found.get(table, []), *ids]))
    return {table: ids for table, ids in found.items() if ids}


def _learn_call(concern: Concern, call: Call, skeletons: list[Skeleton]) -> None:
    """Of a recorded call what varies within its group is theirs; where it is of no group, what the user said.

    What was answered is not searched for: it stands where the input stands, and may be the answer to others too.
    """
    fields = next(filter(None, (skeleton.fields(call) for skeleton in skeletons)), None)
    if fields is not None:
        concern.learn_input(fields)
    else:
        concern.learn_texts([message.text for message in call.messages if message.role == "user"])


def _deployed(work: Workspace, rowids: list[int]) -> list[str]:
    """The versions among these rows that an alias points at."""
    lock = read_lock(work.root)
    pinned = {
        (name, move.version): alias for name, entry in lock.skills.items() for alias, move in entry.aliases.items()
    }
    found = Erasure(work.database).versions(rowids) if rowids else []
    return [f"{name}@{number} ({pinned[name, number]})" for _, name, number in found if (name, number) in pinned]


def _bury(work: Workspace, rowids: list[int]) -> None:
    """Reviewed versions among those that go are deleted in the lock too, or the number would be a living one."""
    lock = read_lock(work.root)
    for _, skill, version in Erasure(work.database).versions(rowids):
        entry = lock.skill(skill)
        if version in entry.versions and version not in entry.deleted:
            lock = lock.with_skill(skill, entry.model_copy(update={"deleted": (*entry.deleted, version)}))
            work.registry.adopt(skill, entry.versions, lock.skill(skill).deleted)
    if lock != read_lock(work.root):
        write_lock(work.root, lock)


def _counts(rows: dict[str, list[Any]]) -> dict[str, int]:
    return {table: len(ids) for table, ids in sorted(rows.items()) if ids}
