"""The scorer that compares an output with its label by the rule of a type."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from skillforge.canonical import digest
from skillforge.case import ScorerSpec
from skillforge.checks import resolve_pointer
from skillforge.errors import NotFound
from skillforge.evals.scorers.base import UNSCORED, Contract, Item, Score
from skillforge.evals.scorers.equality import Exact, Fields, field_scores
from skillforge.evals.scorers.objects import Compare, FieldRules
from skillforge.evals.scorers.rules import field_rules, judged, kind_of, label_of, opened


@dataclass(frozen=True)
class Compared:
    """``spec``'s comparison of the output with the label, both at its path. A label that it cannot compare leaves the
    answer unscored.
    """

    name: str
    spec: ScorerSpec
    labels: bool = True

    def __post_init__(self) -> None:
        _ = self._compare  # a setting that makes no sense is an error here, not after the first call is paid for

    @property
    def binary(self) -> bool:
        return self.spec.threshold is not None or kind_of(self.name, self.spec).binary

    @cached_property
    def identity(self) -> str:
        return f"{self.spec.type} {digest(self.spec.model_dump(exclude_defaults=True, exclude={'weight'}))}"

    def misfit(self, expected: Any, contract: Contract) -> str:
        spec = self.spec
        if spec.type == "exact":
            return Exact(self.name, spec.path).misfit(expected, contract)
        if spec.type == "fields" and not spec.path:
            return Fields(self.name).misfit(expected, contract)
        try:
            label = label_of(spec, expected)
        except NotFound as nothing:
            return f"{nothing}, which the metric compares"
        wrong = kind_of(self.name, spec).label(label)
        if wrong or spec.type != "json" or spec.path or not contract.fields:
            return wrong
        plain = {name: value for name, value in label.items() if name not in spec.fields or name not in contract.fields}
        return contract.problem(plain)  # a field with a rule of its own may be compared with what no answer equals

    def score(self, item: Item) -> Score:
        spec, found = self.spec, item.answer.output
        try:
            expected = label_of(spec, item.expected)
        except NotFound:
            return UNSCORED
        if found is None or item.expected is None:  # nothing agrees with a teacher that gave no answer
            return Score(0.0, "no answer")
        found = opened(spec, found)
        if spec.path:
            try:
                found = resolve_pointer(found, spec.path)
            except NotFound:
                return Score(0.0, f"nothing at {spec.path}")
        try:
            return self._compared(expected, found)
        except RecursionError:
            return Score(0.0, "nested too deep to be compared")

    def _compared(self, expected: Any, found: Any) -> Score:
        compare = self._compare
        if isinstance(compare, FieldRules):
            fields = compare.fields(expected, found)
            value = judged(self.spec, compare.total(expected, found, fields))
            return Score(value, parts=tuple(part for part in fields.items() if not math.isnan(part[1])))
        value = judged(self.spec, compare(expected, found))
        if math.isnan(value):
            return Score(value, f"the label cannot be compared: it {kind_of(self.name, self.spec).label(expected)}")
        parts = tuple(field_scores(expected, found).items()) if self.spec.type in ("exact", "fields") else ()
        return Score(value, parts=parts)

    @cached_property
    def _compare(self) -> Compare:
        kind = kind_of(self.name, self.spec)
        return field_rules(self.name, self.spec) if self.spec.type == "json" else kind.made(self.spec)
