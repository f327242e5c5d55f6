"""The JSON Schema of ``skill.yaml``, for editors. Written by ``init``; the loader itself is stricter."""

from __future__ import annotations

from typing import Any

from skillforge.checks import CHECK_TYPES
from skillforge.skill import Skill

SCHEMA_FILE = "skill.v1.json"


def skill_json_schema() -> dict[str, Any]:
    """Draft 2020-12 schema generated from the ``Skill`` model, with the check types spelled out."""
    schema = Skill.model_json_schema(by_alias=True)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "skillforge skill"
    schema["required"] = sorted({*schema.get("required", ()), "schema"})
    check = schema["$defs"]["Check"]["properties"]["type"]
    schema["properties"]["steps"] = {"type": "array", "maxItems": 0, "description": "Workflows: not in this version."}
    check["enum"] = [*CHECK_TYPES, *(f"not-{name}" for name in CHECK_TYPES)]
    return schema
