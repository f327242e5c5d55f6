from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillforge.errors import UsageError
from skillforge.evals.scorers.resolve import scorer_of_text

RULES = (
    '{"type": "json", "fields": {"total": {"type": "numeric", "tolerance": 0.5, "weight": 2},'
    ' "note": {"type": "rouge-1"}, "address": {"type": "json", "fields": {"city": {"type": "normalized"}}}}}'
)
SCALARS = st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3)
OBJECTS = st.dictionaries(st.sampled_from("abcd"), SCALARS, max_size=4)


def score(item, spec, expected, output):
    return scorer_of_text(spec, {}).score(item(output, expected))


@pytest.mark.parametrize(
    ("spec", "expected", "output", "value"),
    [
        ("json", {"a": 1, "b": 2}, {"b": 2, "a": 1}, 1.0),
        ("json", {"a": 1, "b": 2}, {"a": 1}, 2 / 3),  # missing: recall
        ("json", {"a": 1}, {"a": 1, "b": 2}, 2 / 3),  # surplus: precision
        ("json", {"a": 1, "b": 2}, {"a": 1, "b": 3}, 0.5),
        ("json", {}, {}, 1.0),
        ("json", {}, {"a": 1}, 0.0),
        ("json", {"a": 1}, [1], 0.0),
        ("json", {"a": 1}, '{"a": 1}', 1.0),
        ("json", '{"a": 1}', {"a": 1, "b": 2}, 2 / 3),
        ("json", [1], [1], 1.0),
        (RULES, {"total": 10, "x": 1}, {"total": 10.4, "x": 2}, 2 / 3),  # weight 2 of 3
        (RULES, {"note": "a b"}, {"note": "a c"}, 0.5),
        (RULES, {"address": {"city": "Rome", "zip": 1}}, {"address": {"city": "ROME."}}, 2 / 3),
        (RULES, {"total": "unknown", "x": 1}, {"total": 3, "x": 1}, 1.0),  # the label says nothing about it
        ('{"type": "json", "threshold": 0.6}', {"a": 1, "b": 2}, {"a": 1}, 1.0),
        ('{"type": "json", "path": "/in"}', {"in": {"a": 1}}, {"in": {"a": 1}, "out": 2}, 1.0),
        ('{"type": "json", "strip_fence": true}', {"a": 1}, '```json\n{"a": 1}\n```', 1.0),
        ('{"type": "json", "fields": {"b": {"type": "exact", "weight": 0}}}', {"a": 1, "b": 2}, {"a": 1}, 1.0),
    ],
)
def test_f1_over_fields(item, spec, expected, output, value):
    assert score(item, spec, expected, output).value == pytest.approx(value)


def test_the_parts_are_the_labels_fields(item):
    found = score(item, RULES, {"note": "a b", "x": 1, "total": "unknown"}, {"note": "a c", "y": 1, "total": 1})
    assert dict(found.parts) == {"note": 0.5, "x": 0.0}


def test_a_label_no_field_of_which_can_be_compared_is_unscored(item):
    assert math.isnan(score(item, RULES, {"total": "unknown"}, {"total": 3}).value)


@given(OBJECTS, OBJECTS)
def test_it_is_bounded_symmetric_and_one_for_the_same(item, left, right):
    value = score(item, "json", left, right).value
    assert 0.0 <= value <= 1.0
    assert value == score(item, "json", right, left).value
    assert score(item, "json", left, left).value == 1.0
    assert (value == 1.0) is (left == right and [type(v) for v in left.values()] == [type(right[k]) for k in left])


def test_the_order_of_the_keys_does_not_matter_to_the_sum(item):
    names = [f"f{index}" for index in range(30)]
    rules = ", ".join(f'"{name}": {{"type": "exact", "weight": 0.1}}' for name in names)
    spec = f'{{"type": "json", "fields": {{{rules}}}}}'
    label = dict.fromkeys(names, 1)
    output = {name: index % 3 for index, name in enumerate(names)}
    backwards = dict(reversed(output.items()))
    assert score(item, spec, label, output).value == score(item, spec, label, backwards).value


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ('{"type": "json", "fields": {"a": {"type": "latency"}}}', "a: 'latency' cannot compare"),
        ('{"type": "json", "fields": {"a": {"type": "numerik"}}}', "did you mean 'numeric'"),
        ('{"type": "json", "fields": {"a": {"type": "exact", "tolerance": 1}}}', "exact does not use tolerance"),
        ('{"type": "json", "fields": {"a": {"type": "json", "fields": {"b": {"type": "x"}}}}}', "'x' cannot compare"),
    ],
)
def test_a_wrong_rule_is_an_error_before_anything_runs(spec, says):
    with pytest.raises(UsageError) as caught:
        scorer_of_text(spec, {})
    assert says in f"{caught.value} {caught.value.hint}"
