"""The three verdicts as people read them, and counted nouns. Light: the command line imports it at its start."""

from __future__ import annotations

from collections.abc import Mapping

WORDS: Mapping[str, str] = {"pass": "REPLACE", "fail": "KEEP", "inconclusive": "NOT SURE"}


def many(count: int, noun: str) -> str:
    """``1 case``, ``1,200 cases``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
