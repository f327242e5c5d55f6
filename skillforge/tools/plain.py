"""Whatever a tool gives, as JSON that every part of skillforge can hold: exact, bounded, canonical."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from skillforge.jsonl import strict_json
from skillforge.tools.base import ToolOutcome

MAX_RESULT_BYTES = 524_288  # of JSON; a recorded line, which holds the arguments too, may have 1 MiB
MAX_ERROR = 2_000  # characters of what a tool says is wrong
_MAX_DEPTH = 64
_EXACT = 2**53 - 1  # integers beyond are not the same in every reader of JSON (RFC 8259, 6)
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+")


def outcome_of(value: Any, latency_s: float | None = None) -> ToolOutcome:
    """The outcome of a call that gave ``value``; an error where that has no JSON form or is longer than 512 KiB."""
    try:
        content = to_json(value)
    except ValueError as exc:
        return refusal(f"the result has no JSON form: {exc}", latency_s)
    size = json_bytes(content)
    if size > MAX_RESULT_BYTES:
        return refusal(f"the result is {size:,} bytes long, more than {MAX_RESULT_BYTES:,}: ask for less", latency_s)
    return ToolOutcome(content=content, latency_s=latency_s)


def refusal(why: str, latency_s: float | None = None) -> ToolOutcome:
    """An outcome that says no, in one line."""
    return ToolOutcome(content=one_line(why), is_error=True, latency_s=latency_s)


def to_json(value: Any) -> Any:
    """``value`` made of JSON types: models, dataclasses, decimals (as text), dates (ISO 8601), sets, enums and more.

    Integers beyond 2**53 become text, as in other interfaces; NaN and infinities ``None``; half surrogates U+FFFD.
    Raises ``ValueError`` for what pydantic knows no JSON form of, and for data within itself.
    """
    from pydantic_core import PydanticSerializationError, to_jsonable_python

    try:
        return _exact(to_jsonable_python(value, fallback=_mapping), 0)
    except (PydanticSerializationError, UnicodeEncodeError) as exc:  # the latter: half a surrogate in a key
        raise ValueError(one_line(str(exc), 200)) from exc
    except RecursionError as exc:
        raise ValueError("nested too deeply") from exc


def json_bytes(value: Any) -> int:
    """How long the value is as UTF-8 JSON."""
    return len(json.dumps(value, ensure_ascii=False).encode())


def from_text(text: str) -> Any:
    """What a text result holds: the value of a JSON object or list, else the text itself."""
    if text.lstrip()[:1] in ("{", "["):
        try:
            return strict_json(text)
        except ValueError:
            return text
    return text


def one_line(text: str, limit: int = MAX_ERROR) -> str:
    """The text without line ends, control and direction characters, cut at ``limit`` characters."""
    # a little more than the limit is enough to work on: who wrote the text may have written gigabytes
    line = " ".join(_CONTROLS.sub(" ", text[: 4 * limit]).encode("utf-8", "replace").decode().split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _exact(value: Any, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        raise ValueError(f"nested deeper than {_MAX_DEPTH}")
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _EXACT:
        return str(value)
    if isinstance(value, dict):
        return {_exact(key, depth): _exact(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list):
        return [_exact(inner, depth + 1) for inner in value]
    return value


def _mapping(value: Any) -> Any:
    """For what pydantic does not know: rows of databases and other mappings that are no ``dict``."""
    if isinstance(value, Mapping) or (callable(getattr(value, "keys", None)) and hasattr(value, "__getitem__")):
        return {str(key): value[key] for key in value.keys()}  # noqa: SIM118 - a row iterates over its values
    raise ValueError(f"{type(value).__name__} is not known")
