"""What the inputs and answers seen so far suggest as a contract, before there is a skill. No model is asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from skillforge.canonical import canonical_json

CHOICE_CHARS = 60  # a longer text, or one of several lines, is no label
_LEAST = 4  # values from which one can tell a choice


def observed_fields(values: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Field -> JSON Schema of the objects seen, in the order in which fields first came.

    A text of which at most half of the values differ is a choice (``enum``); a field that some objects leave out may be
    null, which is its default.
    """
    names = dict.fromkeys(name for value in values for name in value)
    return {name: _field([value[name] for value in values if name in value], len(values)) for name in names}


def choices(fields: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[Any, ...]]:
    """The values of every field that is a choice: an ``enum``, or true and false."""
    found: dict[str, tuple[Any, ...]] = {}
    for name, schema in fields.items():
        if isinstance(schema.get("enum"), list):
            found[name] = tuple(schema["enum"])
        elif schema.get("type") == "boolean":
            found[name] = (True, False)
    return found


def output_fields(outputs: Sequence[Any]) -> dict[str, dict[str, Any]] | str:
    """The output side: ``"text"`` where most answers are texts, else the fields that at least half of the objects
    have.
    """
    objects = [output for output in outputs if isinstance(output, Mapping)]
    if 2 * len(objects) <= len(outputs):
        return "text"
    common = {name for output in objects for name in output}
    common = {name for name in common if 2 * sum(name in output for output in objects) >= len(objects)}
    kept = [{name: value for name, value in output.items() if name in common} for output in objects]
    fields = observed_fields(kept)
    return {name: {key: inner for key, inner in schema.items() if key != "default"} for name, schema in fields.items()}


def _field(values: Sequence[Any], of: int) -> dict[str, Any]:
    kinds = dict.fromkeys(_type(value) for value in values)
    if {"integer", "number"} <= kinds.keys():
        kinds.pop("integer")
    texts = [value for value in values if isinstance(value, str)]
    optional = len(values) < of
    if texts and set(kinds) <= {"string", "null"} and _is_choice(texts):
        null = [None] if optional or "null" in kinds else []
        schema: dict[str, Any] = {"enum": [*sorted(set(texts)), *null]}
    else:
        if optional:
            kinds["null"] = None
        schema = {"type": next(iter(kinds)) if len(kinds) == 1 else sorted(kinds)}
        if "array" in kinds and (items := _items(values)):
            schema["items"] = {"type": items[0] if len(items) == 1 else items}
    return {**schema, "default": None} if optional else schema


def _is_choice(texts: Sequence[str]) -> bool:
    if len(texts) < _LEAST or any(len(text) > CHOICE_CHARS or "\n" in text or not text.strip() for text in texts):
        return False
    return 2 * len(set(texts)) <= len(texts)


def _items(values: Iterable[Any]) -> list[str]:
    return sorted({_type(item) for value in values if isinstance(value, list | tuple) for item in value})


def _type(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "integer" if value.is_integer() and canonical_json(value).isdigit() else "number"
        case str():
            return "string"
        case Mapping():
            return "object"
        case _:
            return "array"
