"""JSON Lines as skillforge reads them: streamed, strict, every error with its file and line."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal, NoReturn, Protocol

from skillforge.errors import NotFound, Problem, SkillFileError

MAX_LINE_BYTES = 1_048_576
ONE_A_LINE = "write one whole JSON object a line"


class Readable(Protocol):
    """What lines are read from: a path, or a file in a store. ``str()`` of it names it in errors."""

    def open(self, mode: Literal["rb"]) -> BinaryIO: ...


def read_jsonl(path: Path | Readable) -> Iterator[tuple[int, dict[str, Any]]]:
    """``(line number, object)`` for every non-empty line; a byte order mark before the first is skipped.

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
            if number == 1:
                raw = raw.removeprefix(codecs.BOM_UTF8)
            if len(raw) > MAX_LINE_BYTES:
                raise _wrong(path, number, f"the line is longer than {MAX_LINE_BYTES:,} bytes")
            if raw.strip():
                yield number, _parse(path, number, raw)


def strict_json(data: bytes | str) -> Any:
    """A JSON value; UTF-8 only, no NaN or Infinity, no key twice, no half surrogates. Raises ``ValueError``."""
    text = data if isinstance(data, str) else data.decode("utf-8")
    try:
        value = json.loads(text, parse_constant=_refuse, object_pairs_hook=_no_duplicates)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError as exc:
        raise ValueError("nested too deeply") from exc
    except UnicodeEncodeError as exc:
        raise ValueError("it holds half a surrogate pair, which is no text") from exc
    return value


def _parse(path: Path | Readable, number: int, raw: bytes) -> dict[str, Any]:
    try:
        value = strict_json(raw)
    except ValueError as exc:
        raise _wrong(path, number, f"not JSON: {exc}", hint=ONE_A_LINE) from exc
    if not isinstance(value, dict):
        raise _wrong(path, number, "must be a JSON object", hint=ONE_A_LINE)
    return value


def _wrong(path: Path | Readable, number: int, message: str, hint: str = "") -> SkillFileError:
    return SkillFileError(str(path), [Problem(message, line=number, hint=hint)])


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice!r} stands twice")
    return value
