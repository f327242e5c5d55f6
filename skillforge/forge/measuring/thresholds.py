"""The thresholds of an eval's ladders that nobody gave: chosen on the dev cases, before a test case is looked at."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from skillforge.errors import UsageError
from skillforge.evals.answer import Table
from skillforge.evals.running.arms import Arm
from skillforge.evals.sampling import choose_split
from skillforge.evals.scoring import score_answers
from skillforge.evals.statistics import tango_detectable
from skillforge.evals.verdict.summary import Measure, references
from skillforge.evals.wording.words import many
from skillforge.forge.measuring.plan import EvalPlan, Executors, Prepared, find_suite, prepare
from skillforge.forge.measuring.reporting import comparable
from skillforge.forge.measuring.rungs import rung_arm, teacher_rung_of
from skillforge.forge.opening import open_student
from skillforge.forge.workspace import Workspace
from skillforge.ladder import ENCODER, LadderSpec, parse_ladder
from skillforge.store.registry import SkillVersion
from skillforge.students.ladder.executor import LadderExecutor
from skillforge.students.ladder.threshold import Chosen, Outcome, choose, few_cases

DEV = "dev"

AskAll = Callable[[Prepared], Awaitable[tuple[Table, Measure]]]
"""Gives the answers of all arms to all cases, and how they are judged."""


async def settled(work: Workspace, version: SkillVersion, plan: EvalPlan, executor: Executors, ask: AskAll) -> EvalPlan:
    """The plan with all thresholds in the names of its ladders, by the rule of ``students.ladder.threshold``. A rung
    whose student tells no probabilities gets none: its answers go up where they fail their checks.

    The rungs and the teacher answer the dev cases for it; what they were asked before is not asked again. Raises
    ``UsageError`` where there are no dev cases.
    """
    students = []
    for name in plan.students:
        ladder = parse_ladder(name)
        if ladder is None:
            students.append(name)
        elif _is_open(ladder, plan):
            students.append(str(await _with_thresholds(work, version, plan, executor, ask, ladder)))
        else:
            students.append(str(ladder))
    return replace(plan, students=tuple(students))


def asked_on_dev(work: Workspace, version: SkillVersion, plan: EvalPlan, executor: Executors) -> list[Prepared]:
    """What the open thresholds of a plan's ladders would be chosen by: for each the arms that answer the dev cases."""
    ladders = [ladder for name in plan.students if (ladder := parse_ladder(name)) is not None]
    return [_on_dev(work, version, plan, executor, ladder)[0] for ladder in ladders if _is_open(ladder, plan)]


def _is_open(ladder: LadderSpec, plan: EvalPlan) -> bool:
    """Whether a threshold is to be chosen: of a rung that may tell how sure it is. Classifiers do, models where they
    are asked for it.
    """
    return any(
        rung.threshold is None and (rung.student.startswith(ENCODER) or plan.probabilities)
        for rung in ladder.rungs[:-1]
    )


async def _with_thresholds(
    work: Workspace, version: SkillVersion, plan: EvalPlan, executor: Executors, ask: AskAll, ladder: LadderSpec
) -> LadderSpec:
    ready, arms = _on_dev(work, version, plan, executor, ladder)
    work.say(f"{ladder}: its thresholds are chosen on {many(len(ready.cases), 'dev case')}, which every rung answers")
    table, measure = await ask(ready)
    coming = _coming(work, version, plan)
    scored, chosen = _chosen(
        work, ready, [arm.name for arm in arms], table, measure, ladder, coming, len(plan.students)
    )
    named = [
        rung.model_copy(update={"threshold": at})
        for rung, at in zip(ladder.rungs, [*chosen.thresholds, None], strict=True)
    ]
    found = LadderSpec(rungs=tuple(named))
    for line in _told(found, chosen, len(ready.cases) - scored, measure.decision.margin, plan):
        work.say(line)
    return found


def _coming(work: Workspace, version: SkillVersion, plan: EvalPlan) -> int:
    """How many cases the eval measures afterwards, at most."""
    _, cases = choose_split(find_suite(work, version, plan.suite).cases, plan.split)
    return len(cases) if plan.limit is None else min(len(cases), plan.limit)


def _on_dev(
    work: Workspace, version: SkillVersion, plan: EvalPlan, executor: Executors, ladder: LadderSpec
) -> tuple[Prepared, list[Arm]]:
    """The teacher and the rungs on the dev cases (all of them, whatever part of the others is measured), and the arms
    of the rungs in their order.
    """
    ready = _teacher_on_dev(work, version, plan, executor, ladder)
    teacher = ready.arms[0]
    rung, form = teacher_rung_of(teacher), plan.form(version)
    opened = open_student(work, executor, str(ladder), version, teacher=rung, form=form)
    assert isinstance(opened, LadderExecutor)
    arms = [teacher if rung.arm == "teacher" else rung_arm(rung, version.skill) for rung in opened.rungs]
    return replace(ready, arms=[teacher, *(arm for arm in arms if arm is not teacher)]), arms


def _teacher_on_dev(
    work: Workspace, version: SkillVersion, plan: EvalPlan, executor: Executors, ladder: LadderSpec
) -> Prepared:
    alone = replace(
        plan, students=(), kinds=(), own=(), variants=(), split=DEV, limit=None, filter="", against_itself=False
    )
    try:
        return prepare(work, version, alone, executor)
    except UsageError as exc:
        if "split" not in str(exc):
            raise
        raise UsageError(
            f"{ladder}: there are no dev cases to choose its thresholds on",
            hint=f'name them, such as "{ladder.rungs[0].student}@0.8 > …", or give the suite cases with split: dev',
        ) from exc


def _chosen(
    work: Workspace,
    ready: Prepared,
    rungs: Sequence[str],
    table: Table,
    measure: Measure,
    ladder: LadderSpec,
    coming: int,
    candidates: int,
) -> tuple[int, Chosen]:
    """(cases that everybody answered, what was chosen on them). ``coming`` is how many cases will be measured, of how
    many ``candidates``.
    """
    cases = comparable(work, ready)
    teacher = ready.arms[0].name
    _, expected = references(measure.metric, cases, table[teacher])
    scores = {name: score_answers(measure.metric, cases, table[name], expected).values for name in {teacher, *rungs}}
    shared = [case.id for case in cases if all(case.id in scores[name] for name in scores)]
    if not shared:
        raise UsageError(
            f"{ladder}: no dev case was answered by all its rungs and the teacher",
            hint="name its thresholds, or run skillforge eval first",
        )
    rows = []
    for name in rungs:
        answers = [table[name][case_id][0] for case_id in shared]
        row = [
            Outcome(
                scores[name][case_id],
                answer.run_status == "ok",
                answer.confidence if answer.confidence is not None and math.isfinite(answer.confidence) else None,
                answer.usd,
            )
            for case_id, answer in zip(shared, answers, strict=True)
        ]
        rows.append(row)
    given = [rung.threshold for rung in ladder.rungs[:-1]]
    bar = [scores[teacher][case_id] for case_id in shared]
    rule = measure.decision
    whole = all(score in (0.0, 1.0) for name in scores for score in scores[name].values())
    alpha = rule.alpha / max(1, candidates)  # several candidates of one eval share its error
    provable = tango_detectable(0, 0, coming, rule.margin, alpha, rule.power) if whole and coming else None
    return len(shared), choose(rows, given, bar, rule.margin, rule.alpha, provable)


def _told(ladder: LadderSpec, chosen: Chosen, left_out: int, margin: float, plan: EvalPlan) -> list[str]:
    right = f"{100 * chosen.quality:.1f}% right there, the teacher {100 * chosen.teacher:.1f}%"
    lines = [f"{ladder}: {right}; a choice, no guarantee"]
    if not chosen.within:
        lines.append(f"no thresholds are surely within {100 * margin:g} points of the teacher there: these score best")
    if chosen.cases < (few := few_cases(margin)):
        why = f"with fewer than {few} not even a faultless rung shows that it errs less than {100 * margin:g}%"
        lines.append(f"chosen on only {many(chosen.cases, 'dev case')}: {why}")
    if left_out:
        lines.append(f"{many(left_out, 'dev case')} had no part in that: somebody gave no answer")
    if chosen.usd is None:
        lines.append("a rung's price is unknown: the questions to higher rungs were counted instead")
    if plan.split in (DEV, "all"):
        lines.append("the thresholds are measured on the cases they were chosen on: the figures flatter them")
    return lines
