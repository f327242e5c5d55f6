from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillforge.canonical import canonical_json
from skillforge.evals.scorers.equality import field_scores, same
from skillforge.evals.scorers.resolve import metric_of

TEXT = st.text(st.characters(codec="utf-8"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([0, 0.0, -0.0, 1, 1.0, True]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=1), inner, max_size=2),
    max_leaves=4,
)


@pytest.mark.parametrize(
    ("metric", "expected", "output", "value"),
    [
        ("exact", {"a": 1, "b": 2}, {"b": 2, "a": 1}, 1.0),
        ("exact", {"a": 1}, {"a": 1, "b": 2}, 0.0),
        ("exact", "text", "text", 1.0),
        ("exact", "text", "Text", 0.0),
        ("exact", {}, {}, 1.0),
        ("exact", {}, {"a": 1}, 0.0),
        ("exact", {"a": 1}, "text", 0.0),
        ("fields", {"a": 1, "b": 2}, {"a": 1, "b": 3}, 0.5),
        ("fields", {"a": 1, "b": 2}, {"a": 1}, 0.5),
        ("fields", {"a": None}, {}, 0.0),
        ("fields", {}, {}, 1.0),
        ("fields", "text", "text", 1.0),
        ("fields", {"a": 1}, "text", 0.0),
        ("/a", {"a": 1, "b": 2}, {"a": 1, "b": 9}, 1.0),
        ("/a/0/b", {"a": [{"b": "x"}]}, {"a": [{"b": "x"}]}, 1.0),
        ("/a", {"a": 1}, {"b": 1}, 0.0),
        ("/a", {"a": 1}, "text", 0.0),
        ("/a", {"a": 1}, '{"a": 1.0}', 1.0),
        ("exact", {"a": 1}, '{"a": 1}', 0.0),
        ("/a", {"a": None}, None, 0.0),
    ],
)
def test_scores(item, metric, expected, output, value):
    assert metric_of(metric, {}).score(item(output, expected)).value == value


def test_a_label_without_the_place_is_unscored(item):
    score = metric_of("/a", {}).score(item({"a": 1}, {"b": 1}))
    assert math.isnan(score.value)
    assert score.state == "unscored"


@pytest.mark.parametrize("metric", ["exact", "fields", "/a"])
def test_no_output_is_wrong_whatever_was_expected(item, metric):
    assert metric_of(metric, {}).score(item(None, {"a": None})).value == 0.0


@pytest.mark.parametrize("metric", ["exact", "fields"])
def test_no_output_does_not_equal_no_label(item, metric):
    assert metric_of(metric, {}).score(item(None, None)).value == 0.0


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        (1, 1.0, True),
        (0, -0.0, True),
        (1, True, False),
        (0, False, False),
        ("1", 1, False),
        (None, 0, False),
        ([1, 2], [2, 1], False),
        ([1], (1,), True),
        (0.1 + 0.2, 0.3, False),
        (2**60, 2**60, False),  # what JSON cannot carry exactly equals nothing
        (math.nan, math.nan, False),
        ("\ud800", "\ud800", False),
        ({"\ud800": 1}, {"\ud800": 1}, False),
        ({1: 1}, {1: 1}, False),
    ],
)
def test_equality_is_that_of_json(left, right, equal):
    assert same(left, right) is equal
    assert same(right, left) is equal


def _canonical(value):
    try:
        return canonical_json(value)
    except ValueError:
        return None


@given(ANY, ANY)
def test_equality_is_that_of_the_canonical_form(left, right):
    a, b = _canonical(left), _canonical(right)
    assert same(left, right) is (a is not None and a == b)
    assert same(left, left) is (a is not None)


def test_depth_does_not_matter():
    deep: list = []
    for _ in range(50_000):
        deep = [deep]
    assert same(deep, deep)


@given(JSON)
def test_everything_equals_itself_and_scores_one(item, value):
    assert same(value, value)
    if value is not None:
        assert metric_of("exact", {}).score(item(value, value)).value == 1.0
        assert metric_of("fields", {}).score(item(value, value)).value == 1.0


@given(JSON, JSON)
def test_exact_is_equality_of_the_whole(item, expected, output):
    right = output is not None and same(expected, output)
    assert metric_of("exact", {}).score(item(output, expected)).value == float(right)


@given(st.dictionaries(st.text(), JSON), st.none() | st.text() | st.dictionaries(st.text(), JSON))
def test_fields_are_scored_one_by_one(item, expected, output):
    fields = field_scores(expected, output)
    assert list(fields) == list(expected)
    assert set(fields.values()) <= {0.0, 1.0}
    score = metric_of("fields", {}).score(item(output, expected))
    assert 0.0 <= score.value <= 1.0
    assert dict(score.parts) == fields


def test_only_fields_is_graded():
    assert [metric_of(metric, {}).binary for metric in ("exact", "/a", "fields")] == [True, True, False]
    assert field_scores("text", "text") == {}
