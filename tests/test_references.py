from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillforge.errors import InvalidInput
from skillforge.references import (
    MissingReference,
    condition_problems,
    holds,
    is_reference,
    paths,
    reference_problems,
    resolve,
    steps_named,
)

SCOPE: dict[str, Any] = {
    "order_id": "o1",
    "none": None,
    "steps": {
        "order": {
            "total": 30,
            "open": "False",
            "paid": True,
            "lines": [{"sku": "a", "n": 1}, {"sku": "b"}],
            "0": "key",
            "deep": [[1, 2], [3]],
        },
        "skipped": None,
    },
    "item": {"sku": "z"},
}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.text("abcdefgh", min_size=1, max_size=3)


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        ({"from": "order_id"}, "o1"),
        ({"from": "steps.order.total"}, 30),
        ({"from": "steps.order.lines.1.sku"}, "b"),
        ({"from": "steps.order.0"}, "key"),
        ({"from": "steps.order.deep.0.1"}, 2),
        ({"from": "item.sku"}, "z"),
        ({"from": "steps.skipped"}, None),
        ({"from": "steps.skipped.amount", "default": 0}, 0),
        ({"from": "steps.skipped", "default": 0}, 0),
        ({"from": "none", "default": None}, None),
        ({"from": "nothing", "default": None}, None),
        ({"from": "nothing", "default": {"from": "order_id"}}, "o1"),
        ({"from": "nothing", "default": {"value": {"from": "order_id"}}}, {"from": "order_id"}),
        ({"from": "steps.order", "pick": ["total", "missing"]}, {"total": 30}),
        ({"from": "steps.order.lines", "pick": ["sku"]}, [{"sku": "a"}, {"sku": "b"}]),
        ({"from": "steps.order.total", "pick": ["sku"]}, 30),
        ({"first_of": [{"from": "nothing"}, {"from": "none"}, {"from": "order_id"}]}, "o1"),
        ({"first_of": [{"from": "steps.skipped.x"}, 5]}, 5),
        ({"value": {"from": "order_id"}}, {"from": "order_id"}),
        ({"a": [{"from": "order_id"}, {"b": {"from": "item.sku"}}]}, {"a": ["o1", {"b": "z"}]}),
        ({"from": "JFK", "to": "LAX"}, {"from": "JFK", "to": "LAX"}),
        ({"value": 1, "unit": {"from": "order_id"}}, {"value": 1, "unit": "o1"}),
    ],
)
def test_a_reference_is_what_stands_there(reference, found):
    assert resolve(reference, SCOPE) == found
    assert type(resolve(reference, SCOPE)) is type(found)


@pytest.mark.parametrize(
    "path",
    [
        "nothing",
        "steps.nothing",
        "steps.skipped.amount",
        "steps.order.lines.2",
        "steps.order.lines.-1",
        "steps.order.lines.01",
        "steps.order.lines.²",
        "steps.order.lines." + "9" * 5000,
        "steps.order.total.x",
        "order_id.0",
        "",
        ".",
        "steps..total",
    ],
)
def test_a_reference_to_nothing_names_its_path(path):
    with pytest.raises(MissingReference) as caught:
        resolve({"from": path}, SCOPE)
    assert str(caught.value) == f"{path} is not there"
    assert caught.value.hint
    assert resolve({"from": path, "default": 7}, SCOPE) == 7


def test_none_of_first_of():
    with pytest.raises(MissingReference, match="none of first_of"):
        resolve({"first_of": [{"from": "nothing"}, None]}, SCOPE)


@given(value=JSON)
def test_what_is_moved_by_reference_stays_as_it_is(value):
    moved = resolve({"a": [{"from": "steps.x"}], "b": {"value": value}}, {"steps": {"x": value}})
    assert moved == {"a": [value], "b": value}
    assert json.dumps(moved["a"][0]) == json.dumps(value) == json.dumps(moved["b"])


@given(value=JSON)
def test_a_literal_without_references_is_itself(value):
    if not any(True for _ in paths(value)) and not _special(value):
        assert resolve(value, {}) == value


def _special(value: Any) -> bool:
    if isinstance(value, dict):
        return "value" in value or "first_of" in value or any(map(_special, value.values()))
    return isinstance(value, list) and any(map(_special, value))


@given(document=JSON, keys=st.lists(NAMES, max_size=3))
def test_looking_up_never_does_anything_else_than_finding_or_missing(document, keys):
    path = ".".join(["steps", *keys])
    try:
        resolve({"from": path}, {"steps": document})
    except MissingReference:
        assert resolve({"from": path, "default": 1}, {"steps": document}) == 1


@given(value=JSON, wrapped=st.lists(NAMES, max_size=4, unique=True))
def test_every_reference_that_is_resolved_is_named(value, wrapped):
    """What ``paths`` names is all that ``resolve`` looks at: the order of steps is made of it."""
    seen: set[str] = set()

    class Scope(dict[str, Any]):
        def __getitem__(self, key: str) -> Any:
            seen.add(key)
            return super().__getitem__(key)

    template = {"x": [value, *({"from": name, "default": {"from": f"{name}z", "default": 0}} for name in wrapped)]}
    scope = Scope(dict.fromkeys(wrapped) | {f"{name}z": 1 for name in wrapped})
    try:
        resolve(template, scope)
    except MissingReference:
        return
    assert seen <= {path.split(".")[0] for path in paths(template)}


def test_paths_are_those_of_references_and_conditions():
    value = {
        "a": {"from": "x.y", "default": {"from": "steps.a.b"}, "pick": ["from"]},
        "b": [{"first_of": [{"from": "steps.c"}, {"from": "item"}]}],
        "c": {"value": {"from": "steps.never"}},
    }
    assert list(paths(value)) == ["x.y", "steps.a.b", "steps.c", "item"]
    assert steps_named(value) == {"a", "c"}
    condition = {"any": [{"from": "steps.d", "in": [{"from": "steps.e"}]}, {"not": {"from": "x", "exists": True}}]}
    assert list(paths(condition)) == ["steps.d", "steps.e", "x"]
    assert steps_named([None, 1, "steps.a", {}]) == frozenset()


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"from": "steps.order.total", "equals": 30.0}, True),
        ({"from": "steps.order.total", "equals": "30"}, False),
        ({"from": "steps.order.open", "equals": False}, False),
        ({"from": "steps.order.paid", "equals": True}, True),
        ({"from": "steps.order.paid", "equals": 1}, False),
        ({"from": "steps.order.paid", "not_equals": 1}, True),
        ({"from": "nothing", "equals": None}, False),
        ({"from": "none", "equals": None}, True),
        ({"from": "nothing", "not_equals": 1}, True),
        ({"from": "nothing", "equals": {"from": "nothing"}}, False),
        ({"from": "order_id", "equals": {"from": "nothing", "pick": ["a"]}}, False),
        ({"from": "order_id", "equals": {"from": "nothing", "default": "o1"}}, True),
        ({"from": "order_id", "in": ["x", "o1"]}, True),
        ({"from": "order_id", "in": [{"from": "nothing"}, "o1"]}, True),
        ({"from": "order_id", "in": {"from": "nothing"}}, False),
        ({"from": "order_id", "not_in": {"from": "nothing"}}, True),
        ({"from": "order_id", "in": {"from": "order_id"}}, False),
        ({"from": "order_id", "not_in": ["x"]}, True),
        ({"from": "steps.order.paid", "in": [1]}, False),
        ({"from": "steps.order.total", "gt": 29.5}, True),
        ({"from": "steps.order.total", "gte": 30}, True),
        ({"from": "steps.order.total", "lt": 30}, False),
        ({"from": "steps.order.total", "lte": {"from": "steps.order.total"}}, True),
        ({"from": "steps.order.total", "gt": "2"}, False),
        ({"from": "steps.order.paid", "gte": 0}, False),
        ({"from": "order_id", "gt": "o0"}, True),
        ({"from": "nothing", "gt": 0}, False),
        ({"from": "nothing", "exists": True}, False),
        ({"from": "none", "exists": False}, True),
        ({"from": "steps.order.lines.0", "equals": {"n": 1, "sku": "a"}}, True),
        ({"from": "steps.order.lines.0", "equals": {"n": True, "sku": "a"}}, False),
        ({"from": "steps.order.deep", "equals": [[1, 2], [3]]}, True),
        ({"not": {"from": "nothing", "exists": True}}, True),
        ({"all": [{"from": "order_id", "exists": True}, {"from": "none", "exists": True}]}, False),
        ({"any": [{"from": "order_id", "exists": True}, {"from": "none", "exists": True}]}, True),
    ],
)
def test_conditions(condition, expected):
    assert condition_problems(condition) == []
    assert holds(condition, SCOPE) is expected


@given(left=JSON, right=JSON)
def test_each_operator_is_the_opposite_of_its_not(left, right):
    scope = {"a": left, "b": right}
    for yes, no in (("equals", "not_equals"), ("in", "not_in")):
        assert holds({"from": "a", yes: {"from": "b"}}, scope) is not holds({"from": "a", no: {"from": "b"}}, scope)
    assert holds({"from": "a", "equals": {"from": "a"}}, scope)
    assert holds({"from": "a", "equals": {"from": "b"}}, scope) == holds({"from": "b", "equals": {"from": "a"}}, scope)
    same = holds({"from": "a", "equals": {"from": "b"}}, scope)
    assert same is holds({"from": "a", "in": [{"from": "b"}]}, scope)


@given(left=st.integers() | st.floats(allow_nan=False), right=st.integers() | st.floats(allow_nan=False))
def test_order_is_that_of_numbers(left, right):
    scope = {"a": left}
    said = {name: holds({"from": "a", name: right}, scope) for name in ("gt", "gte", "lt", "lte")}
    assert said == {"gt": left > right, "gte": left >= right, "lt": left < right, "lte": left <= right}


def test_values_nested_deeper_than_python_are_an_error_not_a_crash():
    deep: Any = []
    other: Any = []
    for _ in range(100_000):
        deep, other = [deep], [other]
    with pytest.raises(InvalidInput, match="nested too deep"):
        holds({"from": "a", "equals": {"from": "b"}}, {"a": deep, "b": other})


@pytest.mark.parametrize(
    ("condition", "wrong"),
    [
        (5, "a condition is a mapping"),
        ({}, "needs from"),
        ({"from": 5, "equals": 1}, "needs from"),
        ({"from": "a"}, "exactly one operator"),
        ({"from": "a", "equals": 1, "gt": 2}, "exactly one operator"),
        ({"from": "a", "is": 1}, "exactly one operator"),
        ({"from": "a", "exists": "yes"}, "exists is true or false"),
        ({"from": "a", "in": "text"}, "in takes a list"),
        ({"all": []}, "all takes a list"),
        ({"any": {"from": "a"}}, "any takes a list"),
        ({"all": [{"from": "a", "exists": True}], "from": "b"}, "all stands alone"),
        ({"not": [{"from": "a"}]}, "a condition is a mapping"),
        ({"from": "a", "equals": {"from": "b", "defualt": 1}}, "unknown key 'defualt' beside from"),
    ],
)
def test_malformed_conditions_are_told(condition, wrong):
    (problem,) = condition_problems(condition)
    assert wrong in problem.message


def test_conditions_nest_only_so_deep():
    condition: dict[str, Any] = {"from": "a", "exists": True}
    for _ in range(40):
        condition = {"not": condition}
    assert "nested deeper" in condition_problems(condition)[0].message


@given(condition=st.recursive(JSON, lambda inner: st.fixed_dictionaries({"all": st.lists(inner)}), max_leaves=5))
def test_what_is_told_well_formed_can_be_answered(condition):
    if not condition_problems(condition):
        assert holds(condition, SCOPE) in (True, False)


@pytest.mark.parametrize(
    ("value", "place", "wrong"),
    [
        ({"from": "a", "defualt": 1}, (), "unknown key 'defualt' beside from"),
        ({"x": [{"from": "JFK", "to": "LAX"}]}, ("x", 0), "unknown key 'to' beside from"),
        ({"from": 5}, (), "from names a path"),
        ({"from": "a", "pick": "b"}, (), "pick takes a list"),
        ({"from": "a", "pick": []}, (), "pick takes a list"),
        ({"from": "a", "pick": [1]}, (), "pick takes a list"),
        ({"first_of": [], "default": 1}, (), "first_of stands alone"),
        ({"first_of": "a"}, (), "first_of takes a list"),
        ({"first_of": [{"from": "a", "x": 1}]}, ("first_of", 0), "unknown key 'x'"),
    ],
)
def test_malformed_references_are_told_at_their_place(value, place, wrong):
    found = list(reference_problems(value))
    assert wrong in found[0][1].message
    assert found[0][0] == place


def test_what_is_quoted_is_never_malformed():
    assert list(reference_problems({"a": {"value": {"from": "JFK", "to": "LAX"}}})) == []
    assert is_reference({"from": "a", "pick": ["b"], "default": 1})
    assert not is_reference({"from": "a", "to": "b"})
    assert not is_reference("from")
