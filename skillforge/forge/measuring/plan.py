"""What an eval will measure, found out before the first call is paid for: suite, cases, scorers and arms."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypedDict

from skillforge.canonical import canonical_json
from skillforge.case import Case, Suite
from skillforge.engine.execute import Executor, PromptExecutor
from skillforge.engine.frame import complete_input
from skillforge.engine.nomodel import label_fields
from skillforge.engine.programs import COMMAND, own_executor
from skillforge.engine.recorded import RecordedExecutor
from skillforge.engine.solve import SOLVE_ROLE
from skillforge.errors import NotFound, UsageError
from skillforge.evals.clusters import repeated
from skillforge.evals.fit import require_fit
from skillforge.evals.leaks import leaking
from skillforge.evals.report import Excluded
from skillforge.evals.running.arms import DEFAULT_ARMS, Arm, ArmKind, Wanted, against_itself, build_arms, teacher_arm
from skillforge.evals.running.evaluate import OnSample
from skillforge.evals.running.limits import Limits
from skillforge.evals.running.sandboxed import EvalTools, Sandbox, SandboxedExecutor, eval_tools
from skillforge.evals.sampling import choose_split, filtered, stratified
from skillforge.evals.scorers.own import OwnScorer
from skillforge.evals.scorers.resolve import Scorers, scorers_of, spec_of_text
from skillforge.evals.wording.words import many
from skillforge.forge.measuring.rungs import teacher_rung_of
from skillforge.forge.opening import FormOf, open_student
from skillforge.forge.session import NO_TERMS, Terms
from skillforge.forge.variants import tuned_forms
from skillforge.forge.workspace import Workspace
from skillforge.providers.base import tells_probabilities
from skillforge.skill import Skill
from skillforge.skillfile import read_skill
from skillforge.store.registry import SkillVersion
from skillforge.students.ladder.executor import AskRung, ask_live
from skillforge.suitefile import read_suite
from skillforge.today import read_today
from skillforge.tools.opening import ToolsGiven

RECORDED = "recorded"
EVALS_FOLDER = "evals"
_ONE_ANSWER = "one answer counts as several cases (give them a cluster, or leave them out)"
_GIVEN = "given"  # the name of a scorer that the caller spelled out

Executors = Callable[..., Executor]
OnStart = Callable[[Sequence[Arm], Sequence[Case], int], None]
"""Called before the first call with the arms, the cases, and how often each arm answers each case."""


class EvalWishes(TypedDict, total=False):
    """What a caller may ask of an eval; what is left out has its default.

    ``students``: names of models. ``teacher``: a model, ``recorded`` (what the suite holds), or a program
    (``command:…``). ``suite``: a suite's path (default: the skill's own). ``split``: ``train``, ``dev``, ``test`` or
    ``all``. ``limit``: a fixed stratified part of that many cases. ``filter``: ``KEY=VALUE`` of the metadata, or a part
    of the ids. ``repeat``: answers a case. ``arms``: kinds of arms (default: all but ``raw``). ``own``: programs or
    functions that answer as arms of their own, by name. ``variants``: skill files of the same contract, measured
    beside. ``own_variants``: students run theirs (default: yes), also on the rungs of a ladder. ``scorer``: the metric
    instead of the suite's: a type, a name of the suite's scorers, a JSON pointer, or a function
    ``(output, expected, …) -> score``. ``judge``: the model that grades. ``against_itself``: the arms of the skill
    against their own second answers. ``max_errors`` and ``time_limit_s`` (seconds) stop an eval; what was measured is
    kept. ``terms`` may hold a budget and a recording. ``probabilities``: models are asked for those of the labels
    too, where the skill answers labels; what was answered without them is asked again.

    ``tools`` are what a workflow calls; those that write only from a recording, or of a ``sandbox``: a function (or
    ``module:function``) that is called with a case's input and gives a context manager of tools, once an execution.
    """

    students: Collection[str]
    teacher: str | None
    suite: str | Path | None
    split: str | None
    limit: int | None
    filter: str
    repeat: int | None
    arms: Collection[ArmKind]
    own: Mapping[str, Callable[..., Any] | str]
    variants: Collection[str | Path]
    own_variants: bool
    scorer: str | Callable[..., Any] | None
    judge: str | None
    against_itself: bool
    max_errors: int | None
    time_limit_s: float | None
    terms: Terms
    tools: ToolsGiven
    sandbox: str | Sandbox | None
    probabilities: bool
    on_start: OnStart
    on_sample: OnSample


@dataclass(frozen=True)
class EvalPlan:
    """The caller's wishes with their defaults. ``teacher`` may be ``recorded``: the suite's own recording."""

    students: tuple[str, ...]
    teacher: str
    suite: Path | None = None
    split: str | None = None
    limit: int | None = None
    filter: str = ""
    repeat: int | None = None
    kinds: tuple[ArmKind, ...] = DEFAULT_ARMS
    own: tuple[Executor, ...] = ()
    variants: tuple[Path, ...] = ()
    own_variants: bool = True
    scorer: str | OwnScorer | None = None
    judge: str | None = None
    against_itself: bool = False
    limits: Limits = field(default_factory=Limits)
    terms: Terms = NO_TERMS
    tools: ToolsGiven = None
    sandbox: str | Sandbox | None = None
    probabilities: bool = False

    def form(self, version: SkillVersion) -> FormOf | None:
        """What models on the rungs of ladders run, where that is not their variant."""
        return None if self.own_variants else lambda student: version.skill


def unopened(work: Workspace) -> Callable[..., PromptExecutor]:
    """Executors as a session opens them, to be counted and looked up with: no key is needed, nothing is asked."""

    def executor(name: str, *, role: str = "run", probabilities: bool = False) -> PromptExecutor:
        provider = work.provider(name)
        told = probabilities and tells_probabilities(provider)
        return PromptExecutor(provider, role=role, custom_checks=work.custom_checks, probabilities=told)

    return executor


def telling(executor: Callable[..., PromptExecutor], skill: Skill, plan: EvalPlan) -> Callable[..., PromptExecutor]:
    """``executor`` as the plan wants it: models tell the probabilities of labels where it asks for them and the skill
    answers some in one call.
    """
    told = plan.probabilities and bool(label_fields(skill)) and not skill.is_workflow
    return partial(executor, probabilities=True) if told else executor


@dataclass(frozen=True)
class Prepared:
    """What an eval will measure. ``suite`` has the plan's wishes in it: its digest names what is really measured.

    ``excluded`` cases are left out for what the skill gives away of them. ``limit`` is ``None`` where it leaves out
    none. ``wished`` are the flags that say something else than the suite does.
    """

    suite: Suite
    split: str
    cases: list[Case]
    arms: list[Arm]
    scorers: Scorers
    excluded: tuple[Excluded, ...] = ()
    limit: int | None = None
    wished: tuple[str, ...] = ()


def prepare(
    work: Workspace, version: SkillVersion, plan: EvalPlan, executor: Executors, ask: AskRung = ask_live
) -> Prepared:
    """Suite, cases, scorers and arms of an eval. ``executor`` opens a model by name and role, ``ask`` asks the rungs of
    its ladders.

    Raises ``NotFound`` (suite), ``UsageError``, ``InvalidInput`` (a case does not fit the contract).
    """
    declared = find_suite(work, version, plan.suite)
    suite = as_wished(declared, plan.scorer, plan.judge, plan.repeat)
    own = plan.scorer if isinstance(plan.scorer, OwnScorer) else None
    scorers = scorers_of(suite, own, version.skill, work.custom_checks)
    split, cases = choose_split(suite.cases, plan.split)
    cases = _labelled(filtered(cases, plan.filter), scorers)
    require_fit(version.skill, cases, suite, scorers)
    cases, excluded = _unseen(work, version.skill, cases)
    if plan.limit is not None and plan.limit < 1:
        raise UsageError("--limit must be at least 1", hint="leave it out to measure every case")
    limit = plan.limit if plan.limit is not None and plan.limit < len(cases) else None
    if limit is not None:
        cases = stratified(cases, limit, suite.decision)
    if twice := repeated(cases, suite.decision):
        work.say(f"{twice} of {len(cases)} cases ask what others ask: {_ONE_ANSWER}")
    if plan.own and plan.terms.budget_usd is not None:
        raise UsageError("programs cannot be held to a budget", hint="leave out --arm, or --budget")
    today = today_executor(suite)
    teacher = teacher_executor(suite, plan.teacher, executor)
    if isinstance(teacher, RecordedExecutor):  # the teacher's answers are today's: one arm, not two
        today, cases = None, _answered(work, teacher, cases)
    elif today is not None and (missing := sum(not today.covers(case) for case in cases)):
        work.say(f"today has no answer to {missing} of {len(cases)} cases: it is compared on the others")
    wanted = Wanted(
        kinds=plan.kinds,
        own=plan.own,
        variants=tuple(_variant(version.skill, path) for path in plan.variants),
        tuned=tuned_forms(work, version, plan.students) if plan.own_variants else {},
        again=scorers.metric.labels and not any(case.expected is not None for case in cases),
        repeat=suite.repeat,
    )
    rung = teacher_rung_of(teacher_arm(version.skill, teacher, suite.repeat))
    form = plan.form(version)
    students = [
        open_student(work, executor, name, version, teacher=rung, ask=ask, form=form)
        for name in dict.fromkeys(plan.students)
    ]
    arms = build_arms(version.skill, suite.decision, teacher, students, today, wanted)
    if plan.against_itself:
        arms = against_itself(arms, suite.repeat)
    if version.skill.tools and any(arm.kind == "bare" for arm in arms):
        work.say("bare is a tool loop, many calls a case: with a local model it is slow; --arms skill leaves it out")
    return Prepared(suite, split, cases, arms, scorers, excluded, limit, _wished(declared, plan))


@asynccontextmanager
async def with_tools(
    work: Workspace, skill: Skill, plan: EvalPlan, executor: Callable[..., PromptExecutor]
) -> AsyncIterator[Executors]:
    """``executor`` for the skills of an eval: where one is a workflow, with the tools of the plan (default: those of
    the Forge). Raises ``UsageError`` for tools that are missing or would write for real.
    """
    forms = [skill, *(read_skill(path).skill for path in plan.variants)]
    if not any(form.is_workflow for form in forms):
        yield executor
        return
    tools = work.tools if plan.tools is None and plan.sandbox is None else plan.tools
    async with eval_tools(forms, tools, plan.sandbox) as opened:
        yield partial(_sandboxed, executor, opened)


def _sandboxed(executor: Callable[..., PromptExecutor], tools: EvalTools, name: str, *, role: str = "run") -> Executor:
    return SandboxedExecutor(executor(name, role=role), tools)


def find_suite(work: Workspace, version: SkillVersion, path: Path | None) -> Suite:
    """The suite named, else the one the skill names, else ``evals/<name>.yaml``; below the repository root."""
    if path is not None:
        return read_suite(path)
    named = version.skill.suite or f"{EVALS_FOLDER}/{version.name}.yaml"
    found = (work.root / named).resolve()
    if not found.is_relative_to(work.root):  # a skill file is untrusted: it does not choose what is read elsewhere
        raise UsageError(f"{version.name}: its suite {named!r} lies outside {work.root}", hint="name it with --suite")
    if not found.is_file():
        raise NotFound(f"{version.name} has no suite: {found} does not exist", hint="name one with --suite FILE")
    return read_suite(found)


def today_executor(suite: Suite) -> RecordedExecutor | None:
    """What the program that the suite was made from was answered, where that was recorded."""
    return None if suite.today is None else RecordedExecutor.of(suite.cases, read_today(suite.today))


def teacher_executor(suite: Suite, teacher: str, executor: Executors) -> Executor:
    """The teacher of an eval: a model, or a program (``command:…``). ``recorded`` is the suite's recording, else what
    its program was answered.
    """
    if teacher == RECORDED and not suite.recorded and (today := today_executor(suite)) is not None:
        return today
    if teacher.startswith(COMMAND):
        return own_executor("teacher", teacher)
    return executor(teacher_model(suite, teacher), role=SOLVE_ROLE)


def teacher_model(suite: Suite, teacher: str) -> str:
    """``recorded`` as the replay of the suite's recording; any other name as it is."""
    if teacher != RECORDED:
        return teacher
    if not suite.recorded:
        raise UsageError(
            f"the suite {suite.name} has no recorded teacher",
            hint="name a live one with --teacher, or add recorded: file://… to the suite",
        )
    return f"replay:{suite.recorded}"


def as_wished(suite: Suite, scorer: str | OwnScorer | None, judge: str | None, repeat: int | None) -> Suite:
    """The suite with what the caller asked for instead: whatever can change a figure is part of its digest."""
    update: dict[str, Any] = {}
    if isinstance(scorer, str) and scorer.startswith("{"):
        update["scorers"] = {**suite.scorers, _GIVEN: spec_of_text(scorer)}
        update["decision"] = suite.decision.model_copy(update={"metric": _GIVEN})
    elif scorer is not None:
        metric = scorer if isinstance(scorer, str) else scorer.identity
        update["decision"] = suite.decision.model_copy(update={"metric": metric})
    if judge is not None:
        update["judge"] = judge
    if repeat is not None:
        if repeat < 1:
            raise UsageError("--repeat must be at least 1", hint="leave it out to answer every case once")
        update["repeat"] = repeat
    return suite.model_copy(update=update) if update else suite


def _wished(suite: Suite, plan: EvalPlan) -> tuple[str, ...]:
    """The flags of a plan that say something else than the suite does."""
    scorer = plan.scorer.name if isinstance(plan.scorer, OwnScorer) else plan.scorer
    asked = (
        ("--scorer", scorer, suite.decision.metric),
        ("--judge", plan.judge, suite.judge),
        ("--repeat", plan.repeat, suite.repeat),
    )
    return tuple(f"{flag} {wish}" for flag, wish, declared in asked if wish is not None and wish != declared)


def _labelled(cases: list[Case], scorers: Scorers) -> list[Case]:
    """The cases the metric can score; all of them where none has a label (then only agreement is measured)."""
    if not scorers.metric.labels:
        return cases
    return [case for case in cases if case.expected is not None] or cases


def _unseen(work: Workspace, skill: Skill, cases: list[Case]) -> tuple[list[Case], tuple[Excluded, ...]]:
    """The cases of which the skill gives nothing away: an answer that stands in the prompt measures nothing.

    Raises ``UsageError`` when none is left.
    """
    shown = {canonical_json(complete_input(skill, example.input)) for example in skill.examples.items}
    seen = [case.id for case in cases if canonical_json(complete_input(skill, case.input)) in shown]
    seen += [case.id for case in cases if case.id not in seen and _is_shown_by_a_step(skill, case)]
    examples = tuple(Excluded(case=case_id, why="its input is an example of the skill") for case_id in seen)
    rest = [case for case in cases if case.id not in set(seen)]
    leaks = tuple(leaking(skill, rest))
    left = [case for case in rest if case.id not in {item.case for item in leaks}]
    if not left:
        raise UsageError(
            "every case is an example of the skill, or stands in it", hint="measure it on another split or suite"
        )
    if examples:
        work.say(f"{many(len(examples), 'case')} left out: examples of the skill")
    for item in leaks[:3]:
        work.say(f"case {item.case} is left out: {item.why}")
    if len(leaks) > 3:
        work.say(f"{many(len(leaks) - 3, 'more case')} left out, for the like: the report names them")
    return left, (*examples, *leaks)


def _is_shown_by_a_step(skill: Skill, case: Case) -> bool:
    """Whether an example of a step holds the whole input of the case."""
    return any(
        case.input.keys() <= example.input.keys()
        and all(canonical_json(example.input[name]) == canonical_json(value) for name, value in case.input.items())
        for step in skill.steps
        for example in step.examples.items
        if case.input
    )


def _answered(work: Workspace, teacher: RecordedExecutor, cases: list[Case]) -> list[Case]:
    """The cases a recorded teacher has an answer to: students are not paid for what nobody can compare them on."""
    known = [case for case in cases if teacher.covers(case)]
    if not known:
        raise UsageError("no case has a recorded answer", hint="name a live teacher with --teacher")
    if len(known) < len(cases):
        work.say(f"{many(len(cases) - len(known), 'case')} left out: no recorded answer")
    return known


def _variant(skill: Skill, path: Path) -> Skill:
    """Another form of the skill, from its file. Raises ``UsageError`` where its contract is another one."""
    other = read_skill(path).skill
    if (other.input, other.output) != (skill.input, skill.output):
        raise UsageError(f"{path}: a variant has the same input and output as the skill", hint="align the contracts")
    return other
