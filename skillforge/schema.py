"""The JSON Schemas of ``skill.yaml`` and of a suite, for editors. Written by ``init``; the loaders are stricter."""

from __future__ import annotations

from typing import Any

from skillforge.case import Suite
from skillforge.checks import CHECK_TYPES
from skillforge.remotefile import STORES
from skillforge.skill import Skill
from skillforge.steplint import MAX_STEPS, MAX_TOOLS

SCHEMA_FILE = "skill.v1.json"
SUITE_SCHEMA_FILE = "suite.v1.json"

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_FILE = rf"^({'|'.join(('file', *STORES))})://."


def skill_json_schema() -> dict[str, Any]:
    """Draft 2020-12 schema generated from the ``Skill`` model, with the check types spelled out."""
    schema = Skill.model_json_schema(by_alias=True)
    schema["$schema"] = _DRAFT
    schema["title"] = "skillforge skill"
    schema["required"] = sorted({*schema.get("required", ()), "schema"})
    check = schema["$defs"]["Check"]["properties"]["type"]
    schema["properties"]["steps"]["maxItems"] = MAX_STEPS
    schema["properties"]["tools"]["maxItems"] = MAX_TOOLS
    schema["anyOf"] = [
        {"required": ["instructions", "prompt"]},
        {"required": ["steps"], "properties": {"steps": {"minItems": 1}}},
    ]
    schema["$defs"]["Step"]["anyOf"] = [{"required": [kind]} for kind in ("tool", "prompt", "escalate")]
    check["enum"] = [*CHECK_TYPES, *(f"not-{name}" for name in CHECK_TYPES)]
    return schema


def suite_json_schema() -> dict[str, Any]:
    """Draft 2020-12 schema generated from the ``Suite`` model, as its file is written: ``schema`` names the form,
    ``cases`` may stand in a file, and a case needs no ``id``.

    Types of scorers and checks are open: programs bring their own. ``skillforge lint`` knows them.
    """
    schema = Suite.model_json_schema(by_alias=True)
    schema["$schema"] = _DRAFT
    schema["title"] = "skillforge suite"
    properties = schema["properties"]
    cases = properties["cases"]
    properties["schema"] = {"const": "skillforge/suite/v1"}
    properties["cases"] = {"anyOf": [cases, {"type": "string", "pattern": _FILE}], "title": "Cases"}
    for name in ("recorded", "today", "labels"):
        properties[name] = {"type": "string", "pattern": _FILE}
    properties["contract"] = {
        "type": "object",
        "required": ["input", "output"],
        "additionalProperties": False,
        "properties": {
            "input": _FIELDS,
            "output": {"anyOf": [{"const": "text"}, _FIELDS]},
        },
    }
    schema["$defs"]["Case"]["required"] = ["input"]
    schema["required"] = ["schema", "name", "cases"]
    return schema


_FIELDS = {"type": "object", "minProperties": 1, "additionalProperties": {"type": "object"}}
