"""Moving aliases: promote, roll back, take away. The atomic replacement of ``skillforge.lock`` is what makes it so."""

from __future__ import annotations

import getpass
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

from skillforge.atomicfile import replace_file
from skillforge.engine.compiled import compiled
from skillforge.errors import NotFound, PromotionRefused, SecretFound, UsageError
from skillforge.forge.deploy.deployed import form_path, read_form, read_snapshot, snapshot_bytes, snapshot_path
from skillforge.forge.deploy.grounds import Grounds, grounds
from skillforge.forge.measuring.plan import RECORDED, unopened
from skillforge.forge.opening import one_spelling, open_student, require_models
from skillforge.forge.repolock import repository_lock
from skillforge.forge.skills import resolve
from skillforge.forge.variants import tuned_forms
from skillforge.forge.workspace import Workspace
from skillforge.ladder import rungs_of
from skillforge.lockfile import Action, Lock, LockedSkill, Move, one_line, read_lock, write_lock
from skillforge.ref import SkillRef, check_alias, check_name
from skillforge.skill import Skill
from skillforge.store.database import utc_now
from skillforge.store.registry import SkillVersion
from skillforge.store.runs import new_run_id

_GIT_S = 5.0


def promote(
    work: Workspace,
    ref: str,
    student: str,
    alias: str,
    fallback: str,
    suite: str | Path | None,
    accept_risk: str,
    reason: str,
) -> Move:
    """Point ``alias`` to a version. What stands already is left as it is, and that is said.

    Raises ``PromotionRefused`` with every reason where there is no fresh ``pass`` and no ``accept_risk``,
    ``UsageError`` for names that name nothing and for reasons that nobody could read, ``SecretFound``.
    """
    check_alias(alias)
    accept_risk, reason = _reason(work, accept_risk, "the accepted risk"), _reason(work, reason, "the reason")
    student = one_spelling(student)
    version = resolve(work, ref)
    _check_models(work, version, student, fallback)
    standing = read_lock(work.root).skill(version.name).alias(alias)
    forms = tuned_forms(work, version, [one for name in (student, fallback) for one in rungs_of(name)])
    wanted = (version.digest, student, fallback, {name: compiled(form).digest for name, form in forms.items()})
    found = grounds(work, version, student, Path(suite) if suite is not None else None)
    now = None if standing is None else (standing.digest, standing.student, standing.fallback, standing.variants)
    stands = now == wanted
    # what was promoted at a risk is promoted again once it is proven: then the file says so
    if standing is not None and stands and (found.reasons or not standing.accepted_risk):
        with repository_lock(work.root):  # its content may be missing: then this puts it back
            _keep_content(work, version, standing, forms)
        work.say(f"{version.name}@{standing.version} on {student} is {alias} already: nothing changed")
        return standing
    if found.reasons and not accept_risk:
        raise _refused(version, student, found, _measure(work, ref, student, suite, found))
    if accept_risk and not found.reasons:
        work.say("there is a fresh pass: no risk to accept is recorded")
    target = {"alias": alias, "student": student, "fallback": fallback}
    target["accepted_risk"] = accept_risk if found.reasons else ""
    by = _author(work)
    with repository_lock(work.root):
        return _promoted(work, version, target, forms, found, reason, by)


def rollback(work: Workspace, name: str, alias: str, reason: str) -> Move:
    """Point ``alias`` to where it pointed before its last change; again, and it goes further back.

    Raises ``NotFound`` where there is no before, ``UsageError`` where that version was deleted, ``SkillFileError``
    where its content is gone.
    """
    check_alias(alias)
    name, reason = _skill_name(name), _reason(work, reason, "the reason")
    _require_moves(work, name, alias)
    by = _author(work)
    with repository_lock(work.root):
        lock = read_lock(work.root)
        entry = lock.skill(name)
        before = entry.before(alias)
        if before is None or before.version is None:
            raise _no_before(name, alias, entry)
        if before.version in entry.deleted:
            hint = f"promote another: skillforge promote {name}@VERSION --student {shlex.quote(before.student)}"
            raise UsageError(f"{name}@{before.version}, which {alias} was before, was deleted", hint=hint)
        read_snapshot(work.root, name, before.version, before.digest)  # nobody else may have it by now
        for digest in before.variants.values():
            read_form(work.root, name, before.version, digest)
        move = before.model_copy(update=_signed("rollback", reason, by))
        return _write(work, lock, name, entry, move)


def remove(work: Workspace, name: str, alias: str, reason: str) -> Move:
    """Take the alias away. Raises ``NotFound`` where it points nowhere."""
    check_alias(alias)
    name, reason = _skill_name(name), _reason(work, reason, "the reason")
    _require_moves(work, name, alias)
    by = _author(work)
    with repository_lock(work.root):
        lock = read_lock(work.root)
        entry = lock.skill(name)
        if entry.alias(alias) is None:
            raise _no_before(name, alias, entry)
        move = Move.model_validate({"alias": alias, "version": None, **_signed("remove", reason, by)})
        return _write(work, lock, name, entry, move)


def history(work: Workspace, name: str) -> list[Move]:
    """Every change of the skill's aliases, oldest first. Raises ``NotFound`` for a skill that nobody knows."""
    name = _skill_name(name)
    moves = read_lock(work.root).skill(name).moves
    if not moves:
        resolve(work, f"{name}@latest")  # raises where there is no such skill
    return list(moves)


def _promoted(
    work: Workspace,
    version: SkillVersion,
    target: dict[str, str],
    forms: Mapping[str, Skill],
    found: Grounds,
    reason: str,
    by: str,
) -> Move:
    """Under the lock: number, snapshot, then the lock file. A kill before the last leaves the old deployment."""
    lock = read_lock(work.root)
    entry = lock.skill(version.name)
    # others may have promoted meanwhile: the numbers in the file are the ones that count
    work.registry.adopt(version.name, entry.versions, entry.deleted)
    saved = work.registry.save(version.skill, source_path=version.source_path, provenance=version.provenance)
    suite = found.suite
    move = Move.model_validate(
        {
            **target,
            "version": saved.version,
            "digest": saved.digest,
            "variants": {name: compiled(form).digest for name, form in forms.items()},
            "suite": suite.name if suite is not None else "",
            "suite_digest": suite.digest() if suite is not None else "",
            "verdict": found.verdict,
            **_signed("promote", reason, by),
        }
    )
    _keep_content(work, version, move, forms)
    _write(work, lock, version.name, entry, move)
    numbered = entry.moved(move)
    work.registry.adopt(version.name, numbered.versions, numbered.deleted)
    return move


def _keep_content(work: Workspace, version: SkillVersion, move: Move, forms: Mapping[str, Skill]) -> None:
    if move.version is None:
        return
    kept = {snapshot_path(work.root, version.name, move.version): (version.skill, version.digest)}
    for form in forms.values():
        digest = compiled(form).digest
        kept[form_path(work.root, version.name, move.version, digest)] = (form, digest)
    for path, (content, digest) in kept.items():
        replace_file(path, snapshot_bytes(content, digest, move.version))


def _write(work: Workspace, lock: Lock, name: str, entry: LockedSkill, move: Move) -> Move:
    write_lock(work.root, lock.with_skill(name, entry.moved(move)))
    return move


def _check_models(work: Workspace, version: SkillVersion, student: str, fallback: str) -> None:
    """Raises ``UsageError`` or ``NotFound`` for a name that is no model's. No key is looked up, nothing is asked."""
    if not student:
        raise UsageError("no student named", hint="name who runs it: --student PROVIDER:MODEL")
    if fallback == student:
        raise UsageError(f"{fallback} cannot stand in for itself", hint="name another model with --fallback")
    for model in filter(None, (student, fallback)):
        require_models(model, version.skill)
        _one_line(model, "a model's name")
        open_student(work, unopened(work), model, version)


def _reason(work: Workspace, text: str, what: str) -> str:
    """The text as one line. Raises ``UsageError`` for an empty one that was given, ``SecretFound``."""
    line = " ".join(text.split())
    if text and not line:
        raise UsageError(f"{what} is empty", hint="say why, in a few words: it is kept with the deployment")
    if work.redactor.holds_secret(line):
        hint = "take it out: the lock file is committed"
        raise SecretFound(f"{what} holds something that looks like a secret: nothing was changed", hint=hint)
    return _one_line(line, what)


def _one_line(text: str, what: str) -> str:
    try:
        return one_line(text)
    except ValueError as exc:
        raise UsageError(f"{what} {exc}", hint="it is shown to people and kept in skillforge.lock") from None


def _skill_name(ref: str) -> str:
    """The skill's name; a folder or file of that name does not change what is meant."""
    named = SkillRef.parse_name(ref)
    if named is not None and named.selector is not None:
        raise UsageError(f"{ref}: give the skill's name alone", hint=f"write {named.name}, and the alias with --as")
    return check_name(ref)


def _require_moves(work: Workspace, name: str, alias: str) -> None:
    """Looked at before anything is locked: that would make a folder where there is no repository."""
    entry = read_lock(work.root).skill(name)
    if not entry.moves:
        raise _no_before(name, alias, entry)


def _signed(action: Action, reason: str, by: str) -> dict[str, str]:
    return {"id": new_run_id(), "action": action, "reason": reason, "at": utc_now(), "by": by}


def _author(work: Workspace) -> str:
    """``user.name`` of git, else the operating system's user; empty where there is neither."""
    try:
        asked = ["git", "config", "user.name"]
        done = subprocess.run(asked, cwd=work.root, capture_output=True, timeout=_GIT_S, check=False)
        name = done.stdout.decode("utf-8", "replace").strip()
    except (OSError, subprocess.SubprocessError):
        name = ""
    if not name:
        try:
            name = getpass.getuser()
        except (OSError, KeyError):  # a container's user may have no name
            return ""
    return "".join(character for character in work.redactor.text(name)[:100] if character.isprintable())


def _refused(version: SkillVersion, student: str, found: Grounds, measure: str) -> PromotionRefused:
    hint = f'{_mend(found, measure)}; or promote it all the same, which is recorded: --accept-risk "why"'
    what = f"{version.name}@{version.version} on {student} is not promoted"
    return PromotionRefused(what, found.reasons, hint=hint)


def _measure(work: Workspace, ref: str, student: str, suite: str | Path | None, found: Grounds) -> str:
    """The command that measures what this promotion asks for."""
    flags = ["--students", student]
    if teacher := _teacher(work, ref, found):
        flags += ["--teacher", teacher]
    if suite is not None:
        flags += ["--suite", str(suite)]
    return f"skillforge eval {ref} {shlex.join(flags)}"


def _teacher(work: Workspace, ref: str, found: Grounds) -> str:
    """Who must be named as the teacher: the one it was measured with last; empty where that is who is asked unnamed."""
    usual = work.settings.teacher or RECORDED
    measured = [found.evidence] if found.evidence else work.evidence.for_skill(resolve(work, ref).name)
    if measured:
        return "" if measured[0].teacher == usual else measured[0].teacher
    recorded = found.suite is None or found.suite.recorded or found.suite.today
    return "" if usual != RECORDED or recorded else "PROVIDER:MODEL"


def _mend(found: Grounds, measure: str) -> str:
    """The step that could make it a pass."""
    if found.suite is None:
        return "mend the suite, or name one with --suite FILE"
    if found.verdict and not any(case.expected is not None for case in found.suite.cases):
        return f"without labels there is no verdict: skillforge review {found.suite.name}, then {measure}"
    if found.verdict and len(found.reasons) == 1 and found.verdict != "pass":
        return f"measure a student that is good enough, or more cases: {measure}"
    elsewhere = f"; or name the suite it was measured on: --suite {found.elsewhere}" if found.elsewhere else ""
    return f"measure it: {measure}{elsewhere}"


def _no_before(name: str, alias: str, entry: LockedSkill) -> NotFound:
    there = ", ".join(f"@{other} is @{move.version}" for other, move in entry.aliases.items())
    told = f"aliases of {name}: {there}" if there else "it has no alias"
    if entry.alias(alias) is None:
        return NotFound(f"{name} has no alias {alias}", hint=f"{told}; see skillforge history {name}")
    return NotFound(f"{name}: {alias} pointed nowhere before", hint=f"{told}; see skillforge history {name}")
