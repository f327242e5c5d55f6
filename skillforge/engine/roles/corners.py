"""The corners of an input schema: values that a contract allows and real inputs seldom hold."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from skillforge.canonical import canonical_json
from skillforge.messages import Value

LONG_TEXT = 1_500  # characters that count as long where a schema names no greater length
MANY_ITEMS = 10
MAX_CHOICES = 50  # of one field

Kind = Literal["value", "default", "empty", "long", "least", "most", "negative"]


class Corner(Value):
    """One corner: the field, and what stands there. ``bound`` is the value, the length or the number meant."""

    field: str
    kind: Kind
    bound: Any = None

    def __str__(self) -> str:
        shown = json.dumps(self.bound, ensure_ascii=False)
        match self.kind:
            case "value":
                return f"{self.field} is {shown}"
            case "default":
                return f"{self.field} is left out"
            case "empty":
                return f"{self.field} is empty"
            case "long":
                return f"{self.field} is about as long as allowed ({shown} or more characters or items)"
            case "least" | "most":
                return f"{self.field} is {shown}, the {self.kind} allowed"
            case _:
                return f"{self.field} is negative"


def corners(fields: Mapping[str, Mapping[str, Any]]) -> tuple[Corner, ...]:
    """The corners of an input contract, field by field, each once."""
    return tuple(corner for name, schema in fields.items() for corner in _of_field(name, schema))


def covers(corner: Corner, given: Mapping[str, Any]) -> bool:
    """Whether an input stands in that corner."""
    if corner.kind == "default":
        return corner.field not in given or given[corner.field] is None
    if corner.field not in given:
        return False
    value = given[corner.field]
    match corner.kind:
        case "empty":
            return value in ("", [], {}) or (isinstance(value, str) and not value.strip())
        case "long":
            return isinstance(value, str | list | tuple) and len(value) >= corner.bound
        case "negative":
            return _is_number(value) and value < 0
        case _:
            return _same(value, corner.bound)


def _of_field(name: str, schema: Mapping[str, Any]) -> Iterator[Corner]:
    if "default" in schema:
        yield Corner(field=name, kind="default")
    listed = schema.get("enum")
    if isinstance(listed, list):
        for value in listed[:MAX_CHOICES]:
            if value is not None or "default" not in schema:
                yield Corner(field=name, kind="value", bound=value)
        return
    stated = schema.get("type")
    kinds = stated if isinstance(stated, list) else [stated]
    if "boolean" in kinds:
        yield Corner(field=name, kind="value", bound=True)
        yield Corner(field=name, kind="value", bound=False)
    if "null" in kinds and "default" not in schema:
        yield Corner(field=name, kind="value", bound=None)
    if "string" in kinds:
        yield from _sized(name, schema, "minLength", "maxLength", LONG_TEXT)
    if "array" in kinds:
        yield from _sized(name, schema, "minItems", "maxItems", MANY_ITEMS)
    if "integer" in kinds or "number" in kinds:
        yield from _numbers(name, schema)


def _sized(name: str, schema: Mapping[str, Any], least: str, most: str, usual: int) -> Iterator[Corner]:
    if not schema.get(least):
        yield Corner(field=name, kind="empty")
    longest = schema.get(most)
    allowed = longest if isinstance(longest, int) and not isinstance(longest, bool) else usual
    if (bound := min(usual, allowed * 9 // 10)) > 0:
        yield Corner(field=name, kind="long", bound=bound)


def _numbers(name: str, schema: Mapping[str, Any]) -> Iterator[Corner]:
    low: Any = schema.get("minimum")
    high: Any = schema.get("maximum")
    if _is_number(low):
        yield Corner(field=name, kind="least", bound=low)
    elif "exclusiveMinimum" not in schema:
        yield Corner(field=name, kind="negative")
    if _is_number(high):
        yield Corner(field=name, kind="most", bound=high)
    if not (_is_number(low) and low >= 0) and "exclusiveMinimum" not in schema:
        yield Corner(field=name, kind="value", bound=0)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _same(left: Any, right: Any) -> bool:
    try:
        return canonical_json(left) == canonical_json(right)
    except ValueError:
        return False
