"""Reading a training file line by line: all its problems with their lines, never more than can be read."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from skillforge.errors import NotFound, Problem
from skillforge.formats.finetune.example import Checked, Part
from skillforge.jsonl import strict_json

MOST_PROBLEMS = 100
MAX_ROW_BYTES = 16_777_216  # longer than any context a trainer has
CHARACTERS_PER_TOKEN = 4
_SHOWN = 40

CheckRow = Callable[[Mapping[str, Any]], list[Problem]]


@dataclass(frozen=True, slots=True)
class FileRules:
    """What a target asks of a whole file. ``advised`` rows are recommended, ``least`` and ``most`` are required."""

    least: int = 1
    advised: int = 0
    most: int | None = None
    max_bytes: int | None = None


def check_jsonl(path: Path, part: Part, rules: FileRules, check_row: CheckRow) -> Checked:
    """Every problem of a JSON Lines file, the first ``MOST_PROBLEMS`` of them. Raises ``NotFound``."""
    problems: list[Problem] = []
    rows = 0
    with opened(path) as handle:
        if rules.max_bytes is not None and (size := path.stat().st_size) > rules.max_bytes:
            problems.append(Problem(f"{size:,} bytes: the target takes {rules.max_bytes:,} at most"))
        for number, raw in _lines(handle):
            rows += 1
            problems += [replace(problem, line=number) for problem in _row(number, raw, check_row)]
            if len(problems) >= MOST_PROBLEMS:
                return Checked(rows, (*problems[:MOST_PROBLEMS], Problem("and maybe more: reading stopped here")))
    return Checked(rows, (*problems, *of_size(rows, part, rules)))


def opened(path: Path) -> BinaryIO:
    """Raises ``NotFound`` where the file cannot be read."""
    try:
        return path.open("rb")
    except OSError as exc:
        raise NotFound(f"{path}: cannot be read ({exc.strerror})", hint="check the path") from exc


def of_size(rows: int, part: Part, rules: FileRules) -> list[Problem]:
    """What is wrong with the number of rows. A validation file needs one."""
    least = rules.least if part == "train" else 1
    if rows < least:
        return [Problem(f"{rows} rows: the target takes no fewer than {least}")]
    if rules.most is not None and rows > rules.most:
        return [Problem(f"{rows:,} rows: the target takes {rules.most:,} at most")]
    if part == "train" and rows < rules.advised:
        return [Problem(f"{rows} rows: the target advises {rules.advised} or more", level="warning")]
    return []


def shown(value: Any) -> str:
    """A hostile key or value in a message: ASCII, short."""
    text = ascii(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def unknown_keys(row: Mapping[str, Any], known: Collection[str], place: str = "") -> list[Problem]:
    """Keys the target does not take."""
    extra = [key for key in row if key not in known]
    return [Problem(f"the target does not take the key {shown(key)}", field=place) for key in extra[:3]]


def _lines(handle: BinaryIO) -> Iterator[tuple[int, bytes]]:
    number = 0
    while raw := handle.readline(MAX_ROW_BYTES + 1):
        number += 1
        yield number, raw
        if len(raw) > MAX_ROW_BYTES:
            return


def _row(number: int, raw: bytes, check_row: CheckRow) -> list[Problem]:
    if len(raw) > MAX_ROW_BYTES:
        return [Problem(f"longer than {MAX_ROW_BYTES:,} bytes; the rest was not read")]
    if number == 1 and raw.startswith(codecs.BOM_UTF8):
        return [Problem("begins with a byte order mark", hint="save it as UTF-8 without one")]
    if not raw.strip():
        return [Problem("an empty line")]
    try:
        row = strict_json(raw)
    except ValueError as exc:
        return [Problem(f"not JSON: {shown(str(exc))}", hint="one whole JSON object a line")]
    return check_row(row) if isinstance(row, dict) else [Problem("must be a JSON object")]
