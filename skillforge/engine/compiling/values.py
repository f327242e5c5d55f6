"""JSON values as they are compared when a plan is compiled: by type, by place, and in running text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from skillforge.canonical import canonical_json

MAX_PLACES = 4000  # of one result: what lies deeper in a long one is a model's business
_SHORT = 3


def same(value: Any) -> str:
    """A text that is equal for equal values only: 1 and 1.0 are, "1" and 1 or true and 1 are not."""
    try:
        return canonical_json(value).decode()
    except ValueError:  # an integer beyond 2**53
        return json.dumps(value, sort_keys=True, default=str)


def places(value: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value inside ``value`` with its path, itself first, breadth first. A key with a dot in it cannot be named
    by a reference: what lies under it is left out.
    """
    level: list[tuple[tuple[str, ...], Any]] = [((), value)]
    seen = 0
    while level:
        below: list[tuple[tuple[str, ...], Any]] = []
        for path, found in level:
            yield path, found
            seen += 1
            if seen >= MAX_PLACES:
                return
            below += [((*path, key), inner) for key, inner in _members(found)]
        level = below


def _members(value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [(key, inner) for key, inner in value.items() if isinstance(key, str) and key and "." not in key]
    if isinstance(value, list):
        return [(str(number), inner) for number, inner in enumerate(value)]
    return []


def leaves(value: Any) -> Iterator[Any]:
    """The values in ``value`` that hold no others."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from leaves(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from leaves(inner)
    else:
        yield value


def is_weak(value: Any) -> bool:
    """Whether finding the same value elsewhere proves little: true, 2, "no", an empty list."""
    if value is None or isinstance(value, bool):
        return True
    if isinstance(value, int | float):
        return abs(value) < 100
    if isinstance(value, str):
        return len(value) < _SHORT
    return not value or all(is_weak(leaf) for leaf in leaves(value))


def in_text(value: Any, text: str) -> bool:
    """Whether every leaf of ``value`` stands literally in ``text``, as a word of its own and in any case of letters."""
    found = list(leaves(value))
    return bool(found) and all(_leaf_in_text(leaf, text) for leaf in found)


def _leaf_in_text(leaf: Any, text: str) -> bool:
    if leaf is None or isinstance(leaf, bool):
        return False
    if isinstance(leaf, float) and leaf.is_integer():
        leaf = int(leaf)
    written = str(leaf).strip().lower()
    if not written or _word(written).search(text.lower()) is not None:
        return bool(written)
    spoken = written.replace("_", " ")  # basic_economy is called basic economy
    return spoken != written and _word(spoken).search(text.lower()) is not None


@lru_cache(maxsize=512)
def _word(written: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![0-9a-z]){re.escape(written)}(?![0-9a-z])")


def shape(values: list[Any]) -> dict[str, Any]:
    """The narrowest plain JSON Schema that all ``values`` fit: types, members of objects, items of lists."""
    kinds = list(dict.fromkeys(_kind(value) for value in values))
    if "integer" in kinds and "number" in kinds:
        kinds.remove("integer")
    if not kinds:
        return {}
    if len(kinds) > 1:
        return {"type": kinds}
    if kinds == ["array"]:
        inner = [item for value in values for item in value]
        return {"type": "array", "items": shape(inner)} if inner else {"type": "array"}
    if kinds != ["object"]:
        return {"type": kinds[0]}
    names = list(dict.fromkeys(name for value in values for name in value))
    if not names:
        return {"type": "object"}
    return {
        "type": "object",
        "properties": {name: shape([value[name] for value in values if name in value]) for name in names},
        "required": [name for name in names if all(name in value for value in values)],
    }


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "integer" if value.is_integer() else "number"
        case str():
            return "string"
        case list() | tuple():
            return "array"
        case _:
            return "object"


def picked(value: Any, keys: tuple[str, ...]) -> Any:
    """What ``{from: …, pick: keys}`` makes of a value."""
    if isinstance(value, list | tuple):
        return [picked(inner, keys) for inner in value]
    if isinstance(value, dict):
        return {key: value[key] for key in keys if key in value}
    return value
