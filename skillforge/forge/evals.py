"""Measuring a stored skill: its suite, its arms, the report, and the evidence that is kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from skillforge.canonical import canonical_json
from skillforge.case import Case, Suite
from skillforge.config import store_io
from skillforge.engine.execute import Executor, PromptExecutor
from skillforge.engine.frame import HARNESS, complete_input
from skillforge.engine.recorded import RecordedExecutor
from skillforge.engine.retold import sample_calls
from skillforge.engine.solve import SOLVE_ROLE
from skillforge.errors import NotFound, UsageError
from skillforge.evals.arms import Arm, build_arms
from skillforge.evals.evaluate import OnSample, Table, evaluate
from skillforge.evals.fit import require_fit
from skillforge.evals.report import ArmReport, EvalReport, arm_reports, repayments
from skillforge.evals.sampling import choose_split, stratified
from skillforge.forge.files.evidence_files import keep_evidence
from skillforge.forge.making.made import made_usd
from skillforge.forge.session import NO_TERMS, Session, Terms
from skillforge.forge.workspace import Workspace
from skillforge.providers.replay import Replay
from skillforge.sample import Sample
from skillforge.skill import Skill
from skillforge.store.evidence import Measured
from skillforge.store.registry import SkillVersion
from skillforge.suitefile import read_suite
from skillforge.today import read_today

RECORDED = "recorded"
EVALS_FOLDER = "evals"

Executors = Callable[..., PromptExecutor]
OnStart = Callable[[Sequence[Arm], Sequence[Case]], None]


@dataclass(frozen=True)
class EvalPlan:
    """The caller's wishes; ``None`` leaves a default. ``teacher`` may be ``recorded``: the suite's own recording."""

    students: tuple[str, ...]
    teacher: str
    suite: Path | None = None
    split: str | None = None
    limit: int | None = None
    terms: Terms = NO_TERMS


@dataclass(frozen=True)
class Prepared:
    """What an eval will measure, found out before the first call is paid for."""

    suite: Suite
    split: str
    cases: list[Case]
    arms: list[Arm]


async def evaluate_skill(
    work: Workspace, version: SkillVersion, plan: EvalPlan, on_start: OnStart, on_sample: OnSample
) -> EvalReport:
    """Measure, store every sample as it arrives, keep the evidence, report.

    Raises ``NotFound`` (suite), ``UsageError``, ``InvalidInput`` (a case does not fit the contract), ``Halt`` when no
    further call makes sense: what was measured is kept.
    """
    session = Session(work, plan.terms)
    ready = prepare(work, version, plan, session.executor)
    for arm in ready.arms:
        _ = arm.executor.identity  # opens every model: a wrong name must not be found after half is paid for
    on_start(ready.arms, ready.cases)
    started = time.monotonic()
    counted = _Counting(on_sample)
    table = await evaluate(ready.arms, ready.cases, _SampleJournal(work, version, session), counted)
    seconds = time.monotonic() - started
    if plan.terms.record is not None:
        _record(work, session, ready, table)
    report = _report(work, version, ready, table, counted, session.spent_usd, seconds)
    _keep(work, version, plan, report, ready.arms, table)
    if not any(sample.status == "error" for samples in table.values() for sample in samples.values()):
        session.finish()
    return report


def prepare(work: Workspace, version: SkillVersion, plan: EvalPlan, executor: Executors) -> Prepared:
    """Suite, cases and arms of an eval. ``executor`` opens a model by name and role. Raises as ``evaluate_skill``."""
    suite = find_suite(work, version, plan.suite)
    split, cases = choose_split(suite.cases, plan.split)
    cases = _labelled(cases)
    require_fit(version.skill, cases, suite)
    cases = _unseen(work, version.skill, cases)
    if plan.limit is not None:
        if plan.limit < 1:
            raise UsageError("--limit must be at least 1", hint="leave it out to measure every case")
        cases = stratified(cases, plan.limit, suite.decision)
    today = today_executor(suite)
    teacher = teacher_executor(suite, plan.teacher, executor)
    if isinstance(teacher, RecordedExecutor):  # the teacher's answers are today's: one arm, not two
        today, cases = None, _answered(work, teacher, cases)
    elif today is not None and (missing := sum(not today.covers(case) for case in cases)):
        work.say(f"today has no answer to {missing} of {len(cases)} cases: it is compared on the others")
    students: list[Executor] = [executor(name) for name in dict.fromkeys(plan.students)]
    return Prepared(suite, split, cases, build_arms(version.skill, suite.decision, teacher, students, today))


def _record(work: Workspace, session: Session, ready: Prepared, table: Table) -> None:
    """A recording is whole: answers that an earlier eval paid for are written into it too, where it kept them."""
    lost = 0
    for arm in ready.arms:
        if isinstance(arm.executor, PromptExecutor):
            role = arm.executor.role
            for case in ready.cases:
                sample = table[arm.name][case.id]  # a model covers every case
                calls = sample_calls(arm.skill, case.input, sample.run, role)
                session.record(arm.executor.student, calls)
                lost += not calls and bool(sample.run.attempts) and sample.status == "ok"
    if lost:
        work.say(f"{lost} samples are not in the recording: an earlier eval kept no texts (store_io = none)")


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
    """The teacher of an eval. ``recorded`` is the suite's recording, else what its program was answered."""
    if teacher == RECORDED and not suite.recorded and (today := today_executor(suite)) is not None:
        return today
    return executor(teacher_model(suite, teacher), role=SOLVE_ROLE)


def _answered(work: Workspace, teacher: RecordedExecutor, cases: list[Case]) -> list[Case]:
    """The cases a recorded teacher has an answer to: students are not paid for what nobody can compare them on."""
    known = [case for case in cases if teacher.covers(case)]
    if not known:
        raise UsageError("no case has a recorded answer", hint="name a live teacher with --teacher")
    if len(known) < len(cases):
        work.say(f"{len(cases) - len(known)} cases are left out: they have no recorded answer")
    return known


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


class _SampleJournal:
    """The store's sample log as the engine sees it; every run carries the version it measures."""

    def __init__(self, work: Workspace, version: SkillVersion, session: Session) -> None:
        self._log = work.samples
        self._version = version
        self._session = session

    def known(self, keys: Iterable[str]) -> dict[str, Sample]:
        return self._log.known(keys)

    def add(self, sample: Sample) -> None:
        # only the skill's own arm runs this very version; the other arms run forms derived from it
        version = self._version.version if sample.run.digest == self._version.digest else None
        self._log.add(sample.model_copy(update={"run": sample.run.model_copy(update={"version": version})}))
        if sample.status == "ok":
            self._session.stored()
        else:
            self._session.left_open()


class _Counting:
    def __init__(self, on_sample: OnSample) -> None:
        self._on_sample = on_sample
        self.total = 0
        self.reused = 0

    def __call__(self, arm: Arm, sample: Sample, reused: bool) -> None:
        self.total += 1
        self.reused += reused
        self._on_sample(arm, sample, reused)


def _labelled(cases: list[Case]) -> list[Case]:
    """The labelled cases; all of them where none has a label (then only agreement is measured)."""
    return [case for case in cases if case.expected is not None] or cases


def _unseen(work: Workspace, skill: Skill, cases: list[Case]) -> list[Case]:
    """The cases that are no examples of the skill: an answer that stands in the prompt measures nothing.

    Raises ``UsageError`` when none is left.
    """
    shown = {canonical_json(complete_input(skill, example.input)) for example in skill.examples.items}
    unseen = [case for case in cases if canonical_json(complete_input(skill, case.input)) not in shown]
    if not unseen:
        raise UsageError("every case is an example of the skill", hint="measure it on another split or suite")
    if len(unseen) < len(cases):
        work.say(f"{len(cases) - len(unseen)} cases are left out: they are examples of the skill")
    return unseen


def _report(
    work: Workspace,
    version: SkillVersion,
    ready: Prepared,
    table: Table,
    counted: _Counting,
    spent_usd: float | None,
    seconds: float,
) -> EvalReport:
    suite, cases = ready.suite, ready.cases
    reference, reports = arm_reports(ready.arms, *_comparable(work, ready, table), suite.decision)
    reports = [_without_secrets(work, report) for report in reports]
    asked = [arm.name for arm in ready.arms if not arm.is_today]
    dollars = [sample.run.cost.usd for name in asked for sample in table[name].values()]
    today = next((arm.name for arm in ready.arms if arm.is_today), None)
    made = None if today is None else made_usd(work, version.name)
    known = [value for value in dollars if value is not None]
    return EvalReport(
        skill=version.name,
        version=version.version,
        digest=version.digest,
        suite=suite.name,
        suite_digest=suite.digest(),
        split=ready.split,
        cases=len(cases),
        decision=suite.decision,
        reference=reference,
        teacher=reports[0],
        arms=tuple(reports[1:]),
        samples=counted.total,
        reused=counted.reused,
        cost_usd=sum(known) if len(known) == len(dollars) else None,
        spent_usd=spent_usd,
        seconds=seconds,
        today=today,
        made_usd=made,
        repaid_after=repayments(reports, made),
    )


def _without_secrets(work: Workspace, report: ArmReport) -> ArmReport:
    """Reasons quote what a server said; a report is printed and kept. Under ``store_io`` ``none`` it holds none."""
    if store_io(work.settings) == "none":
        return report.model_copy(update={"error_reasons": ()})
    told = tuple((work.redactor.text(reason), count) for reason, count in report.error_reasons)
    return report.model_copy(update={"error_reasons": told})


def _comparable(work: Workspace, ready: Prepared, table: Table) -> tuple[list[Case], Table]:
    """Labels and outputs as the store keeps them. A resumed eval has only redacted outputs: a fresh one must score the
    same. So must a replayed one: no recording holds secrets, whatever the store keeps.
    """
    providers = [arm.executor.provider for arm in ready.arms if isinstance(arm.executor, PromptExecutor)]
    if store_io(work.settings) == "full" and not any(isinstance(provider, Replay) for provider in providers):
        return ready.cases, table
    clean = work.redactor.value
    labels = [case.model_copy(update={"expected": clean(case.expected)}) for case in ready.cases]
    return labels, {
        arm: {
            case_id: sample.model_copy(
                update={"run": sample.run.model_copy(update={"output": clean(sample.run.output)})}
            )
            for case_id, sample in samples.items()
        }
        for arm, samples in table.items()
    }


def _keep(
    work: Workspace,
    version: SkillVersion,
    plan: EvalPlan,
    report: EvalReport,
    arms: Sequence[Arm],
    table: Table,
) -> None:
    """One row of evidence for every student; none where the newest row of that student says the same already."""
    identities = {arm.name: arm.executor.identity for arm in arms}
    for arm in report.arms:
        if arm.kind != "skill" or arm.versus_teacher is None:
            continue
        measured = Measured(
            skill=version.name,
            digest=version.digest,
            student=arm.student,
            student_identity=identities[arm.name],
            teacher=plan.teacher,
            teacher_identity=identities[report.teacher.name],
            suite=report.suite,
            suite_digest=report.suite_digest,
            split=report.split,
            cases=report.cases,
            harness=HARNESS,
            verdict=arm.versus_teacher.verdict,
            report=report.model_dump(mode="json"),
            samples=_decisive(report, table),
        )
        latest = work.evidence.latest(version.digest, arm.student, report.suite_digest)
        if latest is None or not latest.same_as(measured):
            work.evidence.add(measured)
    keep_evidence(work.root, version.name, work.evidence, work.redactor, work.say)


def _decisive(report: EvalReport, table: Table) -> dict[str, dict[str, str]]:
    """Sample keys of the lost and gained cases, by case id, of every skill arm and of the teacher."""
    keys: dict[str, dict[str, str]] = {report.teacher.name: {}}
    for arm in report.arms:
        if arm.kind == "skill" and arm.versus_teacher is not None:
            cases = (*arm.versus_teacher.lost, *arm.versus_teacher.gained)
            for name in (arm.name, report.teacher.name):
                keys.setdefault(name, {}).update({case_id: table[name][case_id].key for case_id in cases})
    return keys
