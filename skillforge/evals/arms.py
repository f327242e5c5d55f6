"""The things an eval measures side by side. Every arm sees the same cases, frame, limits; only the skill differs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

from skillforge.canonical import digest
from skillforge.case import Case, Decision
from skillforge.engine.compiled import compiled
from skillforge.engine.execute import Executor
from skillforge.engine.frame import HARNESS, bare_skill
from skillforge.engine.nomodel import NoModelExecutor, label_fields
from skillforge.engine.recorded import TODAY, RecordedExecutor
from skillforge.errors import UsageError
from skillforge.skill import Skill

ArmKind = Literal["teacher", "today", "bare", "no-model", "skill"]


@dataclass(frozen=True)
class Arm:
    """One executor on one form of the skill. ``name`` is unique in an eval."""

    name: str
    kind: ArmKind
    skill: Skill
    executor: Executor

    @property
    def student(self) -> str:
        return self.executor.student

    @property
    def is_today(self) -> bool:
        """Whether it holds what a program was answered before there was a skill; a teacher may be that too."""
        return isinstance(self.executor, RecordedExecutor)

    def covers(self, case: Case) -> bool:
        """Whether this arm can answer the case at all: recorded answers are what they are."""
        return not isinstance(self.executor, RecordedExecutor) or self.executor.covers(case)

    def sample_key(self, case: Case) -> str:
        """Content address of what this arm asks about this case: whatever could change the answer, nothing else."""
        return digest(
            {
                "harness": HARNESS,
                "arm": self.kind,
                "skill": compiled(self.skill).digest,
                "by": self.executor.identity,
                "input": case.input,
            }
        )


def build_arms(
    skill: Skill, decision: Decision, teacher: Executor, students: list[Executor], today: Executor | None = None
) -> list[Arm]:
    """Teacher first, then what is used today, then no-model (for label outputs), then bare and skill for every student.

    Where the teacher's answers are those of ``today``, leave ``today`` out: they are one arm.
    """
    bare = bare_skill(skill)
    arms = [Arm("teacher", "teacher", bare, teacher)]
    if today is not None:
        arms.append(Arm(TODAY, "today", bare, today))  # judged by the contract alone: it never saw the skill's checks
    if _votable(skill, decision):
        arms.append(Arm("no-model", "no-model", skill, NoModelExecutor()))
    for student in students:
        arms.append(Arm(f"{student.student} bare", "bare", bare, student))
        arms.append(Arm(f"{student.student} + skill", "skill", skill, student))
    twice = sorted(name for name, count in Counter(arm.name for arm in arms).items() if count > 1)
    if twice:
        raise UsageError(f"two students have one name: {', '.join(twice)}", hint="give each provider its own name")
    return arms


def _votable(skill: Skill, decision: Decision) -> bool:
    """Whether a vote of labels can answer what the metric asks."""
    labels = set(label_fields(skill))
    if not labels or not skill.examples.items or skill.output == "text":
        return False
    if decision.metric.startswith("/"):
        return decision.metric[1:] in labels
    return labels == set(skill.output)
