"""``forge.teaching``: a skill with its own suite, from a few real inputs, by a teacher in all its roles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from skillforge.case import Case
from skillforge.errors import UsageError
from skillforge.forge.making.estimate import Estimate
from skillforge.forge.making.growing import OnProgress
from skillforge.forge.making.teach import Taught, TeachPlan, teach_skill
from skillforge.forge.making.teach_estimate import estimate_teach
from skillforge.forge.portal import Portal
from skillforge.forge.session import NO_TERMS, Terms
from skillforge.forge.skills import SKILLS_FOLDER
from skillforge.forge.workspace import Workspace
from skillforge.suitefile import as_cases, read_cases

Cases = Iterable[Case | Mapping[str, Any]] | str | Path


class Teaching:
    """Every method has an async twin with the prefix ``a``.

    ``cases`` are real inputs: a JSONL file, or cases, or ``{"input": {…}}``; those of the splits dev and test are
    measured on and shown to no model that writes. ``target`` is how many cases the suite shall have. ``simulator`` and
    ``critic`` are the teacher where not given; without a ``labeller`` the teacher answers every input twice.
    """

    def __init__(self, portal: Portal, work: Workspace) -> None:
        self._portal = portal
        self._work = work

    def create(
        self,
        task: str,
        *,
        cases: Cases,
        target: int,
        teacher: str | None = None,
        simulator: str = "",
        labeller: str = "",
        critic: str = "",
        name: str | None = None,
        folder: str | Path | None = None,
        terms: Terms = NO_TERMS,
        on_progress: OnProgress = lambda stage, done, total: None,
    ) -> Taught:
        """Solve, simulate, label twice, split and freeze, author, critique. The same call goes on where an interruption
        left it. Raises as ``Forge.create``, and ``UsageError`` where another suite of that name stands.
        """
        plan = _plan(self._work, task, cases, target, teacher, (simulator, labeller, critic), name, folder, terms)
        return self._portal.call(lambda: teach_skill(self._work, plan, on_progress), paid=True)

    async def acreate(
        self,
        task: str,
        *,
        cases: Cases,
        target: int,
        teacher: str | None = None,
        simulator: str = "",
        labeller: str = "",
        critic: str = "",
        name: str | None = None,
        folder: str | Path | None = None,
        terms: Terms = NO_TERMS,
        on_progress: OnProgress = lambda stage, done, total: None,
    ) -> Taught:
        plan = _plan(self._work, task, cases, target, teacher, (simulator, labeller, critic), name, folder, terms)
        return await self._portal.acall(lambda: teach_skill(self._work, plan, on_progress))

    def estimate(
        self,
        task: str,
        *,
        cases: Cases,
        target: int,
        teacher: str | None = None,
        simulator: str = "",
        labeller: str = "",
        critic: str = "",
        name: str | None = None,
    ) -> Estimate:
        """What ``create`` would ask and cost, without asking anything."""
        plan = _plan(self._work, task, cases, target, teacher, (simulator, labeller, critic), name, None, NO_TERMS)
        return self._portal.call(lambda: _estimated(self._work, plan))

    async def aestimate(
        self,
        task: str,
        *,
        cases: Cases,
        target: int,
        teacher: str | None = None,
        simulator: str = "",
        labeller: str = "",
        critic: str = "",
        name: str | None = None,
    ) -> Estimate:
        plan = _plan(self._work, task, cases, target, teacher, (simulator, labeller, critic), name, None, NO_TERMS)
        return await self._portal.acall(lambda: _estimated(self._work, plan))


async def _estimated(work: Workspace, plan: TeachPlan) -> Estimate:
    return estimate_teach(work, plan)


def _plan(
    work: Workspace,
    task: str,
    cases: Cases,
    target: int,
    teacher: str | None,
    others: tuple[str, str, str],
    name: str | None,
    folder: str | Path | None,
    terms: Terms,
) -> TeachPlan:
    strong = teacher or work.settings.teacher
    if not strong:
        raise UsageError("no teacher named", hint='name one with --teacher, or set teacher = "…" in skillforge.toml')
    found = read_cases(Path(cases)) if isinstance(cases, str | Path) else as_cases(cases)
    simulator, labeller, critic = others
    return TeachPlan(
        task=task,
        cases=tuple(found),
        target=target,
        teacher=strong,
        folder=Path(folder) if folder is not None else work.root / SKILLS_FOLDER,
        name=name,
        simulator=simulator,
        labeller=labeller,
        critic=critic,
        terms=terms,
    )
