"""Cases and suites: what an eval is made of. Values only; ``skillforge.suitefile`` reads them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from skillforge.canonical import digest
from skillforge.messages import Value
from skillforge.skill import NAME_PATTERN

Split = Literal["train", "dev", "test"]


class Case(Value):
    """One eval input, with the answer a person would accept (``expected``) where it is known."""

    id: str
    input: dict[str, Any]
    expected: Any = None
    split: Split | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)


class Decision(Value):
    """The rule, declared before anything runs.

    ``metric``: ``exact`` (the whole output equals ``expected``), ``fields`` (mean over the fields), or a JSON pointer
    such as ``/queue`` (that field equals). ``margin``: how much worse than the teacher is still acceptable (0.05 = 5
    points). ``alpha``: one-sided error of the bound. ``power``: of the forecast of how many cases would decide.
    """

    metric: str = Field(default="exact", pattern=r"^(exact|fields|/.+)$")
    margin: float = Field(default=0.05, gt=0, lt=1)
    alpha: float = Field(default=0.05, ge=1e-6, lt=0.5)
    power: float = Field(default=0.8, ge=0.5, lt=1)


class Suite(Value):
    """Named cases and the decision rule.

    ``recorded`` is the file of recorded teacher answers, if there is one; ``today`` that of the answers a program got
    for the cases from its own prompt and model (``skillforge.today``); ``labels`` that of the answers people gave in
    ``review``. ``contract`` (``input`` and ``output`` field maps as in a skill) is what the cases fit before there is a
    skill.
    """

    name: str = Field(pattern=NAME_PATTERN, max_length=64)
    description: str = ""
    skill: str | None = None
    decision: Decision = Decision()
    cases: tuple[Case, ...]
    recorded: str | None = None
    today: str | None = None
    labels: str | None = None
    contract: dict[str, Any] | None = None

    def digest(self) -> str:
        """Identity of what is measured: cases and rule (names and descriptions left out)."""
        return digest(
            {
                "decision": self.decision.model_dump(),
                "cases": [case.model_dump(exclude={"metadata"}) for case in self.cases],
            }
        )
