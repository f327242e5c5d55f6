"""``forge.evals``: measuring skills, scoring stored answers again, and what that would cost."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Unpack

from skillforge.engine.programs import own_executor
from skillforge.evals.running.limits import Limits
from skillforge.evals.scorers.own import OwnScorer, load_scorer
from skillforge.forge.making.estimate import Estimate, estimate_eval
from skillforge.forge.measuring.measure import evaluate_skill, rescore_skill, told_without_secrets
from skillforge.forge.measuring.plan import RECORDED, EvalPlan, EvalWishes
from skillforge.forge.measuring.reporting import Measured
from skillforge.forge.portal import Portal
from skillforge.forge.runs import chosen_student
from skillforge.forge.session import NO_TERMS
from skillforge.forge.skills import resolve
from skillforge.forge.workspace import Workspace


class Evals:
    """What is measured here. Every method has an async twin with the prefix ``a``; ``EvalWishes`` says what may be
    asked for.
    """

    def __init__(self, portal: Portal, work: Workspace) -> None:
        self._portal = portal
        self._work = work

    def measure(self, ref: str, **wishes: Unpack[EvalWishes]) -> Measured:
        """Compare students to the teacher; the report, and the single cases behind it.

        Raises ``NotFound`` (suite), ``UsageError``, ``InvalidInput`` (a case does not fit the contract), ``Halt`` when
        no further call makes sense: what was measured is kept.
        """
        return self._portal.call(lambda: self._measure(ref, wishes), paid=True)

    async def ameasure(self, ref: str, **wishes: Unpack[EvalWishes]) -> Measured:
        return await self._portal.acall(lambda: self._measure(ref, wishes))

    async def _measure(self, ref: str, wishes: EvalWishes) -> Measured:
        on_start = wishes.get("on_start", lambda arms, cases, repeat: None)
        on_sample = wishes.get("on_sample", lambda arm, case_id, answer, reused: None)
        with told_without_secrets(self._work):
            return await evaluate_skill(
                self._work, resolve(self._work, ref), plan_of(self._work, wishes), on_start, on_sample
            )

    def rescore(self, ref: str, **wishes: Unpack[EvalWishes]) -> Measured:
        """Score what is stored by the suite as it is now: no model answers a case again, a judge may be asked."""
        return self._portal.call(lambda: self._rescore(ref, wishes), paid=True)

    async def arescore(self, ref: str, **wishes: Unpack[EvalWishes]) -> Measured:
        return await self._portal.acall(lambda: self._rescore(ref, wishes))

    async def _rescore(self, ref: str, wishes: EvalWishes) -> Measured:
        on_start = wishes.get("on_start", lambda arms, cases, repeat: None)
        with told_without_secrets(self._work):
            return await rescore_skill(self._work, resolve(self._work, ref), plan_of(self._work, wishes), on_start)

    def estimate(self, ref: str, **wishes: Unpack[EvalWishes]) -> Estimate:
        """What ``measure`` would ask and cost, without asking anything; known samples cost nothing."""
        return self._portal.call(lambda: self._estimate(ref, wishes))

    async def aestimate(self, ref: str, **wishes: Unpack[EvalWishes]) -> Estimate:
        return await self._portal.acall(lambda: self._estimate(ref, wishes))

    def write(self, measured: Measured, paths: Iterable[str | Path]) -> None:
        """Write a report to files, by their suffix: ``.html``, ``.md``, ``.json``, ``.jsonl``, ``.xml`` (JUnit).

        They show inputs and answers as the registry keeps them: without secrets, and not at all under ``store_io``
        ``none``. Raises ``UsageError`` for another suffix or a folder that does not exist.
        """
        from skillforge.evals.pages.write import write_pages

        found = [Path(path) for path in paths]
        write_pages(found, measured.report, measured.rows, measured.clean, measured.besides)

    async def _estimate(self, ref: str, wishes: EvalWishes) -> Estimate:
        return await estimate_eval(self._work, resolve(self._work, ref), plan_of(self._work, wishes))


def _scorer(wished: str | Callable[..., Any] | None) -> str | OwnScorer | None:
    """A function, or the name of one (``module:function``), as a scorer; what other texts mean the suite knows."""
    if wished is None or (isinstance(wished, str) and (wished.startswith(("/", "{")) or ":" not in wished)):
        return wished
    return load_scorer(wished) if isinstance(wished, str) else OwnScorer(wished.__name__, wished)


def plan_of(work: Workspace, wishes: EvalWishes) -> EvalPlan:
    """The caller's wishes with their defaults. Raises ``UsageError`` for what nobody can mean."""
    given = wishes.get("students", ())
    named = (given,) if isinstance(given, str) else tuple(given)
    own = wishes.get("own", {})
    suite = wishes.get("suite")
    return EvalPlan(
        students=named or (() if own else (chosen_student(work, None),)),
        teacher=wishes.get("teacher") or work.settings.teacher or RECORDED,
        suite=None if suite is None else Path(suite),
        split=wishes.get("split"),
        limit=wishes.get("limit"),
        filter=wishes.get("filter", ""),
        repeat=wishes.get("repeat"),
        kinds=tuple(wishes.get("arms", ())) or EvalPlan.kinds,
        own=tuple(own_executor(name, target) for name, target in own.items()),
        variants=tuple(map(Path, wishes.get("variants", ()))),
        own_variants=wishes.get("own_variants", True),
        scorer=_scorer(wishes.get("scorer")),
        judge=wishes.get("judge"),
        against_itself=wishes.get("against_itself", False),
        limits=Limits(wishes.get("max_errors"), wishes.get("time_limit_s")),
        terms=wishes.get("terms", NO_TERMS),
        tools=wishes.get("tools"),
        sandbox=wishes.get("sandbox"),
        probabilities=wishes.get("probabilities", False),
    )
