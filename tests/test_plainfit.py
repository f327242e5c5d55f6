from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillforge.jsonschema_rules import compile_schema
from skillforge.plainfit import plain_fit

NAMES = st.sampled_from(["a", "b", "c"])
SCALARS = st.sampled_from(
    [
        *({"type": kind} for kind in ("string", "integer", "number", "boolean", "null")),
        {"type": "string", "enum": ["a", "b"], "description": "a note"},
        {"enum": ["b", "c"]},
    ]
)
SCHEMAS = st.recursive(
    SCALARS,
    lambda inner: (
        st.builds(lambda item: {"type": "array", "items": item}, inner)
        | st.builds(
            lambda fields, required: {
                "type": "object",
                "properties": fields,
                "required": sorted(required),
                "additionalProperties": False,
            },
            st.dictionaries(NAMES, inner),
            st.sets(NAMES),
        )
    ),
    max_leaves=6,
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | NAMES | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner),
    max_leaves=8,
)


@given(SCHEMAS, VALUES)
def test_what_fits_plainly_fits(schema, value):
    fits = plain_fit(schema)
    assert fits is not None
    if fits(value):
        assert compile_schema(schema).is_valid(value)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "array", "items": {"type": "integer"}}, [1, 2]),
        (
            {
                "type": "object",
                "properties": {"queue": {"type": "string", "enum": ["billing"]}, "sure": {"type": "boolean"}},
                "required": ["queue"],
                "additionalProperties": False,
            },
            {"queue": "billing"},
        ),
    ],
)
def test_a_usual_contract_is_plain(schema, value):
    fits = plain_fit(schema)
    assert fits is not None
    assert fits(value)


@pytest.mark.parametrize(
    "schema",
    [
        True,
        {},
        {"type": ["string", "null"]},
        {"type": "string", "pattern": "^a"},
        {"type": "integer", "minimum": 1},
        {"type": "array", "items": {"type": "string", "maxLength": 3}},
        {"type": "string", "enum": ["a", 1]},
        {"enum": [1, 2]},
        {"type": "object", "properties": {}},
        {"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}},
    ],
)
def test_any_other_schema_is_left_to_the_validator(schema):
    assert plain_fit(schema) is None


def test_a_field_that_is_not_plain_is_left_to_the_validator():
    schema = {"type": "object", "properties": {"a": {"type": "string", "minLength": 2}}, "additionalProperties": False}
    fits = plain_fit(schema)
    assert fits is not None
    assert fits({})
    assert not fits({"a": "long enough"})


def test_true_is_no_integer():
    fits = plain_fit({"type": "integer"})
    assert fits is not None
    assert not fits(True)
