"""The part of JSON Schema that Anthropic's structured output takes.

Rule source: ``transform_schema`` of the anthropic SDK (2.12). Every answer is validated against the full schema
afterwards, so what is dropped here (bounds, lengths, patterns, most formats) is still held to.
"""

from __future__ import annotations

from typing import Any

_FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}  # all it knows
)
_WORDS = frozenset({"title", "description"})
_DEFINITIONS = ("$defs", "definitions")


class _Unsayable(Exception):
    """The API's subset has no schema for this."""


def structured_schema(schema: Any) -> dict[str, Any] | None:
    """``schema`` with only what the API takes, keys in their order. ``None`` where that would forbid right answers.

    The API closes every object: a map with free keys could only come back empty. Such a schema has to be said in the
    prompt, as one that allows any value.
    """
    try:
        return _supported(schema)
    except (_Unsayable, RecursionError):
        return None


def _supported(schema: Any) -> dict[str, Any]:
    if not isinstance(schema, dict):
        raise _Unsayable  # true: any value; false: none
    if "$ref" in schema:
        return _head(schema) | {"$ref": schema["$ref"]}
    if literals := _literals(schema):
        return {key: schema[key] for key in schema if key in literals or key in _WORDS} | _head(schema)
    kind = _kind(schema)
    if isinstance(kind, list):
        return _variants(schema, [{**_bare(schema), "type": one} for one in kind])
    if kind == "object":
        return _object(schema)
    if kind == "array":
        return _array(schema)
    if kind:
        kept = {"type", *_WORDS} | ({"format"} if kind == "string" and _known_format(schema) else set())
        return _head(schema) | {key: kind if key == "type" else schema[key] for key in schema if key in kept}
    return _combined(schema)


def _head(schema: dict[str, Any]) -> dict[str, Any]:
    return {
        key: {name: _supported(inner) for name, inner in schema[key].items()}
        for key in _DEFINITIONS
        if isinstance(schema.get(key), dict)
    }


def _literals(schema: dict[str, Any]) -> set[str]:
    """``enum`` and ``const`` where they hold plain values: they say the type as well."""
    enum = schema.get("enum")
    found = {"enum"} if isinstance(enum, list) and enum and all(map(_is_plain, enum)) else set()
    return found | ({"const"} if "const" in schema and _is_plain(schema["const"]) else set())


def _kind(schema: dict[str, Any]) -> str | list[str]:
    """The type, also where it is only implied; several; or none."""
    kind = schema.get("type")
    if isinstance(kind, list):
        return kind[0] if len(kind) == 1 else kind
    if isinstance(kind, str):
        return kind
    if "properties" in schema:
        return "object"
    return "array" if "items" in schema or "prefixItems" in schema else ""


def _object(schema: dict[str, Any]) -> dict[str, Any]:
    properties, free = schema.get("properties", {}), schema.get("additionalProperties", True)
    open_map = isinstance(free, dict) or "patternProperties" in schema or (not properties and free is not False)
    if open_map or set(schema.get("required", ())) - set(properties):
        raise _Unsayable
    result: dict[str, Any] = _head(schema) | ({} if "type" in schema else {"type": "object"})
    for key, value in schema.items():
        if key == "type":
            result[key] = "object"
        elif key == "properties":
            result[key] = {name: _supported(inner) for name, inner in properties.items()}
        elif key == "additionalProperties":
            result[key] = False
        elif key == "required" or key in _WORDS:
            result[key] = value
    return {**result, "properties": result.get("properties", {}), "additionalProperties": False}


def _array(schema: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = _head(schema) | ({} if "type" in schema else {"type": "array"})
    for key, value in schema.items():
        if key == "type":
            result[key] = "array"
        elif key == "items" and not isinstance(value, bool):
            result[key] = _supported(value)
        elif (key == "minItems" and value in (0, 1)) or key in _WORDS:
            result[key] = value
    return result


def _combined(schema: dict[str, Any]) -> dict[str, Any]:
    for key in ("anyOf", "oneOf"):
        if isinstance(schema.get(key), list):
            return _variants(schema, schema[key])
    parts = schema.get("allOf")
    if isinstance(parts, list) and len(parts) == 1:
        return _supported({**schema, "allOf": None, **parts[0]}) if isinstance(parts[0], dict) else _supported(True)
    raise _Unsayable  # several closed objects at once exclude each other


def _variants(schema: dict[str, Any], variants: list[Any]) -> dict[str, Any]:
    words = {key: schema[key] for key in schema if key in _WORDS}
    return _head(schema) | {"anyOf": [_supported(variant) for variant in variants]} | words


def _bare(schema: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key not in _WORDS and key not in _DEFINITIONS}


def _known_format(schema: dict[str, Any]) -> bool:
    return isinstance(schema.get("format"), str) and schema["format"] in _FORMATS


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float | bool)
