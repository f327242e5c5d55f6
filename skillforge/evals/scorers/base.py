"""What every scorer takes and gives."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Protocol

from skillforge.case import Case
from skillforge.contract import Validator
from skillforge.evals.answer import Answer

State = Literal["pass", "fail", "error", "unscored"]

PASSES = 0.5  # a graded score of this much counts as a pass where only pass or fail can be told


@dataclass(frozen=True, slots=True)
class Item:
    """What a scorer looks at: the case, the answer, and what is expected (the label; without labels what the teacher
    answered; ``None`` where there is neither).
    """

    case: Case
    expected: Any
    answer: Answer


@dataclass(frozen=True, slots=True)
class Score:
    """What a scorer says of one answer: ``value`` in [0, 1], NaN where it is not scored (never 0).

    ``error`` says why the scorer itself failed (a judge that cannot be read, a function that raised): counted apart.
    ``reason`` is for people. ``metric`` values of single checks are told apart in ``parts``.
    """

    value: float
    reason: str = ""
    error: str = ""
    parts: tuple[tuple[str, float], ...] = ()

    @property
    def state(self) -> State:
        if self.error:
            return "error"
        if math.isnan(self.value):
            return "unscored"
        return "pass" if self.value >= PASSES else "fail"

    @property
    def scored(self) -> bool:
        return not self.error and not math.isnan(self.value)


UNSCORED = Score(math.nan)


def failed(why: str) -> Score:
    """The score of a scorer that could not do its work."""
    return Score(math.nan, error=why)


class Contract:
    """What the answers of a skill look like, for the labels they are compared with. ``schema`` is that of a JSON
    output, ``None`` where the skill answers with a text.
    """

    def __init__(self, schema: Mapping[str, Any] | None) -> None:
        self.schema = schema
        self.fields: tuple[str, ...] = tuple(schema["properties"]) if schema is not None else ()

    def problem(self, expected: Any) -> str:
        """Why no answer can equal this label, "" when one can. A label may leave fields out."""
        if self._validator is None:
            return "" if isinstance(expected, str) else "must be text, as the skill's output"
        return next(iter(self._validator.problems(expected)), "")

    @cached_property
    def _validator(self) -> Validator | None:
        return None if self.schema is None else Validator({**self.schema, "required": []})


class Scorer(Protocol):
    """One scorer of an eval. ``binary``: it only says 0 or 1, so that the bounds for proportions hold. ``labels``: it
    compares with what is expected, and says nothing without. ``identity`` names all that can change its scores.
    """

    @property
    def name(self) -> str: ...

    @property
    def binary(self) -> bool: ...

    @property
    def labels(self) -> bool: ...

    @property
    def identity(self) -> str: ...

    def score(self, item: Item) -> Score:
        """Never raises for what an answer says. An answer that is none (``output`` ``None``) scores 0."""
        ...

    def misfit(self, expected: Any, contract: Contract) -> str:
        """Why this label cannot be compared with answers of that contract, "" when it can."""
        ...


Judgements = Mapping[tuple[str, str], Score]
"""What judges said: (key of the answer, digest of the question it was graded by) -> score."""
