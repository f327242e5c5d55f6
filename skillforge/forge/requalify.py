"""On the day a new model appears: all deployed skills are measured on it, the cheapest first, within one budget."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from skillforge.errors import BudgetReached, Halt, NotFound, SkillforgeError, StoreError, UsageError
from skillforge.evals.report import ArmReport, EvalReport, leaves_evidence
from skillforge.evals.running.evaluate import OnSample
from skillforge.forge.deploy.promote import promote
from skillforge.forge.encoders import folder_of
from skillforge.forge.evals import plan_of
from skillforge.forge.making.estimate import estimate_eval
from skillforge.forge.measuring.measure import evaluate_skill, told_without_secrets
from skillforge.forge.measuring.plan import RECORDED, EvalWishes, OnStart
from skillforge.forge.session import Session, Terms
from skillforge.forge.skills import resolve
from skillforge.forge.workspace import Workspace
from skillforge.ladder import ENCODER, TEACHER, is_meant, rungs_of
from skillforge.lockfile import Move, read_lock
from skillforge.ref import PRODUCTION
from skillforge.store.registry import SkillVersion
from skillforge.students.requalified import Figures, OnSkill, Outcome, Requalified, advise
from skillforge.tools.opening import ToolsGiven


@dataclass(frozen=True)
class RequalifyPlan:
    """What is to be measured. ``skills`` are names (empty: all that are promoted; ``everything``: also what never was).
    ``budget_usd`` bounds all of it together. ``move`` points the alias of every skill that may move to the student.
    """

    student: str
    skills: Collection[str] = ()
    everything: bool = False
    teacher: str = ""
    limit: int | None = None
    budget_usd: float | None = None
    move: bool = False
    tools: ToolsGiven = None
    sandbox: str | None = None


@dataclass(frozen=True)
class _Job:
    version: SkillVersion
    move: Move | None
    about_usd: float
    calls: int
    failed: str = ""


async def requalify(
    work: Workspace, plan: RequalifyPlan, on_skill: OnSkill, on_start: OnStart, on_sample: OnSample
) -> Requalified:
    """Measure one skill after the other. What was measured before costs nothing again: a killed command goes on.

    Raises ``NotFound`` where no skill is promoted, ``UsageError`` for a name nobody knows, and where moving is asked
    for on a part of the cases.
    """
    _require_sense(work, plan)
    jobs = [await _estimated(work, plan, version, move) for version, move in _asked(work, plan)]
    jobs.sort(key=lambda job: (bool(job.failed), job.about_usd, job.calls, job.version.name))
    outcomes, spent, left = [], 0.0, plan.budget_usd
    known = True
    for number, job in enumerate(jobs, 1):
        on_skill(job.version.name, number, len(jobs))
        if job.failed or (left is not None and left <= 0):
            outcomes.append(_unmeasured(job, job.failed or "the budget is spent"))
            continue
        session = Session(work, Terms(budget_usd=left))
        try:
            outcomes.append(await _measured(work, plan, job, session, on_start, on_sample))
        except BudgetReached as exc:
            outcomes.append(_unmeasured(job, f"{exc}; the same command goes on where it stopped"))
            left = 0.0  # what comes after takes more
        known = known and session.spent_usd is not None
        spent += session.budget.spent_usd  # also of what ended in an error
        left = None if left is None else min(left, (plan.budget_usd or 0.0) - spent)
    return Requalified(student=plan.student, outcomes=tuple(outcomes), spent_usd=spent if known else None)


def _require_sense(work: Workspace, plan: RequalifyPlan) -> None:
    """Raises ``UsageError`` and ``NotFound`` for what would fail for every skill alike."""
    if plan.move and plan.limit is not None:
        raise UsageError(
            "a part of the cases moves nothing: trying several parts is optional stopping", hint="no --limit"
        )
    if plan.limit is not None and plan.limit < 1:
        raise UsageError("--limit must be at least 1", hint="leave it out to measure every case")
    Terms(budget_usd=plan.budget_usd)
    for name in rungs_of(plan.student):
        if name.startswith(ENCODER):
            folder_of(work, name.removeprefix(ENCODER))
        elif name != TEACHER:
            work.provider(name)


def _asked(work: Workspace, plan: RequalifyPlan) -> list[tuple[SkillVersion, Move | None]]:
    """The versions that answer in production, and of what is not deployed the newest where that is asked for."""
    lock = read_lock(work.root)
    deployed = {name: entry.alias(PRODUCTION) for name, entry in lock.skills.items()}
    stored = {version.name for version in work.registry.skills()}
    everyone = sorted({*(name for name, move in deployed.items() if move is not None), *stored})
    if unknown := sorted(set(plan.skills) - set(everyone)):
        raise UsageError(f"no skill {', '.join(unknown)}", hint=f"there are: {', '.join(everyone) or 'none'}")
    names = plan.skills or [name for name in everyone if plan.everything or deployed.get(name) is not None]
    if not names:
        raise NotFound("no skill is promoted", hint="--all measures those that never were, too")
    found = []
    for name in sorted(names):
        move = deployed.get(name)
        reference = f"{name}@{move.version}" if move is not None else f"{name}@latest"
        found.append((resolve(work, reference), move))
    return found


async def _estimated(work: Workspace, plan: RequalifyPlan, version: SkillVersion, move: Move | None) -> _Job:
    try:
        estimate = await estimate_eval(work, version, plan_of(work, _wishes(work, plan)))
    except SkillforgeError as exc:  # no suite, no tools: one skill must not keep the others from being measured
        return _Job(version, move, 0.0, 0, f"{exc}" + (f" ({exc.hint})" if exc.hint else ""))
    unknown = float("inf")
    return _Job(version, move, unknown if estimate.about_usd is None else estimate.about_usd, estimate.calls)


def _wishes(work: Workspace, plan: RequalifyPlan) -> EvalWishes:
    # bare tells what the skill does, not whether to move: it would double the calls
    wishes: dict[str, Any] = {"students": (plan.student,), "arms": ("no-model", "skill")}
    wishes["teacher"] = plan.teacher or work.settings.teacher or RECORDED
    given = {"limit": plan.limit, "tools": plan.tools, "sandbox": plan.sandbox}
    return {**wishes, **{name: value for name, value in given.items() if value is not None}}  # type: ignore[typeddict-item]


async def _measured(
    work: Workspace, plan: RequalifyPlan, job: _Job, session: Session, on_start: OnStart, on_sample: OnSample
) -> Outcome:
    """The outcome of one skill. Raises ``Halt``, and ``StoreError``: what cannot be kept must not be paid for."""
    asked = plan_of(work, _wishes(work, plan))
    try:
        with told_without_secrets(work):
            measured = await evaluate_skill(work, job.version, asked, on_start, on_sample, session)
    except (Halt, StoreError):
        raise
    except SkillforgeError as exc:
        return _unmeasured(job, str(exc))
    outcome = _outcome(work, plan, job, measured.report)
    return _moved(work, job, outcome) if plan.move and outcome.advice == "move" else outcome


def _unmeasured(job: _Job, why: str) -> Outcome:
    alias = PRODUCTION if job.move is not None else ""
    return Outcome(skill=job.version.name, version=job.version.version, alias=alias, advice="unmeasured", why=why)


def _moved(work: Workspace, job: _Job, outcome: Outcome) -> Outcome:
    """The outcome, once the alias points to the student; where that is refused it says why, and the next one's turn
    comes all the same.
    """
    if job.move is None or outcome.new is None:
        return outcome
    student = outcome.new.student
    fallback = "" if job.move.fallback == student else job.move.fallback  # nobody stands in for itself
    try:
        reason = f"requalified on {student}"
        promote(work, _ref(job.version), student, PRODUCTION, fallback, None, "", reason)
    except SkillforgeError as exc:
        return outcome.model_copy(update={"why": f"{outcome.why}; not moved: {exc}"})
    return outcome.model_copy(update={"moved": True})


def _outcome(work: Workspace, plan: RequalifyPlan, job: _Job, report: EvalReport) -> Outcome:
    arm = _best(report, plan.student)
    new, now = _figures(arm), _now(work, job, report)
    versus = arm.versus_teacher
    advice, why = advise(new, now, None if versus is None else versus.cases_needed)
    saves = None
    if now is not None and now.usd_per_1000 is not None and new.usd_per_1000 is not None:
        saves = now.usd_per_1000 - new.usd_per_1000
    return Outcome(
        skill=job.version.name,
        version=job.version.version,
        alias=PRODUCTION if job.move is not None else "",
        advice=advice,
        why=why,
        now=now,
        new=new,
        difference=None if versus is None else versus.difference,
        low=None if versus is None else versus.bounds.low,
        high=None if versus is None else versus.bounds.high,
        n=arm.n if versus is None else versus.n,
        cases_needed=None if versus is None else versus.cases_needed,
        saves_per_1000=saves,
        lost=() if versus is None else versus.lost,
    )


def _best(report: EvalReport, student: str) -> ArmReport:
    """The form that would run: the student's variant where it has one. An eval puts thresholds into a ladder's name."""
    own = [arm for arm in report.arms if is_meant(student, arm.student) and leaves_evidence(arm)]
    return next((arm for arm in own if arm.kind == "variant"), own[0])


def _now(work: Workspace, job: _Job, report: EvalReport) -> Figures | None:
    """What answers in production, as it was measured last on this very suite."""
    if job.move is None:
        return None
    for item in work.evidence.for_skill(job.version.name):
        same = (item.digest, item.student, item.suite_digest, item.split)
        if same == (job.version.digest, job.move.student, report.suite_digest, report.split):
            try:
                return _figures(_best(EvalReport.model_validate(item.report), job.move.student))
            except (ValidationError, IndexError):
                continue
    return None


def _figures(arm: ArmReport) -> Figures:
    return Figures(
        student=arm.student,
        quality=arm.quality,
        usd_per_1000=arm.usd_per_1000,
        cost_estimated=arm.cost_estimated,
        p95_s=arm.p95_s,
        verdict=None if arm.versus_teacher is None else arm.versus_teacher.verdict,
    )


def _ref(version: SkillVersion) -> str:
    return f"{version.name}@{version.version}"
