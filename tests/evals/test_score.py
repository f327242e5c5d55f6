from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillforge.evals.score import field_scores, is_binary, same, score

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3)
    ),
    max_leaves=6,
)


@pytest.mark.parametrize(
    ("metric", "expected", "output", "value"),
    [
        ("exact", {"a": 1, "b": 2}, {"b": 2, "a": 1}, 1.0),
        ("exact", {"a": 1}, {"a": 1, "b": 2}, 0.0),
        ("exact", "text", "text", 1.0),
        ("exact", "text", "Text", 0.0),
        ("fields", {"a": 1, "b": 2}, {"a": 1, "b": 3}, 0.5),
        ("fields", {"a": 1, "b": 2}, {"a": 1}, 0.5),
        ("fields", {"a": None}, {}, 0.0),
        ("fields", {}, {}, 1.0),
        ("fields", "text", "text", 1.0),
        ("fields", {"a": 1}, "text", 0.0),
        ("/a", {"a": 1, "b": 2}, {"a": 1, "b": 9}, 1.0),
        ("/a/0/b", {"a": [{"b": "x"}]}, {"a": [{"b": "x"}]}, 1.0),
        ("/a", {"a": 1}, {"b": 1}, 0.0),
        ("/a", {"b": 1}, {"b": 1}, 0.0),
        ("/a", {"a": 1}, "text", 0.0),
    ],
)
def test_scores(metric, expected, output, value):
    assert score(metric, expected, output) == value


@pytest.mark.parametrize("metric", ["exact", "fields", "/a"])
def test_no_output_is_wrong_whatever_was_expected(metric):
    assert score(metric, {"a": None}, None) == 0.0
    assert score(metric, None, None) == 0.0


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        ("1", 1, False),
        (None, 0, False),
        ([1, 2], [2, 1], False),
        (0.1 + 0.2, 0.3, False),
        (2**60, 2**60, False),  # what JSON cannot carry exactly equals nothing
        ("\ud800", "\ud800", False),
    ],
)
def test_equality_is_that_of_json(left, right, equal):
    assert same(left, right) is equal


@given(JSON)
def test_everything_equals_itself_and_scores_one(value):
    assert same(value, value)
    if value is not None:
        assert score("exact", value, value) == score("fields", value, value) == 1.0


@given(st.dictionaries(st.text(), JSON), st.none() | st.text() | st.dictionaries(st.text(), JSON))
def test_fields_are_scored_one_by_one(expected, output):
    fields = field_scores(expected, output)
    assert list(fields) == list(expected)
    assert set(fields.values()) <= {0.0, 1.0}
    assert 0.0 <= score("fields", expected, output) <= 1.0


def test_only_fields_is_graded():
    assert [is_binary(metric) for metric in ("exact", "/a", "fields")] == [True, True, False]
    assert field_scores("text", "text") == {}
