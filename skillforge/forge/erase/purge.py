"""Erasing what is old, or all that concerns one subject: from the registry, its log, and the repository's files."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from skillforge.call import Call
from skillforge.config import SKILLS_FOLDER, database_path
from skillforge.errors import SkillforgeError, UsageError
from skillforge.forge.deploy.deployed import form_path
from skillforge.forge.encoders import deployed_as
from skillforge.forge.erase.concern import Concern, texts_in
from skillforge.forge.erase.derived import Learned
from skillforge.forge.erase.others import Others
from skillforge.forge.erase.purge_files import FilePurge, leftovers
from skillforge.forge.repolock import repository_lock
from skillforge.forge.workspace import Workspace
from skillforge.ladder import ENCODER
from skillforge.lockfile import read_lock, write_lock
from skillforge.messages import Value
from skillforge.skillfile import read_skill
from skillforge.store.call_groups import GroupLog
from skillforge.store.erasure import Erasure
from skillforge.traffic.groups import CallGroup
from skillforge.traffic.skeleton import Skeleton

_Rows = dict[str, list[Any]]  # ids by table


class Purged(Value):
    """What a purge erased, or with ``dry_run`` would erase.

    ``rows`` counts by table, ``lines`` by file what was taken out, ``files`` are files that were removed whole.
    ``deployed`` are versions with the subject's texts that an alias points at: where there are any, only the examples
    in the skill files are taken out, so that a version without them can be promoted; all else waits for that, since it
    shows what is the subject's. ``remaining`` are the places where a text of the subject still stands. ``shared``
    counts their texts that others said too: the lines of those others stay.
    """

    dry_run: bool
    rows: dict[str, int]
    lines: dict[str, int]
    files: tuple[str, ...]
    deployed: tuple[str, ...] = ()
    remaining: tuple[str, ...] = ()
    shared: int = 0

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
    files = FilePurge(work.root, dry_run, work.redactor.text)
    files.older_than(moment.timestamp())
    rows: dict[str, list[Any]] = {}
    if work.has_database:
        rows = Erasure(work.database).older_than(moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"))
    if not dry_run:
        _erase(work, rows)
    return Purged(dry_run=dry_run, rows=_counts(rows), lines={}, files=tuple(files.removed))


def _by_subject(work: Workspace, subject: str, dry_run: bool) -> Purged:
    concern = Concern(subject, common=frozenset(_constants(work)))
    files = FilePurge(work.root, dry_run, work.redactor.text)
    files.learn(concern)
    named, rows, shared = _found(work, concern, files)
    holding, forms = set(_stored(work, rows.get("versions", []))), set()
    for name, stem in files.snapshots(concern):
        if stem.isdecimal():
            holding.add((name, int(stem)))
        else:
            forms.add((name, stem))
    learned = files.learned(concern)
    theirs = [item for item in learned if not item.untold]
    deployed = [*_deployed(work, holding, forms), *_answering(work, theirs)]
    remaining: list[str] = []
    if deployed:
        rows = {}
        files.erase_examples(concern)
    elif dry_run:
        files.erase(concern, theirs)
    else:
        _bury(work, holding, forms)
        # What names the subject shows what else is theirs. It goes last: a purge that was killed finds the rest again.
        files.erase(concern, theirs, named_too=False)
        _erase(work, {table: [*set(ids).difference(named.get(table, ()))] for table, ids in rows.items()})
        files.erase(concern)
        _erase(work, named)
        remaining = [*leftovers(work.root, database_path(work.root), concern), *_tables(work, concern)]
        remaining += [f"{ENCODER}{item.name} of {item.skill} ({item.untold})" for item in learned if item.untold]
    return Purged(
        dry_run=dry_run,
        rows=_counts(rows),
        lines=files.lines,
        files=tuple(files.removed),
        deployed=tuple(deployed),
        remaining=tuple(remaining),
        shared=shared,
    )


def _constants(work: Workspace) -> Iterator[str]:
    """Texts that contracts offer for choice: they stand in a subject's input and are nobody's."""
    newest = work.registry.skills() if work.has_database else []
    skills = [item.skill for skill in newest for item in work.registry.versions(skill.name)]
    for folder in sorted((work.root / SKILLS_FOLDER).glob("*")):
        with suppress(SkillforgeError):
            skills.append(read_skill(folder).skill)
    for skill in skills:
        output = {} if skill.output == "text" else skill.output
        for schema in (*skill.input.values(), *output.values()):
            yield from texts_in([schema.get(key) for key in ("enum", "const", "default")])


def _erase(work: Workspace, rows: dict[str, list[Any]]) -> None:
    """Also without rows: what a purge that was killed had erased is overwritten."""
    if work.has_database:
        erasure = Erasure(work.database)
        erasure.erase(rows)
        erasure.scrub()


def _tables(work: Workspace, concern: Concern) -> list[str]:
    """The tables that still hold a text."""
    found = Erasure(work.database).tables_holding(concern.in_bytes) if work.has_database else []
    return [f"{database_path(work.root)} (table {table})" for table in found]


def _found(work: Workspace, concern: Concern, files: FilePurge) -> tuple[_Rows, _Rows, int]:
    """(the rows that name the subject, those and all that hold what they show to be theirs, and how many texts that
    they show are others' too).
    """
    erasure = Erasure(work.database) if work.has_database else None
    skeletons: list[Skeleton] = []
    named: _Rows = {}
    if erasure is not None:
        skeletons = [CallGroup.model_validate(body).skeleton for body in GroupLog(work.database).all().values()]
        theirs = erasure.of_subject(concern.subject)
        named = theirs.rows
        for body in theirs.calls:
            _learn_call(concern, Call.model_validate(body), skeletons)
        for given in theirs.inputs:
            concern.learn_input(given)
    others = Others(concern)
    files.ask_others(concern, others)
    if erasure is not None:
        _ask_others(erasure, concern, others, named, skeletons)
    concern.forget(others.shared)
    if erasure is None:
        return {}, {}, len(others.shared)
    found = erasure.holding(concern.in_bytes)
    for table, ids in {**named, "runs": [*named["runs"], *erasure.asked_with(concern.inputs)]}.items():
        found[table] = list(dict.fromkeys([*found.get(table, []), *ids]))
    left = [*found.get("candidate_cases", []), *erasure.candidates_of(found.get("runs", []))]
    found["candidate_cases"] = list(dict.fromkeys(left))
    return named, {table: ids for table, ids in found.items() if ids}, len(others.shared)


def _ask_others(
    erasure: Erasure, concern: Concern, others: Others, named: _Rows, skeletons: Collection[Skeleton]
) -> None:
    """Find what of the learnt texts stands in others' rows too, or in the constants of a prompt."""
    others.add("", [text for skeleton in skeletons for turn in skeleton.turns for text in turn.texts])
    found = erasure.holding(concern.in_bytes)
    for body in erasure.call_bodies(set(found.get("calls", ())).difference(named["calls"])):
        call = Call.model_validate(body)
        if whom := call.subject or call.conversation:
            others.add(whom, [_fields(call, skeletons), body])
        else:
            others.add_unnamed(_fields(call, skeletons))
    for tags, given in erasure.run_inputs(set(found.get("runs", ())).difference(named["runs"])):
        others.add_row({**tags, "input": given})


def _learn_call(concern: Concern, call: Call, skeletons: Collection[Skeleton]) -> None:
    """Of a recorded call what varies within its group is theirs; where it is of no group, what the user said.

    What was answered is not searched for: it stands where the input stands, and may be the answer to others too.
    """
    fields = _fields(call, skeletons)
    if fields is not None:
        concern.learn_input(fields)
    else:
        concern.learn_texts([message.text for message in call.messages if message.role == "user"])


def _fields(call: Call, skeletons: Collection[Skeleton]) -> dict[str, Any] | None:
    return next(filter(None, (skeleton.fields(call) for skeleton in skeletons)), None)


def _stored(work: Workspace, rowids: list[int]) -> list[tuple[str, int]]:
    """(skill, number) of these rows of versions."""
    return [(name, number) for _, name, number in Erasure(work.database).versions(rowids)] if rowids else []


def _deployed(work: Workspace, holding: Collection[tuple[str, int]], forms: Collection[tuple[str, str]]) -> list[str]:
    """The versions among these that an alias points at, and those whose form among these it runs."""
    aliases = ((name, *item) for name, entry in read_lock(work.root).skills.items() for item in entry.aliases.items())
    found = []
    for name, alias, move in aliases:
        runs = {(name, form_path(work.root, name, move.version or 0, form).stem) for form in move.variants.values()}
        if (name, move.version) in holding or runs.intersection(forms):
            found.append(f"{name}@{move.version} ({alias})")
    return found


def _answering(work: Workspace, learned: Collection[Learned]) -> list[str]:
    """The versions for which one of these classifiers answers."""
    found = []
    for item in learned:
        for used in deployed_as(work, item.name):
            name, _, alias = used.partition("@")
            found.append(
                f"{name}@{work.deployed.lock.skills[name].aliases[alias].version}, {ENCODER}{item.name} ({alias})"
            )
    return found


def _bury(work: Workspace, holding: Collection[tuple[str, int]], forms: Collection[tuple[str, str]]) -> None:
    """Reviewed versions among those that go are deleted in the lock too, or the number would be a living one; so are
    the forms that were deployed, or they would be missed.
    """
    lock = before = read_lock(work.root)
    for name in sorted({name for name, _ in forms}):
        entry = lock.skill(name)
        ran = [
            digest
            for number, digest in entry.forms()
            if (name, form_path(work.root, name, number, digest).stem) in forms
        ]
        lock = lock.with_skill(name, entry.model_copy(update={"erased": (*entry.erased, *ran)}))
    for name, number in sorted(holding):
        entry = lock.skill(name)
        if number in entry.versions and number not in entry.deleted:
            lock = lock.with_skill(name, entry.model_copy(update={"deleted": (*entry.deleted, number)}))
            if work.has_database:
                work.registry.adopt(name, entry.versions, lock.skill(name).deleted)
    if lock != before:
        write_lock(work.root, lock)


def _counts(rows: dict[str, list[Any]]) -> dict[str, int]:
    return {table: len(ids) for table, ids in sorted(rows.items()) if ids}
