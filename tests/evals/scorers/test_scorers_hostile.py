from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillforge.case import CaseCheck, ScorerSpec
from skillforge.evals.answer import Answer
from skillforge.evals.scorers.base import Item
from skillforge.evals.scorers.calls import calls_of
from skillforge.evals.scorers.checked import Checks
from skillforge.evals.scorers.resolve import scorer_of
from skillforge.evals.scorers.rules import COMPARING

SPECS = [
    *(ScorerSpec(type=kind) for kind in COMPARING),
    ScorerSpec(type="f1", ordered=True),
    ScorerSpec(type="json", strip_fence=True, fields={"a": ScorerSpec(type="numeric", relative=0.1)}),
    ScorerSpec(type="tool-call-f1", strip_fence=True, threshold=0.5),
    ScorerSpec(type="similarity", path="/a"),
]
KEYS = st.sampled_from(["a", "name", "arguments", "function", "tool_calls", "input", "f", ""])
CALLS = st.sampled_from(
    ["f(a=1)", "[f(), g(1)]", '{"f": {"a": [1, ""]}}', "```json\n{}\n```", "$5", "\ud800", "f(a='\\d')"]
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | CALLS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.type)
@settings(max_examples=40)
@given(expected=ANYTHING, output=ANYTHING)
def test_whatever_is_compared_is_a_share_or_unscored(item, spec, expected, output):
    score = scorer_of("mine", spec).score(item(output, expected))
    assert not score.error
    assert math.isnan(score.value) or 0.0 <= score.value <= 1.0
    assert all(0.0 <= value <= 1.0 for _, value in score.parts)
    again = scorer_of("mine", spec).score(item(output, expected))
    assert repr(again) == repr(score)


@given(st.text(alphabet="fg(a=1,[]{}'\"\\:.*-) \n", max_size=30))
def test_any_text_is_calls_or_none(text):
    for call in calls_of(text) or ():
        assert call.name


DEEP: list = []
for _ in range(20_000):
    DEEP = [DEEP]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.type)
@pytest.mark.parametrize("output", [DEEP, {"a": DEEP}, {"f": {"a": DEEP}}], ids=["list", "field", "call"])
def test_values_nested_too_deep_are_compared_without_a_crash(item, spec, output):
    for label in (output, {"a": 1}, {"f": {"a": [[1]]}}, "f(a=1)", 5):
        score = scorer_of("mine", spec).score(item(output, label))
        assert not score.error
        assert math.isnan(score.value) or 0.0 <= score.value <= 1.0


@pytest.mark.parametrize(
    "kind", ["contains", "equals", "is-json", "rouge-l", "tool-call-f1", "similarity", "not-regex"]
)
def test_checks_of_what_is_nested_too_deep_fail_and_never_raise(item, kind):
    case = item("x").case.model_copy(update={"checks": (CaseCheck(type=kind, value={} if kind == "is-json" else "x"),)})
    given_ = item("x").answer
    answer = Answer(**{name: getattr(given_, name) for name in Answer.__slots__} | {"output": DEEP})
    score = Checks().score(Item(case, None, answer))
    assert score.value in (0.0, 1.0) or score.error
