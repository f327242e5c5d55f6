"""``tune --dry-run``: how many calls its stages could take, by the sizes of the splits and the rules of the race."""

from __future__ import annotations

from skillforge.forge.tuning.plan import TEST_ARMS, TunePlan, TuneWishes, plan_tuning
from skillforge.forge.workspace import Workspace
from skillforge.students.tune.costs import forecast
from skillforge.students.tune.estimate import StageCalls, TuneEstimate
from skillforge.students.tune.race import FINALISTS, LEAST
from skillforge.students.tune.stages.examples import FIXED, GROUPED, NEAREST, VERIFIED
from skillforge.students.tune.stages.formats import FORMATS, orders
from skillforge.students.tune.stages.instructions import MOST

_COMPRESSIONS, _EFFORTS, _PROPOSALS = 7, 4, 4


def estimate_tuning(work: Workspace, ref: str, wishes: TuneWishes) -> TuneEstimate:
    """Raises as ``plan_tuning``. Opens no model for a call, and asks nothing."""
    plan = plan_tuning(work, ref, wishes)
    usd, tokens = forecast(work.provider(plan.student), plan.version.skill, plan.dev)
    stages = [StageCalls(stage="start", student=len(plan.dev) + len(plan.beside), note="the skill as it is")]
    stages += [_stage(plan, name) for name in plan.stages]
    if wishes.get("test", True) and plan.test:
        told = "once, where a form has won; known answers cost nothing"
        teacher = 0 if plan.measured_against == "recorded" else len(plan.test)
        stages.append(StageCalls(stage="test", student=TEST_ARMS * len(plan.test), teacher=teacher, note=told))
    return TuneEstimate(
        skill=plan.version.name,
        student=plan.student,
        teacher=plan.teacher,
        cases={"dev": len(plan.dev), "train": len(plan.train), "test": len(plan.test)},
        stages=tuple(stages),
        call_usd=usd,
        call_tokens=tokens,
        budget_calls=plan.allowance.calls,
        budget_usd=plan.allowance.usd,
    )


def _stage(plan: TunePlan, name: str) -> StageCalls:
    if name == "roots":
        return StageCalls(stage=name, student=_raced(plan, 3 + len(plan.authors)), teacher=len(plan.authors))
    if name == "format":
        many = len(FORMATS) * len(orders(plan.version.skill)) - 1
        return StageCalls(stage=name, student=_raced(plan, many if plan.version.skill.output != "text" else 0))
    if name == "examples":
        asked = min(VERIFIED, len(plan.train))
        return StageCalls(stage=name, student=asked + _raced(plan, len(NEAREST) + len(GROUPED) + len(FIXED) + 1))
    if name == "instructions":
        if not plan.teacher:
            return StageCalls(stage=name, student=0, note="skipped: no live teacher")
        reflecting = min(MOST, len(plan.train)) * 20 if plan.search_calls is None else plan.search_calls // 3
        note = "the optimiser's own share, and its best proposals on dev"
        return StageCalls(stage=name, student=reflecting + _raced(plan, _PROPOSALS), teacher=20, note=note)
    if name == "compression":
        return StageCalls(stage=name, student=_raced(plan, _COMPRESSIONS))
    return StageCalls(stage=name, student=_raced(plan, _EFFORTS), note="only where the student thinks")


def _raced(plan: TunePlan, candidates: int) -> int:
    """Calls of a race of so many: all look at a quarter of dev, the better half at half of it, finalists at all."""
    n = len(plan.dev)
    sizes = sorted({size for size in (max(LEAST, n // 4), n // 2) if LEAST <= size < n})
    calls, running, seen = 0, candidates, 0
    for size in sizes:
        calls += running * (size - seen)
        running, seen = min(running, max(FINALISTS, -(-running // 2))), size
    return calls + running * (n - seen)
