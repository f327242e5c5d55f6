"""Canonical JSON and digests: the one way skillforge names content.

The canonical form is RFC 8785 (JCS): sorted keys, shortest numbers, UTF-8, no whitespace.
"""

from __future__ import annotations

import hashlib
import json
from json.encoder import encode_basestring
from typing import Any

import rfc8785

_EXACT = 2**53 - 1  # integers up to here are the same in every reader
_WORDS = {None: "null", True: "true", False: "false"}


def canonical_json(value: Any) -> bytes:
    """RFC 8785 bytes of a JSON value.

    Raises ``ValueError`` for what JSON cannot hold exactly: NaN, infinities, integers beyond 2**53, lone surrogates.
    """
    try:
        return _text(value).encode()
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError) as exc:
        raise ValueError(f"not canonical JSON: {exc}") from exc


def digest(value: Any) -> str:
    """``sha256:<64 hex>`` over the canonical JSON of ``value``."""
    return digest_bytes(canonical_json(value))


def digest_bytes(data: bytes) -> str:
    """``sha256:<64 hex>`` over raw bytes."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _text(value: Any) -> str:
    """What ``rfc8785`` writes, several times as fast. Left to it are floats, keys that UTF-16 may order in another way
    than code points, and whatever may be no JSON at all.
    """
    kind = type(value)
    if kind is str:
        return encode_basestring(value)
    if kind is dict and all(type(key) is str and key.isascii() for key in value):
        parts = []
        for key in sorted(value):  # no comprehension: to Python it would be a second level for each of the value's
            parts.append(f"{encode_basestring(key)}:{_text(value[key])}")
        return "{" + ",".join(parts) + "}"
    if kind is list or kind is tuple:
        return "[" + ",".join(map(_text, value)) + "]"
    if kind is int and -_EXACT <= value <= _EXACT:
        return str(value)
    if kind is bool or value is None:
        return _WORDS[value]
    return rfc8785.dumps(value).decode()


def compact(value: Any) -> str:
    """One-line JSON in the given key order, for prompts and rows (order matters to small models)."""
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "))
