"""Scorers whose work a judge does: they look up what it said."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from skillforge.case import CaseCheck, ScorerSpec
from skillforge.errors import UsageError
from skillforge.evals.scorers.base import Contract, Item, Judgements, Score, failed
from skillforge.evals.scorers.rules import judged, require_settings

JUDGED = ("rubric", "pairwise")
_READS = {
    "rubric": {"type", "weight", "path", "threshold", "rubric", "model", "examples"},
    "pairwise": {"type", "weight", "path", "threshold", "rubric", "model", "examples"},
}


@dataclass(frozen=True)
class Graded:
    """What a judge says of an answer under ``spec``, in [0, 1]; right or wrong where the spec has a threshold. An
    answer that nobody judged is an error of the scorer, never a 0.

    ``judge`` is the model asked; ``said`` maps (key of the answer, digest of the question) to its grade.
    """

    name: str
    spec: ScorerSpec
    judge: str
    said: Judgements = field(default_factory=dict)
    labels: bool = False

    @property
    def binary(self) -> bool:
        return self.spec.threshold is not None

    @property
    def identity(self) -> str:
        return f"{self.spec.type} {self.question} {self.spec.threshold}"

    @cached_property
    def question(self) -> str:
        return question_of(self.spec, self.judge)

    def misfit(self, expected: Any, contract: Contract) -> str:
        return ""

    def score(self, item: Item) -> Score:
        if item.answer.output is None:
            return Score(0.0, "no answer")
        said = self.said.get((item.answer.key, self.question))
        if said is None:
            return failed("not judged")
        return Score(judged(self.spec, said.value), said.reason, said.error)


def graded(name: str, spec: ScorerSpec, judge: str | None) -> Graded:
    """The scorer of a ``rubric`` or ``pairwise`` spec; ``judge`` is asked where the spec names no model. Raises
    ``UsageError`` without a model, or without a rubric where there must be one.
    """
    require_settings(name, spec, _READS[spec.type])
    model = spec.model or judge
    if not model:
        raise UsageError(
            f"scorer {name}: nobody is named to judge", hint="name a model: judge: in the suite, or --judge"
        )
    if spec.type == "rubric" and not spec.rubric.strip():
        raise UsageError(f"scorer {name}: a rubric judge needs a rubric", hint="rubric: what a good answer is")
    return Graded(name, spec, model)


def rubric_of(check: CaseCheck) -> ScorerSpec:
    """The question that an ``llm-rubric`` check asks."""
    return ScorerSpec(type="rubric", rubric=str(check.value), path=check.path or "")


def question_of(spec: ScorerSpec, judge: str) -> str:
    from skillforge.evals.judges.question import question_digest

    return question_digest(spec, judge)
