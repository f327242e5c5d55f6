from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillforge.providers.wires.strict_schema import is_strict, loosened, typed


def an_object(required: list[str] | None = None, **fields: Any) -> dict[str, Any]:
    names = list(fields) if required is None else required
    return {"type": "object", "properties": fields, "required": names, "additionalProperties": False}


STRING = {"type": "string"}


@pytest.mark.parametrize(
    "schema",
    [
        an_object(),
        an_object(a=STRING, b={"type": ["string", "null"]}),
        an_object(a={"type": "array", "items": an_object(b={"type": "integer", "minimum": 1}), "maxItems": 3}),
        an_object(a={"anyOf": [STRING, {"type": "null"}]}),
        an_object(a={"$ref": "#/$defs/x"}) | {"$defs": {"x": {"type": "string", "pattern": "^a$"}}},
        an_object(a={"type": "string", "enum": ["x", "y"], "description": "which"}),
    ],
)
def test_a_closed_object_of_supported_keywords_is_strict(schema):
    assert is_strict(schema)


@pytest.mark.parametrize(
    "schema",
    [
        True,
        None,
        [],
        STRING,
        {},
        an_object([], a=STRING),  # not all required
        {"type": "object", "properties": {}, "required": []},  # open
        an_object(a=STRING) | {"additionalProperties": STRING},
        an_object(a={"type": "string", "maxLength": 3}),
        an_object(a={"enum": ["x"]}),  # no type
        an_object(a=True),
        an_object(a={"type": "array"}),
        an_object(a={"type": "array", "items": {"type": "object"}}),
        an_object(a={"type": ["object", "null"], "properties": {"b": STRING}}),
        an_object(a={"oneOf": [STRING]}),
        an_object(a={"anyOf": [STRING, {"type": "string", "format": "x"}]}),
        an_object(a={"anyOf": 3}),
        an_object(a={"$ref": "#/$defs/x"}) | {"$defs": {"x": {"not": STRING}}},
        an_object(a=STRING) | {"required": 3},
        an_object(a=STRING) | {"properties": 3},
    ],
)
def test_anything_else_is_not(schema):
    assert not is_strict(schema)


def test_ten_levels_are_the_most():
    schema = an_object(a=STRING)
    for _ in range(8):
        schema = an_object(a=schema)
    assert is_strict(schema)
    assert not is_strict(an_object(a=an_object(a=schema)))


def test_the_type_that_values_imply_is_said():
    schema = an_object(a={"enum": ["x", "y"]}, b={"const": 3}, c={"enum": ["x", None]}, d={"enum": [True]})
    told = typed(schema)["properties"]
    assert told["a"] == {"type": "string", "enum": ["x", "y"]}
    assert told["b"] == {"type": "integer", "const": 3}
    assert told["c"] == {"enum": ["x", None]}
    assert told["d"] == {"type": "boolean", "enum": [True]}


def test_fields_named_like_keywords_are_fields():
    schema = an_object(enum={"enum": ["x"]}, const={"const": {"enum": ["y"]}}, type=STRING)
    told = typed(schema)["properties"]
    assert list(told) == ["enum", "const", "type"]
    assert told["enum"] == {"type": "string", "enum": ["x"]}
    assert told["const"] == {"type": "object", "const": {"enum": ["y"]}}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "type",
                        "properties",
                        "required",
                        "items",
                        "anyOf",
                        "enum",
                        "const",
                        "$defs",
                        "additionalProperties",
                    ]
                ),
                inner,
                max_size=5,
            )
        ),
    )
)
def test_any_json_is_strict_or_not(schema):
    assert is_strict(typed(schema)) in (True, False)


def test_constraints_that_strict_mode_does_not_know_are_dropped_and_nothing_else():
    schema = {
        "type": "object",
        "properties": {
            "maxLength": {"type": "string", "maxLength": 5, "pattern": "^a"},
            "at": {"type": "string", "format": "date", "enum": ["default"]},
        },
        "required": ["maxLength", "at"],
        "additionalProperties": False,
    }
    loose = loosened(schema)
    assert not is_strict(schema)
    assert is_strict(loose)
    assert loose["properties"] == {
        "maxLength": {"type": "string", "pattern": "^a"},
        "at": {"type": "string", "enum": ["default"]},
    }
