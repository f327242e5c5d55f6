"""The JSON objects of a trajectory file, each with its place, and what cannot be read of it, with the reason."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skillforge.formats.parts import NotACall, sound
from skillforge.formats.records import Record, read_records
from skillforge.trace import Trace

MAX_RECORD = 32 * 2**20  # bytes: a session's line may hold a whole image, a trajectory stands in one document
EXCERPT = 120  # characters


@dataclass(frozen=True, slots=True)
class Quarantined:
    """What could not be read: where it stands (``file:line``), why, and how it begins (one line, at most ``EXCERPT``
    characters, nothing in it that a terminal obeys). Secrets are still in it.
    """

    place: str
    reason: str
    excerpt: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One object of a file. ``number`` is the line it begins on, from 1."""

    file: str
    number: int
    value: dict[str, Any]

    @property
    def place(self) -> str:
        return f"{self.file}:{self.number}"

    def broken(self, reason: object) -> Quarantined:
        """This object, put aside for ``reason``."""
        return Quarantined(self.place, printable(str(reason)), printable(json.dumps(self.value, ensure_ascii=False)))


Item = Trace | Quarantined
Lines = Iterator[Line | Quarantined]


def read_lines(path: Path) -> Lines:
    """Every object of a file: of JSON Lines, of an array, or the one document; gzipped too. Only one is held.

    A record longer than ``MAX_RECORD`` bytes, cut off, or no object is ``Quarantined``, and reading goes on. Raises
    ``NotFound`` where the file cannot be opened, ``UsageError`` where it begins like no JSON.
    """
    empty = True
    for record in read_records(path, most=MAX_RECORD):
        empty = False
        yield _line(str(path), record)
    if empty:
        yield Quarantined(str(path), "the file is empty")


def each(lines: Lines, read: Callable[[Line], Iterator[Item]]) -> Iterator[Item]:
    """What ``read`` makes of every line alone; a line of a wrong shape (``NotACall``) is put aside."""
    for line in lines:
        if isinstance(line, Quarantined):
            yield line
            continue
        try:
            yield from read(line)
        except NotACall as exc:
            yield line.broken(exc)


def printable(text: str, most: int = EXCERPT) -> str:
    """The start of a text on one line, without anything that a terminal obeys."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text[: most * 4])
    shown = " ".join(shown.split())
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


def _line(file: str, record: Record) -> Line | Quarantined:
    try:
        if record.broken:
            raise NotACall(record.broken)
        value = json.loads(record.raw, parse_constant=lambda name: None)
        if not isinstance(value, Mapping):
            raise NotACall("the record is no object")
        return Line(file, record.line, sound(value))
    except json.JSONDecodeError as exc:
        reason = f"not JSON at character {exc.pos:,}: {exc.msg}"
    except NotACall as exc:
        reason = str(exc)
    except RecursionError:
        reason = "nested too deeply"
    except ValueError as exc:  # no UTF-8, a number of thousands of digits
        reason = f"not JSON: {exc}"
    excerpt = record.raw[: EXCERPT * 8].decode("utf-8", "replace")
    return Quarantined(f"{file}:{record.line}", printable(reason), printable(excerpt))
