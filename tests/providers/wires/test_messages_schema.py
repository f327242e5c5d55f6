from __future__ import annotations

import json
from typing import Any

import pytest
from anthropic import transform_schema
from hypothesis import given
from hypothesis import strategies as st

from skillforge.providers.wires.messages_schema import structured_schema

WORDS = {"description": st.just("words"), "title": st.just("T")}
LEAVES = st.one_of(
    st.fixed_dictionaries(
        {"type": st.just("string")},
        optional={
            "minLength": st.integers(0, 9),
            "pattern": st.just("^a$"),
            "format": st.sampled_from(["date", "regex", "uuid"]),
            **WORDS,
        },
    ),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["integer", "number"])}, optional={"minimum": st.integers(), "multipleOf": st.just(2)}
    ),
    st.fixed_dictionaries({"type": st.sampled_from(["boolean", "null"])}, optional=WORDS),
    st.fixed_dictionaries({"enum": st.just(["a", 1, None])}, optional={"type": st.just("string"), **WORDS}),
    st.fixed_dictionaries({"const": st.just("x")}, optional=WORDS),
    st.just({"$ref": "#/$defs/thing"}),
)
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(
            lambda properties, more: {
                "type": "object",
                "properties": properties,
                "required": sorted(properties)[:1],
                **more,
            },
            st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, min_size=1),
            st.fixed_dictionaries({}, optional={"additionalProperties": st.booleans(), "minProperties": st.just(1)}),
        ),
        st.fixed_dictionaries(
            {"type": st.just("array"), "items": inner},
            optional={"minItems": st.integers(0, 3), "maxItems": st.just(9), "uniqueItems": st.just(True)},
        ),
        st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=3)}, optional=WORDS),
        st.fixed_dictionaries({"oneOf": st.lists(inner, min_size=1, max_size=3)}, optional=WORDS),
    ),
    max_leaves=8,
)


@given(SCHEMAS)
def test_the_schema_that_is_sent_is_the_sdks_own_less_its_prose(schema):
    whole = {"$defs": {"thing": {"type": "string", "maxLength": 3}}, **schema}
    assert structured_schema(whole) == without_prose(transform_schema(whole))


def without_prose(value: Any) -> Any:
    """The SDK writes what it drops into the description."""
    if isinstance(value, list):
        return [without_prose(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {key: without_prose(inner) for key, inner in value.items()}
    if isinstance(kept.get("description"), str):
        kept["description"] = kept["description"].partition("{")[0].strip()
        if not kept["description"]:
            del kept["description"]
    return kept


def test_a_schema_keeps_its_order_of_keys():
    schema = {
        "description": "d",
        "properties": {"z": {"enum": ["b", "a"]}, "a": {"minimum": 1, "type": "integer"}},
        "required": ["z"],
        "type": "object",
        "additionalProperties": True,
    }
    assert json.dumps(structured_schema(schema)) == json.dumps(
        {
            "description": "d",
            "properties": {"z": {"enum": ["b", "a"]}, "a": {"type": "integer"}},
            "required": ["z"],
            "type": "object",
            "additionalProperties": False,
        }
    )


def test_several_types_become_variants():
    schema = {"type": ["string", "null"], "maxLength": 3, "description": "d"}
    assert structured_schema(schema) == {"anyOf": [{"type": "string"}, {"type": "null"}], "description": "d"}


@pytest.mark.parametrize(
    "schema",
    [
        True,
        {},
        {"type": "object"},
        {"type": "object", "additionalProperties": {"type": "string"}},
        {"type": "object", "properties": {"a": True}},
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["b"]},
        {"type": "array", "items": {"description": "anything"}},
        {"allOf": [{"type": "object", "properties": {"a": {"type": "string"}}}, {"type": "object"}]},
    ],
)
def test_a_schema_that_would_forbid_right_answers_is_not_sent(schema):
    assert structured_schema(schema) is None
