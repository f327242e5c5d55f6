"""The JSON Schema for editors accepts what the loader accepts, and marks what it would refuse for its shape."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from skillforge.checks import CHECK_TYPES
from skillforge.schema import skill_json_schema
from skillforge.skillfile import write_skill
from skillforge.yamlfile import load_yaml
from tests.fakes.workflow import refund


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    schema = skill_json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def written(tmp_path, skill) -> Any:
    return load_yaml(write_skill(skill, tmp_path / skill.name).read_bytes(), path="skill.yaml").value


def test_it_is_json_and_says_which_draft():
    schema = json.loads(json.dumps(skill_json_schema()))
    assert schema["$schema"].endswith("2020-12/schema")
    assert {"schema", "name", "input", "output"} <= set(schema["required"])


def test_every_written_skill_fits(tmp_path, triage, validator):
    checks = [{"type": "contains", "value": "x"}, {"type": "not-regex", "value": "y", "on_fail": "warn"}]
    for change in (
        {},
        {"checks": checks},
        {"output": "text", "examples": {}},
        {"metadata": {"a": "b"}, "license": "MIT"},
    ):
        assert list(validator.iter_errors(written(tmp_path, triage(**change)))) == []


def test_a_written_workflow_fits(tmp_path, validator):
    body = written(tmp_path, refund())
    assert list(validator.iter_errors(body)) == []
    assert not validator.is_valid({**body, "steps": []})


def test_every_check_type_is_offered_and_others_are_marked(tmp_path, triage, validator):
    body = written(tmp_path, triage())
    for kind in CHECK_TYPES:
        for name in (kind, f"not-{kind}"):
            assert validator.is_valid({**body, "checks": [{"type": name}]})
    assert not validator.is_valid({**body, "checks": [{"type": "contans"}]})


def test_the_keys_a_person_may_write_are_known(tmp_path, triage, validator):
    body = written(tmp_path, triage())
    assert validator.is_valid({**body, "examples": {"file": "examples.jsonl", "select": "nearest", "k": 6}})
    assert validator.is_valid({**body, "steps": []})


@pytest.mark.parametrize(
    "wrong",
    [
        {"schema": "skillforge/v2"},
        {"name": "Not A Name"},
        {"exmples": {}},
        {"limits": {"output_tokens": 0}},
        {"output": "json"},
        {"examples": {"select": "some"}},
        {"steps": [{"id": "a"}]},
        {"steps": [{"id": "a", "tool": "b", "wenn": {}}]},
        {"steps": [{"tool": "b"}]},
        {"tools": [{"name": "b", "effect": "delete"}]},
    ],
)
def test_what_the_loader_refuses_for_its_shape_is_marked(tmp_path, triage, validator, wrong):
    assert not validator.is_valid({**written(tmp_path, triage()), **wrong})


@pytest.mark.parametrize("key", ["schema", "name", "description", "input", "output", "instructions", "prompt"])
def test_what_is_required_is_marked(tmp_path, triage, validator, key):
    body = written(tmp_path, triage())
    del body[key]
    assert not validator.is_valid(body)
