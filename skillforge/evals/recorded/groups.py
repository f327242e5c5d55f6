"""The verdict once more for every group of cases: by language, by task, by customer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from skillforge.case import Case
from skillforge.evals.answer import Table
from skillforge.evals.report import ArmReport, EvalReport
from skillforge.evals.statistics import Verdict, holm
from skillforge.evals.verdict.comparison import Comparison
from skillforge.evals.verdict.summary import Contestant, Measure, summarise


@dataclass(frozen=True)
class Group:
    """The verdict on one group of cases. ``arms`` are the teacher and the students; a ``pass`` among them is one by
    Holm over all groups and students. ``alone`` holds the verdicts that this group would get by itself, by student.
    """

    name: str
    cases: int
    arms: tuple[ArmReport, ...]
    alone: Mapping[str, Verdict]

    def report(self, whole: EvalReport) -> EvalReport:
        """The report on this group alone, of the one on all cases."""
        return whole.model_copy(update={"teacher": self.arms[0], "arms": self.arms[1:], "cases": self.cases})


def by_group(
    members: Mapping[str, Sequence[Case]], contestants: Sequence[Contestant], table: Table, measure: Measure
) -> tuple[Group, ...]:
    """Every group's figures from its own cases, in the order of ``members``."""
    groups = []
    for name, cases in members.items():
        part = {
            arm: {case.id: answers[case.id] for case in cases if case.id in answers} for arm, answers in table.items()
        }
        clusters = {case.id: measure.clusters[case.id] for case in cases if case.id in measure.clusters}
        arms = summarise(contestants, cases, part, replace(measure, clusters=clusters)).arms
        alone = {arm.name: arm.versus_teacher.verdict for arm in arms if arm.versus_teacher}
        groups.append(Group(name, len(cases), tuple(arms), alone))
    return _adjusted(groups, measure.decision.alpha)


def _adjusted(groups: Sequence[Group], alpha: float) -> tuple[Group, ...]:
    """Holm over all groups and students: of 27 tasks one passes by luck more often than alpha says.

    Only a ``pass`` is held back. Whoever keeps the teacher for a group risks no quality, and would for "not sure" too.
    """
    family = {
        (group.name, arm.name): arm.versus_teacher.p
        for group in groups
        for arm in group.arms
        if arm.versus_teacher is not None and arm.versus_teacher.p is not None
    }
    if len(family) < 2:
        return tuple(groups)
    ps = dict(zip(family, holm(list(family.values())), strict=True))

    def adjusted(group: Group, arm: ArmReport) -> ArmReport:
        versus, p = arm.versus_teacher, ps.get((group.name, arm.name))
        if versus is None or versus.reason or p is None:
            return arm
        return arm.model_copy(update={"versus_teacher": _held(versus, p > alpha, len(groups))})

    return tuple(replace(group, arms=tuple(adjusted(group, arm) for arm in group.arms)) for group in groups)


def _held(versus: Comparison, unsure: bool, groups: int) -> Comparison:
    update: dict[str, Any] = {"adjusted": True}
    if unsure and versus.verdict == "pass":
        update |= {"verdict": "inconclusive", "reason": f"not sure enough among {groups} groups (Holm)"}
    return versus.model_copy(update=update)
