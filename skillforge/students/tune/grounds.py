"""What the stages of a tuning stand on: skill and cases, the student behind ``measure``, the teacher behind ``ask``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from skillforge.case import Case
from skillforge.engine.forms import adapted
from skillforge.skill import Skill
from skillforge.students.tune.board import candidate_of
from skillforge.students.tune.compare import Rule
from skillforge.students.tune.values import AskTeacher, Candidate, Measure, Optimizer, Scores
from skillforge.variant import Variant

Part = Callable[[Sequence[Case], int], list[Case]]
"""(cases, count) -> a fixed part of them with the labels in their proportions."""

Forecast = Callable[[Skill], tuple[float | None, float | None]]
"""What a call of that form is expected to cost: US dollars at cached rates, tokens."""

PASSES = 0.5


@dataclass(frozen=True)
class Grounds:
    """``dev`` decides; ``train`` are labelled cases for examples and for reflection. ``anchors`` are ids that must not
    regress, ``beside`` those of them that are train cases. ``calls`` is the budget of the whole search (``None``: no
    limit): shares are taken of it and not of what is left, so that a resumed tuning takes the same way.
    ``ask`` is ``None`` where no live teacher was named; ``authors`` are models that may write instructions, by name.
    """

    skill: Skill
    student: str
    of: str
    dev: Sequence[Case]
    train: Sequence[Case]
    measure: Measure
    part: Part
    forecast: Forecast
    rule: Rule
    anchors: Sequence[str] = ()
    beside: Sequence[Case] = ()
    clusters: Mapping[str, str] = field(default_factory=dict)
    ask: AskTeacher | None = None
    authors: Mapping[str, AskTeacher] = field(default_factory=dict)
    optimizer: Optimizer | None = None
    thinks: Callable[[], bool] = lambda: False
    calls: int | None = None
    say: Callable[[str], None] = lambda message: None
    forms: dict[str, Skill] = field(default_factory=dict)  # by candidate: a form's examples are indexed once

    def form(self, candidate: Candidate) -> Skill:
        """The skill as the student would run it."""
        if candidate.id not in self.forms:
            self.forms[candidate.id] = adapted(self.skill, candidate.variant)
        return self.forms[candidate.id]

    def changed(self, parent: Candidate, stage: str, note: str, *, author: str = "", **update: object) -> Candidate:
        """The parent's form with something else in it."""
        variant = parent.variant.model_copy(update=update)
        return candidate_of(self.skill, variant, stage, parent=parent.id, note=note, author=author)

    def blank(self, **update: object) -> Variant:
        """The skill as it is, with something set."""
        return Variant(skill=self.skill.name, student=self.student, of=self.of).model_copy(update=update)

    def right(self, scores: Scores) -> list[str]:
        """The ids of what was answered rightly."""
        return [case for case, one in scores.items() if one.ok and one.score is not None and one.score >= PASSES]


@dataclass(frozen=True)
class Proposed:
    """What a stage proposes; ``said``: why there is nothing, or what it was made from."""

    candidates: tuple[Candidate, ...] = ()
    said: str = ""


@dataclass(frozen=True)
class Stage:
    """One kind of change. ``trades``: it is there to save, and may lose within the tolerance."""

    name: str
    propose: Callable[[Grounds, Candidate], Awaitable[Proposed]]
    trades: bool = False
