"""Cases from a CSV file: one a row, the columns named by the header.

Columns: ``id``, ``split``, ``cluster``, ``expected`` (the whole label) or ``expected.FIELD``, ``metadata.KEY``, and
``input.FIELD`` or any other name for a field of the input. A cell is text, read by the contract where there is one: a
field of another type is JSON (``3``, ``true``, ``["a"]``). Without a contract only JSON objects and arrays are read as
JSON: whether 007 or 7 is a number, nobody can tell from a cell. An empty cell is the empty text where the contract
says text or says nothing, and nothing at all elsewhere; an empty label is no label.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skillforge.errors import NotFound, Problem, SkillFileError
from skillforge.jsonl import MAX_LINE_BYTES, Readable, strict_json
from skillforge.suggest import did_you_mean

SUFFIX = ".csv"
_PLAIN = ("id", "split", "cluster")
_SHOWN = 60
_QUOTES = 'a cell that holds a comma, a line break or a quote stands in "double quotes", with "" for a quote in it'


@dataclass(frozen=True, slots=True)
class _Column:
    """Where a cell goes: to ``part`` of the case (``input``, ``expected`` …), there to ``field`` (``None``: all of it).

    ``schema`` is what the contract says of it, ``None`` where there is no contract.
    """

    title: str
    part: str
    field: str | None = None
    schema: Mapping[str, Any] | None = None


def read_csv(path: Path | Readable) -> Iterator[tuple[int, dict[str, str]]]:
    """``(line, {column: cell})`` for every row that is not empty, streamed; the line is the row's first, from 1.

    UTF-8 with or without a byte order mark. Raises ``NotFound``; ``SkillFileError`` at the first line that is no CSV,
    has another number of cells than the header, or is longer than 1 MiB.
    """
    csv.field_size_limit(max(csv.field_size_limit(), MAX_LINE_BYTES))
    try:
        handle = path.open("rb")
    except OSError as exc:
        raise NotFound(f"{path}: cannot be read ({exc.strerror})", hint="check the path") from exc
    with handle:
        text = io.TextIOWrapper(handle, encoding="utf-8-sig", newline="")
        lines = _Lines(text)
        rows = csv.reader(lines, strict=True)
        header: list[str] | None = None
        start = 1
        try:
            for cells in rows:
                line, start = start, rows.line_num + 1
                lines.row = 0
                if not any(cells):
                    continue
                if header is None:
                    header = _header(path, line, cells)
                    continue
                if len(cells) != len(header):
                    wrong = f"{len(cells)} cells, and the header names {len(header)} columns"
                    raise _wrong(path, line, wrong, _QUOTES)
                yield line, dict(zip(header, cells, strict=True))
        except csv.Error as exc:
            raise _wrong(path, start, f"not CSV: {exc}", _QUOTES) from exc
        except UnicodeDecodeError as exc:
            raise _wrong(path, start, f"not UTF-8: {exc.reason}", "save it as CSV UTF-8") from exc
    if header is None:
        raise _wrong(path, 1, "the file is empty", "its first line names the columns: id,input.text,expected")


def csv_rows(path: Path | Readable, contract: Mapping[str, Any] | None) -> Iterator[tuple[int, dict[str, Any]]]:
    """``(line, case as in a JSON Lines file)`` for every row. ``contract`` is a suite's (``input`` and ``output``).

    Raises what ``read_csv`` raises, and ``SkillFileError`` for a column that is none or a cell of the wrong type.
    """
    columns: list[_Column] | None = None
    for line, cells in read_csv(path):
        if columns is None:
            columns = _columns(str(path), list(cells), contract)
        case: dict[str, Any] = {"input": {}}
        for column in columns:
            _put(case, column, cells[column.title], str(path), line)
        yield line, case


class _Lines:
    """Lines of bounded length, and rows too: a quote that is never closed must not read a whole file into memory."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self.row = 0  # characters of the row that is being read

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._text.readline(MAX_LINE_BYTES + 1)
        if not line:
            raise StopIteration
        self.row += len(line)
        if self.row > MAX_LINE_BYTES:
            raise csv.Error(f"a row longer than {MAX_LINE_BYTES:,} characters, or a quote that is not closed")
        return line


def _header(path: Path | Readable, line: int, cells: list[str]) -> list[str]:
    names = [cell.strip() for cell in cells]
    if len(names) == 1 and (other := next((mark for mark in (";", "\t") if mark in names[0]), "")):
        shown = "tabs" if other == "\t" else f"{other!r}"
        raise _wrong(path, line, f"the columns are separated by {shown}", "save it with commas")
    if "" in names:
        hint = "every column has a name in the first line"
        raise _wrong(path, line, f"column {names.index('') + 1} has no name", hint)
    twice = next((name for index, name in enumerate(names) if name in names[:index]), None)
    if twice is not None:
        raise _wrong(path, line, f"the column {twice[:_SHOWN]!r} stands twice", "keep one")
    return names


def _columns(path: str, titles: list[str], contract: Mapping[str, Any] | None) -> list[_Column]:
    contract = contract or {}
    columns = [_column(path, title, contract.get("input"), contract.get("output")) for title in titles]
    if not any(column.part == "input" for column in columns):
        hint = "every column but id, expected, split, cluster and metadata.KEY is a field of the input"
        raise _wrong(path, 1, "no column holds an input", hint)
    places = [(column.part, column.field) for column in columns]
    for index, (part, field) in enumerate(places):
        if (part, field) in places[:index]:
            raise _wrong(path, 1, f"the {part} field {field!r} has two columns", "keep one", titles[index])
    if ("expected", None) in places and any(part == "expected" and field is not None for part, field in places):
        raise _wrong(path, 1, "the label stands in expected and in expected.FIELD", "keep one form", "expected")
    return columns


def _column(path: str, title: str, given: Any, answered: Any) -> _Column:
    if title in _PLAIN:
        return _Column(title, title)
    part, dot, field = title.partition(".")
    if part == "metadata" and field:
        return _Column(title, "metadata", field)
    if title == "expected":
        schema = None if answered is None else {"type": "string"} if answered == "text" else {"type": "object"}
        return _Column(title, "expected", None, schema)
    if part == "expected" and field:
        if answered == "text":
            raise _wrong(path, 1, "the contract's output is text", "name the column expected", title)
        return _Column(title, "expected", field, _schema(path, title, field, answered))
    name = field if part == "input" and dot and field else title
    return _Column(title, "input", name, _schema(path, title, name, given))


def _schema(path: str, title: str, field: str, fields: Any) -> Mapping[str, Any] | None:
    if not isinstance(fields, Mapping):
        return None
    if field not in fields:
        known = [*fields, "id", "expected", "split", "cluster"]
        raise _wrong(path, 1, f"the contract has no field {field[:_SHOWN]!r}", did_you_mean(field, known), title)
    schema = fields[field]
    return schema if isinstance(schema, Mapping) else None


def _put(case: dict[str, Any], column: _Column, cell: str, path: str, line: int) -> None:
    if column.part in _PLAIN:
        if cell:
            case[column.part] = cell
        return
    if column.part == "metadata":
        if cell:
            case.setdefault("metadata", {})[column.field] = cell
        return
    if not cell and (column.part == "expected" or not _may_be_text(column.schema) or _optional(column.schema)):
        return
    value = _typed(column, cell, path, line)
    if column.field is None:
        case[column.part] = value
    else:
        case.setdefault(column.part, {})[column.field] = value


def _typed(column: _Column, cell: str, path: str, line: int) -> Any:
    schema = column.schema
    if schema is None:
        return _json_or_text(cell)
    if cell in schema.get("enum", ()) or _kinds(schema) == {"string"}:
        return cell
    try:
        return strict_json(cell)
    except ValueError as exc:
        if _may_be_text(schema):
            return cell
        shown = cell if len(cell) <= _SHOWN else cell[:_SHOWN] + "…"
        wanted = " or ".join(sorted(_kinds(schema)))
        raise _wrong(path, line, f"{shown!r} is not of the type {wanted}", "write it as JSON", column.title) from exc


def _json_or_text(cell: str) -> Any:
    """The object or array a cell holds, else its text."""
    bare = cell.strip()
    if (bare[:1], bare[-1:]) not in (("{", "}"), ("[", "]")):
        return cell
    try:
        return strict_json(bare)
    except ValueError:
        return cell


def _kinds(schema: Mapping[str, Any]) -> set[str]:
    kinds = schema.get("type", "string" if not schema.get("enum") else None)
    return {kinds} if isinstance(kinds, str) else {kind for kind in kinds or () if isinstance(kind, str)}


def _may_be_text(schema: Mapping[str, Any] | None) -> bool:
    return schema is None or not (kinds := _kinds(schema)) or "string" in kinds


def _optional(schema: Mapping[str, Any] | None) -> bool:
    return schema is not None and "default" in schema


def _wrong(path: Any, line: int, message: str, hint: str = "", field: str = "") -> SkillFileError:
    return SkillFileError(str(path), [Problem(message, field=field, line=line, hint=hint)])
