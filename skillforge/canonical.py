"""Canonical JSON and digests: the one way skillforge names content.

The canonical form is RFC 8785 (JCS): sorted keys, shortest numbers, UTF-8, no whitespace.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import rfc8785


def canonical_json(value: Any) -> bytes:
    """RFC 8785 bytes of a JSON value.

    Raises ``ValueError`` for what JSON cannot hold exactly: NaN, infinities, integers beyond 2**53, lone surrogates.
    """
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError) as exc:
        raise ValueError(f"not canonical JSON: {exc}") from exc


def digest(value: Any) -> str:
    """``sha256:<64 hex>`` over the canonical JSON of ``value``."""
    return digest_bytes(canonical_json(value))


def digest_bytes(data: bytes) -> str:
    """``sha256:<64 hex>`` over raw bytes."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def compact(value: Any) -> str:
    """One-line JSON in the given key order, for prompts and rows (order matters to small models)."""
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "))
