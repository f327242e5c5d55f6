"""A quick yes for the plain schemas that most contracts are: types, enums of texts, objects and lists of these.

Only ever a yes: what does not fit plainly is left to the whole validator, which says what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Fits = Callable[[Any], bool]

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
    "array": (list,),
    "object": (dict,),
}
_NOTES = frozenset({"$comment", "default", "deprecated", "description", "examples", "readOnly", "title", "writeOnly"})
_KNOWN = {
    "string": frozenset({"type", "enum"}) | _NOTES,
    "array": frozenset({"type", "items"}) | _NOTES,
    "object": frozenset({"type", "properties", "required", "additionalProperties"}) | _NOTES,
}


def plain_fit(schema: Any) -> Fits | None:
    """A function that is true only for values that fit ``schema``, ``None`` for a schema that is not plain.

    ``schema`` must have passed ``skillforge.contract.schema_problems``.
    """
    if not isinstance(schema, dict):
        return None
    name = schema.get("type", "string" if "enum" in schema else None)
    if not isinstance(name, str) or not schema.keys() <= _KNOWN.get(name, _NOTES | {"type"}):
        return None
    if name == "object":
        return _object(schema)
    if name == "array":
        return _array(schema)
    if "enum" in schema:
        return _enum(schema["enum"])
    kinds = _TYPES[name]
    return lambda value: type(value) in kinds


def _enum(listed: Any) -> Fits | None:
    if not all(isinstance(item, str) for item in listed):
        return None
    allowed = frozenset(listed)
    return lambda value: type(value) is str and value in allowed


def _array(schema: dict[str, Any]) -> Fits | None:
    if "items" not in schema:
        return lambda value: type(value) is list
    item = plain_fit(schema["items"])
    return None if item is None else lambda value: type(value) is list and all(map(item, value))


def _object(schema: dict[str, Any]) -> Fits | None:
    if schema.get("additionalProperties") is not False:
        return None
    fits = {name: plain_fit(inner) for name, inner in schema.get("properties", {}).items()}
    required = frozenset(schema.get("required", ()))

    def fit(value: Any) -> bool:
        if type(value) is not dict or not required <= value.keys():
            return False
        for name, item in value.items():
            inner = fits.get(name)
            if inner is None or not inner(item):
                return False
        return True

    return fit
