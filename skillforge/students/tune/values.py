"""What a tuning is made of: candidates, how they scored, what an optimiser may use."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from skillforge.case import Case
from skillforge.messages import Value
from skillforge.skill import Skill
from skillforge.variant import Variant


class Candidate(Value):
    """One form of the skill for the student. ``id`` is the digest of that form, ``parent`` of the one it was made from
    (empty: a root), ``stage`` the stage that made it, ``note`` what it changes in a few words, ``author`` the model
    that wrote it (empty: no model).
    """

    id: str
    variant: Variant
    stage: str
    parent: str = ""
    note: str = ""
    author: str = ""


class CaseScore(Value):
    """How one candidate did on one case. ``score`` is 0 to 1, ``None`` where no answer came (infrastructure). ``ok``:
    the run's checks passed. ``usd`` is the call's cost at list price with the provider's prompt cache as it would be in
    production, ``None`` where unknown; ``seconds`` its latency. ``output`` and ``problem`` are for reflection.
    """

    case_id: str
    score: float | None
    ok: bool = True
    output: Any = None
    problem: str = ""
    usd: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    seconds: float | None = None


Scores = Mapping[str, CaseScore]
"""By case id."""

Measure = Callable[[Skill, Sequence[Case]], Awaitable[Scores]]
"""Runs a form of the skill on cases with the student. What was measured before is not run again. Every call is taken
from the budget; raises ``BudgetReached`` where it is spent."""

AskTeacher = Callable[[str, str], Awaitable[str]]
"""(purpose, prompt) -> the teacher's text. The same question is paid for once, also over a resume."""


@dataclass(frozen=True)
class Task:
    """What an optimiser may use to better the instructions of ``skill`` (the form that is best so far).

    ``feedback`` are train cases: their failures are shown to the teacher. ``selection`` are other train cases, to
    choose among candidates; dev and test are not here. ``keep`` are sentences that must stand in every proposal.
    ``calls`` is how many student calls it may use.
    """

    skill: Skill
    student: str
    feedback: Sequence[Case]
    selection: Sequence[Case]
    measure: Measure
    ask: AskTeacher
    calls: int
    keep: Sequence[str] = ()
    seed: int = 0
    say: Callable[[str], None] = lambda message: None


@dataclass(frozen=True)
class Proposal:
    """Instructions an optimiser proposes. ``parent`` is the number of the proposal it was made from (-1: the start)."""

    instructions: str
    note: str = ""
    parent: int = -1
    scores: Scores = field(default_factory=dict)


@dataclass(frozen=True)
class Improved:
    """What an optimiser found: all its proposals in order, the start not among them, and what it used. ``why`` says in
    a line why it stopped (``budget``, ``nothing left to mend``, …).
    """

    proposals: tuple[Proposal, ...]
    student_calls: int
    teacher_calls: int
    why: str


class Optimizer(Protocol):
    """Betters instructions by looking at failures. Which proposal wins is decided by the caller, on dev."""

    @property
    def name(self) -> str: ...

    async def improve(self, task: Task) -> Improved: ...
