"""Running one skill on one input and keeping the row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from skillforge.capture.context import current_labels
from skillforge.engine.execute import Executor, PromptExecutor
from skillforge.engine.fallback import FallbackExecutor, after
from skillforge.engine.forms import FormExecutor
from skillforge.engine.frame import complete_input
from skillforge.engine.workflow.execute import WorkflowExecutor
from skillforge.errors import NotFound, ProviderError, SkillforgeError, StoreError, ToolUnavailable, UsageError
from skillforge.forge.opening import one_spelling, open_student, require_models
from skillforge.forge.session import NO_MODEL, DeployedSession, Session, Terms
from skillforge.forge.skills import resolve
from skillforge.forge.variants import tuned_forms
from skillforge.forge.workflows import NO_TOOLING, Asked, Consent, RunJournal, Tooling, claimed_journal, opened_tools
from skillforge.forge.workspace import Workspace
from skillforge.ladder import rungs_of
from skillforge.ref import PRODUCTION, SkillRef
from skillforge.run import Run
from skillforge.skill import Skill
from skillforge.store.registry import SkillVersion
from skillforge.tools.recorded import RECORD_IT

OpenModel = Callable[[str], Executor]


@dataclass(frozen=True, slots=True)
class Target:
    """What a program calls: a version, the model that runs it and, of a deployment, its alias and fallback. ``forms``
    are what those models run in the skill's place that have a variant.
    """

    version: SkillVersion
    student: str
    alias: str = ""
    fallback: str = ""
    forms: Mapping[str, Skill] = field(default_factory=dict)

    def form(self, student: str) -> Skill:
        """What that model runs."""
        return self.forms.get(student, self.version.skill)

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


def asks_a_model(skill: Skill) -> bool:
    """Whether running it may ask a model: any skill does, but a workflow whose steps only call tools."""
    return not skill.is_workflow or any(step.kind in ("prompt", "agent") for step in skill.steps)


def target(work: Workspace, ref: str, student: str | None, *, variants: bool = True) -> Target:
    """What ``ref`` means to a program: ``NAME`` alone and ``NAME@production`` are the deployed version with its models,
    found without a database; anything else is a version for ``student``, or the repository's default one.

    ``student`` takes the place of a deployed one too. Without ``variants`` everybody runs the skill itself. A workflow
    of which no step asks a model needs none: that is ``NO_MODEL``. Raises ``NotPromoted``, and as ``resolve`` does.
    """
    if (named := _deployed_name(work, ref)) is None:
        version = resolve(work, ref)
        runs = student or (chosen_student(work, None) if asks_a_model(version.skill) else NO_MODEL)
        runs = one_spelling(runs)
        return Target(version, runs, forms=tuned_forms(work, version, rungs_of(runs)) if variants else {})
    found = work.deployed.get(*named)
    runs = one_spelling(student or found.move.student)
    fallback = found.move.fallback if found.move.fallback != runs else ""
    return Target(found.version, runs, found.move.alias, fallback, found.forms if variants else {})


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
    work: Workspace,
    target: Target,
    given: Mapping[str, Any],
    tags: Mapping[str, str],
    terms: Terms,
    tooling: Tooling = NO_TOOLING,
) -> Run:
    """Execute, store the run with its attempts, return it with its id and version. A workflow calls the tools of
    ``tooling``, and goes on where an earlier run of the same was left.

    A deployed skill answers also where its run cannot be stored; that is said once. Raises ``InvalidInput`` before any
    call, ``ProviderError`` when no answer came (the row is kept all the same), ``ToolUnavailable`` when it was a tool
    that could not be reached.
    """
    session = DeployedSession(work, terms, target.fallback) if target.alias else Session(work, terms)
    skill = target.version.skill

    def keep(run: Run) -> Run:
        told = {"reason": work.redactor.text(run.reason), "fallback": work.redactor.text(run.fallback)}
        known = {"version": target.version.version, "tags": dict(tags), "alias": target.alias}
        run = run.model_copy(update=known | told)
        return run.model_copy(update={"id": _stored(work, run)})

    if skill.is_workflow:
        run = await _run_workflow(work, session, target, given, tooling, keep)
    else:

        def opened(student: str) -> Executor:
            executor = open_student(work, session.executor, student, target.version, form=target.form)
            if isinstance(executor, PromptExecutor) and student in target.forms:
                return FormExecutor(executor, target.forms[student])
            return executor

        run = keep(await _executor(work, target, opened).execute(skill, given))
    if run.status == "error":
        session.all_left_open()
        raise _no_answer(target, run)
    session.finish()
    return run


async def _run_workflow(
    work: Workspace,
    session: Session,
    target: Target,
    given: Mapping[str, Any],
    tooling: Tooling,
    keep: Callable[[Run], Run],
) -> Run:
    """Run, keep the run, and only then forget how far it came: whoever is killed before gets the same run again."""
    skill = target.version.skill
    require_models(target.student, skill)
    values = complete_input(skill, given)
    consent = Consent(tooling.ask)
    async with opened_tools(work, skill, tooling, consent) as box:
        asked = Asked(skill, (target.student, target.fallback), box, values, deployed=bool(target.alias))
        with claimed_journal(work, asked, tooling) as journal:
            journal.kept = session.stored

            def executor(model: str) -> WorkflowExecutor:
                return WorkflowExecutor(session.executor(model), box, lambda skill, values: journal)

            try:
                run = await _executor(work, target, executor).execute(skill, given)
            finally:
                journal.withdraw(skill, consent.open)
            journal.tell(run.steps)
            run = keep(_with_earlier(work, run.model_copy(update={"id": journal.run_id}), journal))
            if run.status != "error":
                tooling.watch.ended(run)
                journal.close()
    return run


def _with_earlier(work: Workspace, run: Run, journal: RunJournal) -> Run:
    """The run with what it cost before it was gone on with: calls of steps that were taken over it has already."""
    earlier = work.runs.by_ids([run.id]).get(run.id) if journal.resumed is not None else None
    if earlier is None:
        return run
    return after(earlier.run, run)


def _no_answer(target: Target, run: Run) -> SkillforgeError:
    """The error that a run without an answer ends its call with: a model's, or a tool's."""
    said, hint = _split_hint(run)
    if run.steps and not any(attempt.error for attempt in run.attempts):
        if (unrecorded := f" ({RECORD_IT})") in said:  # another recording is another call: it does not go on
            return ToolUnavailable(f"{target}: {said.replace(unrecorded, '')}", hint=RECORD_IT)
        return ToolUnavailable(f"{target}: {said}", hint=hint or "the same call goes on where this one stopped")
    named = target.student in said
    return ProviderError(f"{target}: {said}" if named else f"{target} on {run.student}: {said}", hint=hint)


def with_labels(tags: Mapping[str, str]) -> dict[str, str]:
    """``tags`` over the labels of the caller's ``skillforge.tagged``. Conversation and subject are tags of these names:
    by them ``purge`` finds runs, as it finds the calls of wrapped clients.
    """
    labels = current_labels()
    named = {"conversation": labels.conversation, "subject": labels.subject}
    return {**{name: value for name, value in named.items() if value}, **labels.tags, **tags}


def _executor(work: Workspace, target: Target, open_model: OpenModel) -> Executor:
    if not target.fallback:
        return open_model(target.student)

    return FallbackExecutor(target.student, target.fallback, open_model, work.rest(target.student))


def _stored(work: Workspace, run: Run) -> str:
    """The run's id; empty where a deployed skill runs without a registry that can be written. What went up a ladder is
    kept as a candidate case too.
    """
    try:
        run_id = work.runs.replace(run, source="run") if run.id else work.runs.add(run, source="run")
        if len(run.rungs) > 1 and run.status != "error":
            work.candidates.add(run.model_copy(update={"id": run_id}))
        return run_id
    except (StoreError, NotFound, OSError) as exc:
        if not run.alias:
            raise
        work.say_once(f"runs of deployed skills are not stored here: {exc}")
        return ""


def _split_hint(run: Run) -> tuple[str, str]:
    """(message, hint): a run keeps both in one line, as ``message (hint)``; before a workflow's stands the step."""
    for error in (attempt.error for attempt in reversed(run.attempts) if attempt.error):
        before, found, hint = run.reason.partition(f"{error} (")
        if found and hint.endswith(")"):
            return before + error, hint[:-1]
    return run.reason, ""
