"""JSON Lines as skillforge reads them: streamed, strict, every error with its file and line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from skillforge.errors import NotFound, Problem, SkillFileError

MAX_LINE_BYTES = 1_048_576


def read_jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """``(line number, object)`` for every non-empty line.

    Raises ``NotFound`` when the file cannot be opened, ``SkillFileError`` at the first line that is not a JSON object.
    """
    try:
        handle = path.open("rb")
    except OSError as exc:
        raise NotFound(f"{path}: cannot be read ({exc.strerror})", hint="check the path") from exc
    with handle:
        number = 0
        while raw := handle.readline(MAX_LINE_BYTES + 1):
            number += 1
            if len(raw) > MAX_LINE_BYTES:
                raise _wrong(path, number, f"the line is longer than {MAX_LINE_BYTES:,} bytes")
            if raw.strip():
                yield number, _parse(path, number, raw)


def _parse(path: Path, number: int, raw: bytes) -> dict[str, Any]:
    try:
        value = json.loads(raw.decode("utf-8"), parse_constant=_refuse, object_pairs_hook=_no_duplicates)
    except (ValueError, RecursionError) as exc:
        raise _wrong(path, number, f"not JSON: {exc}") from exc
    if not isinstance(value, dict):
        raise _wrong(path, number, "must be a JSON object")
    return value


def _wrong(path: Path, number: int, message: str) -> SkillFileError:
    return SkillFileError(str(path), [Problem(message, line=number)])


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice!r} stands twice")
    return value
