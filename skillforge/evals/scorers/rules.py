"""The types of scorers that compare an output with a label: how each does it, and what of a spec it reads."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from skillforge.case import ScorerSpec
from skillforge.checks import resolve_pointer
from skillforge.errors import NotFound, UsageError
from skillforge.evals.scorers.calls import without_fence
from skillforge.evals.scorers.equality import field_scores, same
from skillforge.evals.scorers.numbers import near, number_of
from skillforge.evals.scorers.objects import Compare, FieldRules, items_f1
from skillforge.evals.scorers.text import normal, parsed, rouge_l, rouge_n, similarity, text_of
from skillforge.evals.scorers.toolcall import expected_calls, expected_names, tool_call, tool_call_f1
from skillforge.suggest import did_you_mean


@dataclass(frozen=True)
class Kind:
    """One type. ``made`` gives its comparison; ``binary``: it only says 0 or 1; ``label`` says why a label cannot be
    compared ("" when it can); ``reads`` are the settings it has beside ``path``, ``strip_fence`` and ``weight``.
    """

    made: Callable[[ScorerSpec], Compare]
    binary: bool
    label: Callable[[Any], str] = lambda label: ""
    reads: tuple[str, ...] = ("threshold",)


EVERYWHERE = {"type", "path", "strip_fence", "weight"}


def kind_of(name: str, spec: ScorerSpec) -> Kind:
    """The kind of a comparing spec. Raises ``UsageError`` for an unknown type, a setting it does not read, or a path
    that is no JSON pointer.
    """
    if spec.type not in COMPARING:
        every = ", ".join(COMPARING)
        raise UsageError(
            f"scorer {name}: {spec.type!r} cannot compare an output with a label",
            hint=did_you_mean(spec.type, COMPARING) or f"one of {every}",
        )
    kind = COMPARING[spec.type]
    require_settings(name, spec, EVERYWHERE.union(kind.reads))
    return kind


def require_settings(name: str, spec: ScorerSpec, reads: set[str]) -> None:
    """Raise ``UsageError`` for a setting that this type does not read: it would be believed to count."""
    unread = [key for key in spec.model_dump(exclude_defaults=True) if key not in reads]
    if unread:
        hint = f"remove it; {spec.type} reads {', '.join(sorted(reads - {'type', 'weight'})) or 'nothing else'}"
        raise UsageError(f"scorer {name}: {spec.type} does not use {unread[0]}", hint=hint)
    if spec.threshold is not None and spec.threshold < 0:
        raise UsageError(f"scorer {name}: threshold must be 0 or more", hint="scores are shares, 0 to 1")
    try:
        resolve_pointer(None, spec.path)
    except NotFound:
        pass
    except UsageError as wrong:
        raise UsageError(f"scorer {name}: path {wrong}", hint=wrong.hint) from wrong


def comparison(name: str, spec: ScorerSpec) -> Compare:
    """How ``spec`` compares two values: at its path, without a fence, under its threshold. Raises as ``kind_of``."""
    kind = kind_of(name, spec)
    compare = kind.made(spec)
    if not (spec.path or spec.strip_fence or spec.threshold is not None):
        return compare

    def found_there(expected: Any, found: Any) -> float:
        try:
            wanted = label_of(spec, expected)
        except NotFound:
            return math.nan
        try:
            given = resolve_pointer(opened(spec, found), spec.path)
        except NotFound:
            return 0.0
        return judged(spec, compare(wanted, given))

    return found_there


def label_of(spec: ScorerSpec, expected: Any) -> Any:
    """What of the label is compared. Raises ``NotFound`` where nothing stands at the spec's path."""
    if spec.path or spec.type == "json":
        expected = parsed(expected)
    return resolve_pointer(expected, spec.path) if spec.path else expected


def opened(spec: ScorerSpec, output: Any) -> Any:
    """The output without the fence around it, where the spec asks for that; below a path, or for ``json``, a text is
    the JSON it holds.
    """
    if spec.strip_fence:
        output = without_fence(output)
    return parsed(output) if spec.path or spec.type == "json" else output


def judged(spec: ScorerSpec, value: float) -> float:
    """The value, or right and wrong where the spec has a threshold. NaN stays NaN."""
    if spec.threshold is None or math.isnan(value):
        return value
    return float(value >= spec.threshold - 1e-9)


def field_rules(name: str, spec: ScorerSpec) -> FieldRules:
    """The rules of a ``json`` spec. Raises as ``kind_of``, naming the field."""
    rules = {field: comparison(f"{name}.{field}", rule) for field, rule in spec.fields.items()}
    return FieldRules(rules, {field: rule.weight for field, rule in spec.fields.items()})


def _exact(expected: Any, found: Any) -> float:
    return float(same(expected, found))


def _fields(expected: Any, found: Any) -> float:
    fields = field_scores(expected, found)
    return math.fsum(fields.values()) / len(fields) if fields else _exact(expected, found)


def _normalized(expected: Any, found: Any) -> float:
    return float(normal(expected) == normal(found))


def _numeric(spec: ScorerSpec) -> Compare:
    def compare(expected: Any, found: Any) -> float:
        wanted = number_of(expected)
        if wanted is None:
            return math.nan
        got = number_of(found)
        return float(got is not None and near(wanted, got, spec.tolerance, spec.relative))

    return compare


def _texts(compare: Callable[[str, str], float]) -> Compare:
    return lambda expected, found: compare(text_of(expected), text_of(found))


def _number_label(label: Any) -> str:
    return "" if number_of(label) is not None else "must be a number"


def _object_label(label: Any) -> str:
    return "" if isinstance(label, dict) else "must be an object"


def _calls_label(label: Any) -> str:
    return "" if expected_calls(label) is not None else "must be tool calls: {name, arguments}, or a list of them"


def _calls_or_names_label(label: Any) -> str:
    return "" if expected_names(label) is not None else _calls_label(label)


COMPARING: Mapping[str, Kind] = {
    "exact": Kind(lambda spec: _exact, True, reads=()),
    "fields": Kind(lambda spec: _fields, False),
    "normalized": Kind(lambda spec: _normalized, True, reads=()),
    "numeric": Kind(_numeric, True, _number_label, ("tolerance", "relative")),
    "f1": Kind(lambda spec: partial(items_f1, ordered=spec.ordered), False, reads=("ordered", "threshold")),
    "json": Kind(lambda spec: field_rules("json", spec), False, _object_label, ("fields", "threshold")),
    "rouge-1": Kind(lambda spec: _texts(partial(rouge_n, n=1)), False),
    "rouge-2": Kind(lambda spec: _texts(partial(rouge_n, n=2)), False),
    "rouge-l": Kind(lambda spec: _texts(rouge_l), False),
    "similarity": Kind(lambda spec: _texts(similarity), False),
    "tool-call": Kind(lambda spec: tool_call, True, _calls_label, ()),
    "tool-call-f1": Kind(lambda spec: tool_call_f1, False, _calls_or_names_label),
}
