"""Writes JSON values as YAML for people: block style, literal blocks for long text, short leaf mappings in one line.

Whatever is written here is read back equal by ``skillforge.yamlfile.load_yaml``, and read alike by YAML 1.1 readers.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from skillforge.errors import UsageError
from skillforge.fields import pointer as field_name
from skillforge.hygiene import hidden_text
from skillforge.yamlscalar import MAX_BYTES, MAX_DEPTH, MAX_INT

Pointer = tuple[str | int, ...]

_STEP = 2
_FLOW_WIDTH = 100  # a leaf mapping or list that fits in this many columns stays on one line
_LONGEST_SIMPLE_KEY = 500  # libyaml wants an implicit key within 1,024 characters

# Plain only where no reader can see anything but text: starts like a word, holds no indicator that could end it.
_PLAIN = re.compile(r"""[^\W\d_](?:[^\x00-\x1f\x7f:#]|:(?=[^\s:])|(?<=[^\s])#)*""")
_FLOW_INDICATORS = re.compile(r"[,\[\]{}:?#&*!|>'\"%@`]")
_WORDS = re.compile(r"(?:y|yes|n|no|on|off|true|false|null)", re.IGNORECASE)  # YAML 1.1 made booleans of some of these
# What a stream may not hold raw, and the line breaks of YAML 1.1.
_ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_RAW_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_INVISIBLE = re.compile(r"[^\x20-\x7e]")


def dump_yaml(value: Any, *, header: str = "") -> str:
    """``value`` as one YAML document, key order kept. ``header`` is written above it as comment lines.

    Raises ``UsageError`` for what the loader would refuse: no JSON value, deeper than 32 levels, larger than 1 MiB.
    """
    _refuse_unwritable(value, ())
    if _RAW_UNSAFE.search(header) or hidden_text(header):
        raise UsageError("the header holds control characters", hint="use plain text")
    comments = "".join((line if line.startswith("#") else f"# {line}".rstrip()) + "\n" for line in header.splitlines())
    body = _block(value, 0) if isinstance(value, dict | list) and value else _scalar_or_flow(value) + "\n"
    text = comments + body
    if len(text.encode()) > MAX_BYTES:
        raise UsageError(f"would be larger than {MAX_BYTES:,} bytes of YAML", hint="move long lists to a file")
    return text


def _refuse_unwritable(value: Any, at: Pointer) -> None:
    if isinstance(value, dict | list):
        if len(at) >= MAX_DEPTH:
            raise UsageError(f"nested deeper than {MAX_DEPTH} levels", hint="flatten it")
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(value, dict):
                _refuse_scalar(key, at, wanted=(str,))
            _refuse_unwritable(inner, (*at, key))
    else:
        _refuse_scalar(value, at, wanted=(str, int, float, bool, type(None)))


def _refuse_scalar(value: Any, at: Pointer, *, wanted: tuple[type, ...]) -> None:
    where = field_name(at) or "the value"
    if type(value) not in wanted:
        raise UsageError(f"{where}: cannot write {type(value).__name__} as YAML", hint="JSON values only")
    if isinstance(value, int) and abs(value) > MAX_INT:
        raise UsageError(f"{where}: an integer beyond 2**53", hint="make it text")
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"{where}: {value} is not a JSON number")
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as exc:
            raise UsageError(f"{where}: holds half a character (U+{ord(value[exc.start]):04X})") from exc


def _block(value: dict[str, Any] | list[Any], indent: int) -> str:
    """A non-empty collection, every line indented by at least ``indent``."""
    pad = " " * indent
    if isinstance(value, dict):
        return "".join(f"{pad}{_key(key, pad)}:{_after(inner, indent)}" for key, inner in value.items())
    parts = []
    for inner in value:
        if isinstance(inner, dict | list) and inner and _flow(inner, indent + _STEP) is None:
            nested = _block(inner, indent + _STEP)
            parts.append(f"{pad}- {nested[indent + _STEP :]}")
        else:
            parts.append(f"{pad}-{_after(inner, indent)}")
    return "".join(parts)


def _key(key: str, pad: str) -> str:
    text = _string(key)
    return text if len(text) <= _LONGEST_SIMPLE_KEY else f"? {text}\n{pad}"


def _after(value: Any, indent: int) -> str:
    """What follows ``key:`` or ``-``, with its line break. ``indent`` is that of the key or the dash."""
    if isinstance(value, dict | list):
        flow = _flow(value, indent + _STEP)
        return f" {flow}\n" if flow is not None else f"\n{_block(value, indent + _STEP)}"
    if isinstance(value, str) and _fits_literal(value):
        return f" {_literal(value, indent + _STEP)}"
    return f" {_scalar_or_flow(value)}\n"


def _flow(value: dict[str, Any] | list[Any], indent: int) -> str | None:
    """One line for an empty collection or a short one of scalars (and short lists of scalars); else ``None``."""
    members = value.values() if isinstance(value, dict) else value
    for member in members:
        nested = isinstance(member, dict | list)
        if nested and (isinstance(value, list) or isinstance(member, dict)) and member:
            return None
        if nested and (len(member) > _FLOW_WIDTH or any(isinstance(inner, dict | list) for inner in member)):
            return None
        if isinstance(member, str) and ("\n" in member or len(member) > _FLOW_WIDTH):
            return None
    if len(value) > _FLOW_WIDTH:
        return None
    text = _scalar_or_flow(value)
    return text if not value or len(text) + indent <= _FLOW_WIDTH else None


def _scalar_or_flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_string(key, flow=True)}: {_flow_item(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow_item(item) for item in value) + "]"
    return _string(value) if isinstance(value, str) else json.dumps(value)


def _flow_item(value: Any) -> str:
    return _string(value, flow=True) if isinstance(value, str) else _scalar_or_flow(value)


def _string(text: str, *, flow: bool = False) -> str:
    plain = (
        _PLAIN.fullmatch(text) is not None
        and not _WORDS.fullmatch(text)
        and not text[-1].isspace()
        and not text.endswith(":")
        and not (flow and _FLOW_INDICATORS.search(text))
        and not _ESCAPED.search(text)
        and not hidden_text(text)
    )
    return text if plain else _quoted(text)


def _quoted(text: str) -> str:
    """Double quotes, with JSON's escapes (all of them are YAML's too) and ours for what a reader could not see."""
    body = json.dumps(text, ensure_ascii=False)
    return (_INVISIBLE if hidden_text(text) else _ESCAPED).sub(_escape, body)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"


def _fits_literal(text: str) -> bool:
    return "\n" in text and text.strip() != "" and not _RAW_UNSAFE.search(text) and not hidden_text(text)


def _literal(text: str, indent: int) -> str:
    """A literal block. The indentation is spelled out where the first line could not show it."""
    ending = "-" if not text.endswith("\n") else "+" if text.endswith("\n\n") else ""
    indicator = str(_STEP) if text[0] in " \t\n" else ""
    lines = text.removesuffix("\n").split("\n")
    pad = " " * indent
    return f"|{indicator}{ending}\n" + "".join(f"{pad}{line}\n" if line else "\n" for line in lines)
