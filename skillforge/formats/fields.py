"""What log formats say in many ways: times, durations, tags, ids, servers, JSON inside of a text."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from skillforge.providers.wires import reading

_SHORTEST_ID = 16  # characters: a shorter id is a row's number, which other files have too
_LONGEST_ID = 200
_MOST_USD = 100_000  # of one call
_MOST_TAGS = 32
_MOST_TAG = 200  # characters
_ENDPOINT = re.compile(r"/+(?:v1/messages|messages|chat/completions|responses)/*$")


def first(record: Mapping[str, Any], *names: str) -> Any:
    """The first of the named values that says something; ``None`` where none does."""
    return next((record[name] for name in names if record.get(name) not in (None, "", [], {})), None)


def text(record: Mapping[str, Any], *names: str) -> str:
    """The same as a text; a number is one too."""
    found = first(record, *names)
    return str(found) if isinstance(found, int) and not isinstance(found, bool) else reading.text(found)


def number(value: Any) -> float | None:
    """A finite number, also one written as a text; ``None`` for anything else."""
    try:
        found = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def dollars(value: Any) -> float | None:
    """What one call cost; ``None`` for what no call can cost."""
    found = number(value)
    return found if found is not None and 0 <= found <= _MOST_USD else None


def when(value: Any) -> str:
    """A time in UTC, ISO 8601 with milliseconds, from such a text or from seconds, milliseconds, micro- or
    nanoseconds since 1970. A time without a zone is UTC. Empty for what is no time.
    """
    count = number(value)
    try:
        if count is not None:
            while count > 1e11:  # the year 5138 in seconds
                count /= 1000
            moment = datetime.fromtimestamp(count, UTC)
        else:
            told = datetime.fromisoformat(reading.text(value))
            moment = (told if told.tzinfo else told.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return ""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds(start: str, end: str) -> float | None:
    """How long it was between two times as ``when`` writes them."""
    if not start or not end:
        return None
    length = (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
    return length if length >= 0 else None


def tags(value: Any) -> dict[str, str]:
    """Tags from an object, or from a list of ``name:value``, ``name=value`` or bare names (whose value is ``true``)."""
    found: dict[str, str] = {}
    if isinstance(value, Mapping):
        pairs = [(str(key), inner) for key, inner in value.items() if isinstance(inner, str | int | float)]
    else:
        told = [item for item in reading.items(value) if isinstance(item, str)]
        split = [re.split(r"\s*[:=]\s*", item, maxsplit=1) for item in told]
        pairs = [(pair[0], pair[1] if len(pair) == 2 else "true") for pair in split]
    for key, inner in pairs[:_MOST_TAGS]:
        shown = str(inner).lower() if isinstance(inner, bool) else str(inner)
        if name := reading.text(key)[:_MOST_TAG]:
            found[name] = reading.text(shown)[:_MOST_TAG]
    return found


def own_id(value: Any, otherwise: str) -> str:
    """The record's own id where it is one that no other record has, else ``otherwise``."""
    said = reading.text(value)
    return said if _SHORTEST_ID <= len(said) <= _LONGEST_ID else otherwise


def server(url: Any) -> str:
    """A server's base address from any address at it: no user, password, query, nor what is asked there."""
    try:
        parts = urlsplit(reading.text(url)[:1000])
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return ""
    return f"{parts.scheme}://{parts.hostname}{port}{_ENDPOINT.sub('', parts.path).rstrip('/')}"


def unpacked(value: Any) -> Any:
    """The JSON value in a text that holds an object or a list; everything else as it is."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return reading.parsed(value)
        except ValueError:
            return value
    return value
