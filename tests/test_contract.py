from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from skillforge.contract import MAX_PROBLEMS, Validator, compile_regex, schema_problems
from skillforge.errors import UsageError
from skillforge.skill import Skill

CONTRACT = {
    "type": "object",
    "properties": {
        "queue": {"enum": ["billing", "bug"]},
        "quote": {"type": "string", "maxLength": 20},
        "urgent": {"type": "boolean"},
        "count": {"type": "integer"},
        "order": {"type": "object", "properties": {"items": {"items": {"required": ["sku"]}}}},
    },
    "required": ["queue", "quote"],
    "additionalProperties": False,
}


def fields(schema: Any) -> list[str]:
    return [problem.field for problem in schema_problems(schema)]


def message(schema: Any) -> str:
    return " | ".join(problem.describe("schema") for problem in schema_problems(schema))


@pytest.fixture
def connections() -> Iterator[tuple[int, list[Any]]]:
    """A loopback port and the connections that came in: there must be none."""
    seen: list[Any] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        done = threading.Event()

        def accept() -> None:
            while not done.is_set():
                try:
                    connection, address = server.accept()
                except TimeoutError:
                    continue
                connection.close()
                seen.append(address)

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield server.getsockname()[1], seen
        finally:
            done.set()
            thread.join()


def test_a_fitting_value_has_no_problems() -> None:
    value = {"queue": "bug", "quote": "x", "urgent": True, "count": 3, "order": {"items": [{"sku": 1}]}}
    assert Validator(CONTRACT).problems(value) == []


def test_problems_read_well_and_are_sorted() -> None:
    value = {"queue": "biling", "extra": 1, "urgent": "no", "order": {"items": [{"sku": 1}, {}]}}
    assert Validator(CONTRACT).problems(value) == [
        "extra: not a field of this contract",
        "order.items[1].sku: missing",
        "queue: 'biling' is not one of ['billing', 'bug']",
        "quote: missing",
        "urgent: 'no' is not of type 'boolean'",
    ]
    assert Validator(CONTRACT).problems([1]) == ["[1] is not of type 'object'"]


def test_booleans_are_no_integers_and_strings_are_no_numbers() -> None:
    validator = Validator({"properties": {"a": {"type": "integer"}, "b": {"enum": [1]}, "c": {"type": "number"}}})
    assert len(validator.problems({"a": True, "b": True, "c": "1"})) == 3
    assert validator.problems({"a": 2.0, "b": 1.0, "c": 1e3}) == []


def test_alternatives_say_what_each_of_them_wanted() -> None:
    validator = Validator({"properties": {"a": {"anyOf": [{"type": "string"}, {"type": "null"}]}}})
    assert validator.problems({"a": 5}) == ["a: 5 is not of type 'string' or 5 is not of type 'null'"]


def test_long_values_are_cut_in_messages_and_many_problems_are_capped() -> None:
    [only] = Validator({"maxLength": 3}).problems("x" * 100_000)
    assert len(only) < 120
    assert only.endswith("… is too long")
    assert len(Validator({"items": {"type": "string"}}).problems(list(range(1_000)))) == MAX_PROBLEMS


def test_format_is_not_asserted() -> None:
    assert Validator({"type": "string", "format": "email"}).problems("no address") == []


def test_multiple_of_is_exact_on_decimal_digits() -> None:
    validator = Validator({"multipleOf": 0.01})
    assert [validator.problems(value) for value in (19.99, 0.07, 3, 1e300, "text")] == [[]] * 5
    assert len(validator.problems(0.001)) == len(validator.problems(float("inf"))) == 1


def test_unique_items_takes_linear_time_and_tells_numbers_from_booleans() -> None:
    validator = Validator({"uniqueItems": True})
    started = time.process_time()
    assert validator.problems([{"i": index} for index in range(20_000)]) == []
    assert time.process_time() - started < 5  # every pair compared: minutes
    assert validator.problems([1, True, "1", None, [1], {"a": 1}, 2**60]) == []
    assert len(validator.problems([{"a": 1, "b": 2}, {"b": 2.0, "a": 1}])) == 1


@pytest.mark.parametrize(
    "schema",
    [
        {"pattern": "^(a+)+$"},
        {"patternProperties": {"^(a+)+$": {"type": "null"}}, "additionalProperties": False},
        {"propertyNames": {"pattern": "^(a+)+$"}},
        {"patternProperties": {"^(a+)+$": True}, "additionalProperties": {"type": "null"}},
    ],
)
def test_patterns_take_linear_time(schema: dict[str, Any]) -> None:
    text = "a" * 50_000 + "b"
    value: Any = text if "pattern" in schema else {text: 1}
    started = time.process_time()
    assert len(Validator(schema).problems(value)) == 1
    assert time.process_time() - started < 5


def test_pattern_properties_and_additional_properties_work_together() -> None:
    schema = {"properties": {"a": {}}, "patternProperties": {"^x-": {"type": "string"}}, "additionalProperties": False}
    assert Validator(schema).problems({"a": 1, "x-b": "y"}) == []
    assert Validator(schema).problems({"x-b": 1, "c": 2}) == [
        "c: not a field of this contract",
        "x-b: 1 is not of type 'string'",
    ]


def test_half_a_character_matches_no_pattern() -> None:
    assert len(Validator({"pattern": "."}).problems("\ud800")) == 1


@pytest.mark.parametrize("place", ["$ref", "$dynamicRef", "$schema", "$id", "$recursiveRef"])
def test_nothing_is_ever_fetched(place: str, connections: tuple[int, list[Any]]) -> None:
    port, seen = connections
    url = f"http://127.0.0.1:{port}/schema.json"
    for schema in ({place: url}, {"properties": {"a": {place: url}}}, {"$defs": {"b": {place: url}}}):
        assert any(field.endswith(place) for field in fields(schema))
        with pytest.raises(UsageError):
            Validator(schema).problems({"a": 1})
    base_trick = {"$id": url, "$ref": "#/other"}
    assert {"/$id", "/$ref"} <= set(fields(base_trick))
    assert seen == []


def test_the_compiled_validator_cannot_fetch_even_what_lint_let_through(connections: tuple[int, list[Any]]) -> None:
    from skillforge.jsonschema_rules import compile_schema

    port, seen = connections
    with pytest.raises(Exception, match="Unresolvable"):
        list(compile_schema({"$ref": f"http://127.0.0.1:{port}/x"}).iter_errors(1))
    assert seen == []


def test_local_references_work_also_recursive_ones() -> None:
    node = {"properties": {"name": {"$ref": "#/$defs/a~1b%20c"}, "kids": {"items": {"$ref": "#/$defs/node"}}}}
    tree = {"$ref": "#/$defs/node", "$defs": {"node": node, "a/b c": {"type": "string"}}}
    assert schema_problems(tree) == []
    assert Validator(tree).problems({"name": "a", "kids": [{"name": "b", "kids": [{"name": 5}]}]}) == [
        "kids[0].kids[0].name: 5 is not of type 'string'"
    ]


@pytest.mark.parametrize(
    "ref",
    [
        "other.json",
        "http://x/y#/a",
        "#/nope",
        "#name",
        "#/default",
        "#/enum/0",
        "#/$defs",
        "#/allOf/00",
        "file:///etc/x",
    ],
)
def test_a_reference_must_name_a_schema_of_this_document(ref: str) -> None:
    evil = {"pattern": "(?=a)"}
    schema = {"$defs": {"a": {}}, "default": evil, "enum": [evil], "allOf": [{}], "properties": {"x": {"$ref": ref}}}
    assert fields(schema) == ["/properties/x/$ref"]


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
        {"properties": {"x": {"allOf": [{"not": {"$ref": "#/properties/x"}}]}}},
    ],
)
def test_references_in_a_circle_are_refused(schema: Any) -> None:
    assert "leads in a circle" in message(schema)


def test_a_schema_that_multiplies_gives_up_instead_of_hanging() -> None:
    inner = {"properties": {"a": {"$ref": "#/$defs/n"}}}
    bomb = Validator({"$ref": "#/$defs/n", "$defs": {"n": {"allOf": [inner, inner]}}})
    flat = {f"d{index}": {"allOf": [{"$ref": f"#/$defs/d{index + 1}"}] * 2} for index in range(30)}
    doubling = Validator({"$ref": "#/$defs/d0", "$defs": {**flat, "d30": {}}})
    value: Any = {}
    for _ in range(40):
        value = {"a": value}
    assert "more than 10,000 references" in bomb.problems(value)[0]
    assert "more than 10,000 references" in doubling.problems(1)[0]
    assert bomb.problems({"a": {}}) == []


def test_a_value_nested_beyond_python_is_a_problem_not_a_crash() -> None:
    deep: Any = []
    for _ in range(5_000):
        deep = [deep]
    assert Validator({"items": {"type": "string"}}).problems(deep) == ["nested too deep to be checked"]
    assert Validator({"uniqueItems": True}).problems([deep, 1]) == ["nested too deep to be checked"]


@pytest.mark.parametrize(
    ("schema", "field", "words"),
    [
        ({"typ": "string"}, "/typ", "unknown keyword 'typ' (did you mean 'type'?)"),
        ({"properties": {"a": {"maxlength": 3}}}, "/properties/a/maxlength", "did you mean 'maxLength'?"),
        ({"type": "strng"}, "/type", "unknown type 'strng' (did you mean 'string'?)"),
        ({"type": ["string", 5]}, "/type", "must be a list of names"),
        ({"required": [{}] * 3}, "/required", "must be a list of names"),
        ({"required": "a"}, "/required", "'a' is not of type 'array'"),
        ({"minLength": -1}, "/minLength", "-1 is less than the minimum of 0"),
        ({"enum": "ab"}, "/enum", "'ab' is not of type 'array'"),
        ({"multipleOf": 0}, "/multipleOf", "0 is less than or equal to the minimum of 0"),
        ({"properties": {"a": 5}}, "/properties/a", "a schema is a mapping"),
        ({"properties": []}, "/properties", "[] is not of type 'object'"),
        ({"allOf": []}, "/allOf", ""),
        ({"items": {"pattern": "(?=a)"}}, "/items/pattern", "invalid perl operator: (?="),
        ({"items": {"pattern": "(a)\\1"}}, "/items/pattern", "invalid escape sequence: \\1"),
        ({"pattern": "a" * 2_000}, "/pattern", "longer than 1,024 characters"),
        ({"patternProperties": {"a/(": {}}}, "/patternProperties/a~1(", "missing ): a/("),
        ({"unevaluatedProperties": False}, "/unevaluatedProperties", "use additionalProperties"),
        ({"$schema": "https://json-schema.org/draft/2020-12/schema"}, "/$schema", "always Draft 2020-12"),
        ({"a": {1: 2}}, "/a", "the key 1 is not text"),
        ({"default": {1, 2}}, "/default", "not JSON: set"),
        ("string", "", "a schema is a mapping"),
        ({"properties": {str(index): {} for index in range(1_001)}}, "", "more than 1,000 subschemas"),
    ],
)  # fmt: skip
def test_a_wrong_schema_is_refused_by_place(schema: Any, field: str, words: str) -> None:
    assert fields(schema) == [field]
    assert words in message(schema)
    with pytest.raises(UsageError):
        Validator(schema)


def test_all_problems_of_a_schema_are_told_at_once() -> None:
    assert fields({"typ": "x", "minLength": "1", "properties": {"a": {"pattern": "["}, "b": {"$ref": "x"}}}) == [
        "/typ",
        "/properties/a/pattern",
        "/properties/b/$ref",
        "/minLength",
    ]


def test_data_in_a_schema_is_not_taken_for_a_schema() -> None:
    data = {"$ref": "http://x", "typ": 1, "pattern": "("}
    assert schema_problems({"default": data, "const": data, "enum": [data], "examples": [data]}) == []


def test_a_field_may_be_called_like_a_keyword() -> None:
    schema = {"type": "object", "properties": {"$ref": {"type": "string"}, "pattern": {"type": "integer"}}}
    assert schema_problems(schema) == []
    assert Validator(schema).problems({"$ref": "x", "pattern": 1}) == []


def test_thirty_two_levels_are_allowed() -> None:
    schema: Any = {"type": "string"}
    for _ in range(31):
        schema = {"not": schema}
    assert schema_problems(schema) == []
    assert "deeper than 32" in message({"not": {"not": schema}})
    for _ in range(5_000):
        schema = {"not": schema}
    assert "deeper than 32" in message(schema)


def test_the_schemas_of_a_skill_are_accepted() -> None:
    skill = Skill.model_validate(
        {
            "name": "a",
            "description": "b",
            "input": {"ticket": {"type": "string"}, "locale": {"enum": ["en"], "default": "en"}},
            "output": {"queue": {"enum": ["x", "y"]}},
            "instructions": "",
            "prompt": "",
        }
    )
    assert Validator(skill.input_schema()).problems({"locale": "en"}) == ["ticket: missing"]
    assert Validator(skill.output_schema()).problems({"queue": "x"}) == []


def test_compile_regex_is_linear_and_says_why_it_refuses(capfd: pytest.CaptureFixture[str]) -> None:
    assert compile_regex(r"\d+").search("a12")
    assert compile_regex("^(a+)+$").search("a" * 50_000 + "b") is None
    for pattern in ("(?=a)", "(?<!a)b", r"(a)\1", "(", "[é", "a{2000}", "\ud800", "x" * 1_025):
        with pytest.raises(UsageError) as caught:
            compile_regex(pattern)
        assert caught.value.hint
    assert capfd.readouterr().err == ""


LEAVES = st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["a", "b", "xyz", ""]) | st.floats(-2, 2)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
SIMPLE = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["string", "integer", "number", "boolean", "null", "array", "object"]),
        "enum": st.lists(JSON, min_size=1, max_size=3),
        "const": JSON,
        "minLength": st.integers(0, 3),
        "maximum": st.integers(-3, 3),
        "maxItems": st.integers(0, 2),
        "required": st.lists(st.sampled_from("abc"), unique=True),
        "uniqueItems": st.booleans(),
        "pattern": st.sampled_from(["^a", "b$", "x.z"]),
    },
)
SCHEMAS = st.recursive(
    SIMPLE,
    lambda inner: st.one_of(
        st.fixed_dictionaries(
            {"properties": st.dictionaries(st.sampled_from("abc"), inner), "additionalProperties": inner}
        ),
        st.fixed_dictionaries({"items": inner}),
        st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=2), "not": inner}),
        st.fixed_dictionaries({"patternProperties": st.dictionaries(st.sampled_from(["^a", "b|c"]), inner)}),
        st.fixed_dictionaries({"if": inner, "then": inner, "else": inner}),
    ),
    max_leaves=5,
)


@given(SCHEMAS, JSON)
def test_the_verdict_is_that_of_jsonschema(schema: Any, value: Any) -> None:
    assert schema_problems(schema) == []
    assert (Validator(schema).problems(value) == []) == Draft202012Validator(schema).is_valid(value)


@given(JSON)
def test_any_json_as_a_schema_is_accepted_or_refused_but_never_crashes(schema: Any) -> None:
    if not schema_problems(schema):
        Validator(schema).problems({"a": 1})


def test_jsonschema_and_re2_are_not_imported_with_the_module() -> None:
    code = "import sys, skillforge.contract; sys.exit(any(name in sys.modules for name in ('jsonschema', 're2')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
