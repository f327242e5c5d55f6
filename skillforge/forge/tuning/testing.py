"""The last step of a tuning: the winner on the test split, beside the skill as it was, through an ordinary eval."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from skillforge.config import SKILLS_FOLDER
from skillforge.engine.forms import adapted
from skillforge.errors import Halt, SkillforgeError
from skillforge.evals.clusters import clusters_of
from skillforge.evals.running.arms import ArmKind
from skillforge.evals.scoring import Scores
from skillforge.forge.measuring.measure import evaluate_skill
from skillforge.forge.measuring.plan import EvalPlan
from skillforge.forge.measuring.reporting import Measured
from skillforge.forge.session import Session
from skillforge.forge.tuning.plan import TEST_ARMS, TunePlan
from skillforge.forge.workspace import Workspace
from skillforge.skillfile import write_skill
from skillforge.students.tune.compare import paired
from skillforge.students.tune.purse import Purse
from skillforge.students.tune.tuned import TestFigures
from skillforge.students.tune.values import CaseScore
from skillforge.variant import Variant

_LEAST = 8  # test cases: fewer say nothing
_ALL: tuple[ArmKind, ...] = ("no-model", "bare", "examples", "skill")
_FEW: tuple[ArmKind, ...] = ("no-model", "skill")

Ended = tuple[TestFigures | None, str, list[str]]
"""The figures, the file that was written ("": none), and words."""


async def tested(work: Workspace, plan: TunePlan, session: Session, variant: Variant, purse: Purse) -> Ended:
    """Measure the winner once on unseen cases and write its file, unless it is surely worse there than the skill.

    A budget that cannot pay for all of the test split pays for a fixed part of it, which is said: it is no proof to
    promote on. Raises ``Halt`` where no further call makes sense; what was measured is kept.
    """
    if not plan.test:
        return None, "", ["not written: the suite has no labelled test cases to prove it on"]
    if not plan.measured_against:
        return None, "", ["not written: no teacher is there to test beside (--teacher, or recorded: in the suite)"]
    kinds, limit = _share(plan, purse)
    if limit < min(_LEAST, len(plan.test)):
        more = f"the test takes about {2 * len(plan.test)} calls more: give a larger --budget, the same command goes on"
        return None, "", [f"not written: the budget is spent before the test. {more}"]
    try:
        figures = await _figures(work, plan, session, variant, kinds, limit)
    except Halt as exc:
        return None, "", [f"not written: the test stopped: {exc}; the same command goes on with a larger --budget"]
    if figures.worse:
        return figures, "", [f"not written: on the test split it is surely worse than the skill ({figures.words})"]
    file = await _written(work, plan, session, variant, kinds, limit)
    part = [] if figures.cases == figures.of else [_part(plan, figures)]
    return figures, file, [f"test: {figures.words}", *part]


def _share(plan: TunePlan, purse: Purse) -> tuple[tuple[ArmKind, ...], int]:
    """The arms beside the winner, and how many test cases what is left pays for."""
    n = len(plan.test)
    if purse.left is None:
        return _ALL, n
    live = plan.measured_against != "recorded"
    if purse.left >= (TEST_ARMS + live) * n:
        return _ALL, n
    return _FEW, min(n, purse.left // (2 + live))


def _part(plan: TunePlan, figures: TestFigures) -> str:
    command = f"skillforge eval {plan.version.name} --students {plan.student}"
    return f"tested on {figures.cases} of {figures.of} cases, as far as the budget went; all of them: {command}"


async def _figures(
    work: Workspace, plan: TunePlan, session: Session, variant: Variant, kinds: tuple[ArmKind, ...], limit: int
) -> TestFigures:
    with tempfile.TemporaryDirectory(prefix="skillforge-tune-") as folder:
        path = write_skill(adapted(plan.version.skill, variant), Path(folder) / plan.version.name)
        # the variant that lies there is measured against by nobody, and may be one that cannot be read
        asked = replace(_plan(plan, kinds, limit), variants=(path,), own_variants=False)
        measured = await evaluate_skill(work, plan.version, asked, _silent, lambda *sample: None, session)
    return _read(plan, measured)


async def _written(
    work: Workspace, plan: TunePlan, session: Session, variant: Variant, kinds: tuple[ArmKind, ...], limit: int
) -> str:
    """The variant's file. With it in place the same eval, all of it known by now, keeps the evidence."""
    from skillforge.variantfile import write_variant

    path = write_variant(variant, work.root / SKILLS_FOLDER / plan.version.name, plan.version.skill)
    if limit == len(plan.test):
        again = _plan(plan, (*kinds, "variant"), limit)
        try:
            await evaluate_skill(work, plan.version, again, _silent, lambda *sample: None, session)
        except SkillforgeError as exc:
            work.say(f"no evidence is kept of the variant: {exc}")
    return str(path.relative_to(work.root)) if path.is_relative_to(work.root) else str(path)


def _plan(plan: TunePlan, kinds: Sequence[ArmKind], limit: int) -> EvalPlan:
    return EvalPlan(
        students=(plan.student,),
        teacher=plan.measured_against,
        suite=plan.suite_path,
        split="test",
        limit=limit,
        kinds=tuple(kinds),
    )


def _read(plan: TunePlan, measured: Measured) -> TestFigures:
    report, scores = measured.report, measured.summary.scores
    winner = next(arm for arm in report.arms if arm.kind == "variant")
    skill = next((arm for arm in report.arms if arm.kind == "skill"), None)
    quality = {report.teacher.name: report.teacher.quality} | {arm.name: arm.quality for arm in report.arms}
    verdict = winner.versus_teacher.verdict if winner.versus_teacher is not None else ""
    if skill is None:
        return TestFigures(cases=report.cases, of=len(plan.test), verdict=verdict, quality=quality)
    clusters = clusters_of(measured.cases, plan.suite.decision)
    ids = [case.id for case in measured.cases]
    before, after = (_scores(scores[arm.name], ids) for arm in (skill, winner))
    seen = paired(before, after, ids, plan.rule.level, clusters)
    words = (
        f"{seen.after:.3f} against {seen.before:.3f} of the skill as it was on {seen.n} test cases, difference"
        f" {seen.low:+.3f} to {seen.high:+.3f} (level {seen.level:.0%}); against the teacher: {verdict or 'no verdict'}"
    )
    return TestFigures(
        cases=report.cases,
        of=max(len(plan.test), report.cases),
        verdict=verdict,
        quality=quality,
        low=seen.low,
        high=seen.high,
        worse=seen.high < 0,
        words=words,
    )


def _scores(found: Scores, cases: Sequence[str]) -> dict[str, CaseScore]:
    return {case: CaseScore(case_id=case, score=found.values.get(case)) for case in cases}


def _silent(*started: object) -> None:
    return None
