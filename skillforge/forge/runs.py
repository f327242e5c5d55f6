"""Running one skill on one input and keeping the row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from skillforge.capture.context import current_labels
from skillforge.engine.execute import Executor
from skillforge.engine.fallback import FallbackExecutor
from skillforge.errors import NotFound, ProviderError, StoreError, UsageError
from skillforge.forge.session import DeployedSession, Session, Terms
from skillforge.forge.skills import resolve
from skillforge.forge.workspace import Workspace
from skillforge.ref import PRODUCTION, SkillRef
from skillforge.run import Run
from skillforge.store.registry import SkillVersion


@dataclass(frozen=True, slots=True)
class Target:
    """What a program calls: a version, the model that runs it and, of a deployment, its alias and fallback."""

    version: SkillVersion
    student: str
    alias: str = ""
    fallback: str = ""

    def __str__(self) -> str:
        return f"{self.version.name}@{self.version.version}"


def chosen_student(work: Workspace, student: str | None) -> str:
    """The named student, or the repository's default.

    Raises ``UsageError`` when neither is given.
    """
    if name := student or work.settings.student:
        return name
    raise UsageError(
        "no student named",
        hint='name one, for example --student local:smollm2-135m, or set student = "…" in skillforge.toml',
    )


def target(work: Workspace, ref: str, student: str | None) -> Target:
    """What ``ref`` means to a program: ``NAME`` alone and ``NAME@production`` are the deployed version with its models,
    found without a database; anything else is a version for ``student``, or the repository's default one.

    ``student`` takes the place of a deployed one too. Raises ``NotPromoted``, and as ``resolve`` does.
    """
    if (named := _deployed_name(work, ref)) is None:
        return Target(resolve(work, ref), chosen_student(work, student))
    found = work.deployed.get(*named)
    runs = student or found.move.student
    fallback = found.move.fallback if found.move.fallback != runs else ""
    return Target(found.version, runs, found.move.alias, fallback)


def _deployed_name(work: Workspace, ref: str) -> tuple[str, str] | None:
    """Name and alias, where the reference means a deployment.

    A folder of the same name in the working directory must not change what a program runs: deployed names come first.
    """
    named = SkillRef.parse_name(ref)
    if named is None or named.name not in work.deployed.lock.skills:
        named = SkillRef.parse(ref)
    if named.path is not None:
        return None
    if named.selector is None:
        return named.name, PRODUCTION
    return (named.name, named.alias) if named.alias is not None else None


async def run_skill(
    work: Workspace, target: Target, given: Mapping[str, Any], tags: Mapping[str, str], terms: Terms
) -> Run:
    """Execute, store the run with its attempts, return it with its id and version.

    A deployed skill answers also where its run cannot be stored; that is said once. Raises ``InvalidInput`` before any
    call, ``ProviderError`` when no answer came (the row is kept all the same).
    """
    version = target.version
    session = DeployedSession(work, terms, target.fallback) if target.alias else Session(work, terms)
    run = await _executor(work, session, target).execute(version.skill, given)
    told = {"reason": work.redactor.text(run.reason), "fallback": work.redactor.text(run.fallback)}
    run = run.model_copy(update={"version": version.version, "tags": dict(tags), "alias": target.alias, **told})
    run = run.model_copy(update={"id": _stored(work, run)})
    if run.status == "error":
        session.left_open()
        said, hint = _split_hint(run)
        named = target.student in said
        raise ProviderError(f"{target}: {said}" if named else f"{target} on {run.student}: {said}", hint=hint)
    session.finish()
    return run


def with_labels(tags: Mapping[str, str]) -> dict[str, str]:
    """``tags`` over the labels of the caller's ``skillforge.tagged``. Conversation and subject are tags of these names:
    by them ``purge`` finds runs, as it finds the calls of wrapped clients.
    """
    labels = current_labels()
    named = {"conversation": labels.conversation, "subject": labels.subject}
    return {**{name: value for name, value in named.items() if value}, **labels.tags, **tags}


def _executor(work: Workspace, session: Session, target: Target) -> Executor:
    if not target.fallback:
        return session.executor(target.student)
    return FallbackExecutor(target.student, target.fallback, session.executor, work.rest(target.student))


def _stored(work: Workspace, run: Run) -> str:
    """The run's id; empty where a deployed skill runs without a registry that can be written."""
    try:
        return work.runs.add(run, source="run")
    except (StoreError, NotFound, OSError) as exc:
        if not run.alias:
            raise
        work.say_once(f"runs of deployed skills are not stored here: {exc}")
        return ""


def _split_hint(run: Run) -> tuple[str, str]:
    """(message, hint): a run keeps both in one line, as ``message (hint)``."""
    error = run.attempts[-1].error if run.attempts else ""
    if error and run.reason.startswith(f"{error} (") and run.reason.endswith(")"):
        return error, run.reason[len(error) + 2 : -1]
    return run.reason, ""
