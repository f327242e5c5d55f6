"""Which JSON Schemas fit the strict mode of OpenAI's structured outputs, a subset of JSON Schema.

Rules: https://platform.openai.com/docs/guides/structured-outputs (supported schemas). A keyword outside the subset is
refused there with status 400, so whatever is doubtful (``minLength``, ``maxLength``, ``default``) counts as outside.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_KEYWORDS = frozenset(
    {
        "$defs",
        "$ref",
        "additionalProperties",
        "anyOf",
        "const",
        "description",
        "enum",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "items",
        "maxItems",
        "maximum",
        "minItems",
        "minimum",
        "multipleOf",
        "pattern",
        "properties",
        "required",
        "title",
        "type",
    }
)
# Constraints that can be left out: whoever obeys the rest gives the same shape, and every answer is validated here.
_DROPPED = frozenset({"minLength", "maxLength", "format", "uniqueItems", "default", "examples"})
_DEEPEST = 10  # levels of objects
_MOST_PROPERTIES = 5_000
_JSON_TYPES: Mapping[type, str] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    type(None): "null",
    list: "array",
    dict: "object",
}
_HOLD_SCHEMAS = frozenset({"$defs", "definitions", "patternProperties", "properties"})
_HOLD_VALUES = frozenset({"const", "default", "enum", "examples", "required"})


def is_strict(schema: Any) -> bool:
    """Whether strict mode takes this output schema (see ``typed``): an object whose properties are all required."""
    if not isinstance(schema, dict) or schema.get("type") != "object" or "anyOf" in schema:
        return False
    return _fits(schema, 0) and _properties(schema) <= _MOST_PROPERTIES


def loosened(schema: Any, *, named: bool = False) -> Any:
    """The same schema without the constraints that strict mode does not know, so that it may still hold the shape."""
    if isinstance(schema, list):
        return [loosened(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: value if key in _HOLD_VALUES else loosened(value, named=key in _HOLD_SCHEMAS)
        for key, value in schema.items()
        if named or key not in _DROPPED
    }


def typed(schema: Any, *, named: bool = False) -> Any:
    """The same schema, with the ``type`` that ``enum`` and ``const`` imply said: strict mode refuses one without it.

    ``named`` is for a mapping of names to schemas, whose keys are no keywords.
    """
    if isinstance(schema, list):
        return [typed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if named:
        return {name: typed(value) for name, value in schema.items()}
    told = {
        key: value if key in _HOLD_VALUES else typed(value, named=key in _HOLD_SCHEMAS) for key, value in schema.items()
    }
    values = schema["enum"] if isinstance(schema.get("enum"), list) else [schema["const"]] if "const" in schema else []
    kinds = {_JSON_TYPES.get(type(value)) for value in values}
    if "type" not in schema and "$ref" not in schema and len(kinds) == 1 and None not in kinds:
        return {"type": kinds.pop(), **told}
    return told


def _fits(schema: Any, depth: int) -> bool:
    if not isinstance(schema, dict) or depth > _DEEPEST or not schema.keys() <= _KEYWORDS:
        return False
    if not schema.keys() & {"type", "anyOf", "$ref"}:
        return False
    if _is_object(schema) and not _is_closed(schema):
        return False
    if schema.get("type") == "array" and "items" not in schema:
        return False
    inner = [*_mapping(schema, "properties").values(), *_mapping(schema, "$defs").values()]
    inner += schema.get("anyOf", []) if isinstance(schema.get("anyOf", []), list) else [None]
    inner += [schema["items"]] if "items" in schema else []
    return all(_fits(part, depth + 1) for part in inner)


def _is_object(schema: Mapping[str, Any]) -> bool:
    kind = schema.get("type")
    return kind == "object" or (isinstance(kind, list) and "object" in kind) or "properties" in schema


def _is_closed(schema: Mapping[str, Any]) -> bool:
    required = schema.get("required", [])
    names = _mapping(schema, "properties")
    return (
        schema.get("additionalProperties") is False and isinstance(required, list) and sorted(names) == sorted(required)
    )


def _properties(schema: Any) -> int:
    if isinstance(schema, list):
        return sum(_properties(item) for item in schema)
    if not isinstance(schema, dict):
        return 0
    return len(_mapping(schema, "properties")) + sum(_properties(value) for value in schema.values())


def _mapping(schema: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = schema.get(key)
    return value if isinstance(value, dict) else {}
