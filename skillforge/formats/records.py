"""The JSON objects of a log file, one after the other, whatever holds them: lines, an array, one document; gzipped too.

A file is read in chunks and never held. What is cut, damaged or too long is one broken record, and reading goes on.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from skillforge.errors import NotFound, UsageError
from skillforge.remotefile import require_plain

MAX_RECORD = 4 * 2**20  # bytes of one record
GZIP_FILE = "the gzip file"  # how a reason begins that concerns all of it
KEPT = 16_384  # bytes of a record that is too long, to show what it was
_CHUNK = 256 * 2**10
_HEAD = 64 * 2**10  # bytes that show what the file is
_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
_SPACE = b" \t\r\n"

# an array stands alone, or in an object as the APIs hand it out: {"data": […]}, {"requests": […]}
_ARRAY = re.compile(rb'\s*(?:\{\s*"(?:data|observations|requests|logs)"\s*:\s*)?\[')
_STRUCTURE = re.compile(rb'["{}\[\]]')
_IN_STRING = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
_OPENING = frozenset(b"{[")
_QUOTE = ord('"')


@dataclass(frozen=True, slots=True)
class Record:
    """One record's bytes, from line ``line`` on. ``broken`` says why it is not whole; then ``raw`` may be its start."""

    line: int
    raw: bytes
    broken: str = ""


def read_records(path: Path, *, most: int | None = None) -> Iterator[Record]:
    """Every record of a file; one longer than ``most`` bytes (default ``MAX_RECORD``) is broken.

    Raises ``NotFound`` where it cannot be opened, ``UsageError`` where it holds no JSON.

    A pipe is refused: a log is read more than once.
    """
    source = _Source(path)
    most = MAX_RECORD if most is None else most
    with source:
        chunks = source.chunks()
        head = b""
        while len(head) < _HEAD and (chunk := next(chunks, b"")):
            head += chunk
        head = head.removeprefix(_BOM)
        first = head.lstrip(_SPACE)
        if first and first[0] not in _OPENING:
            raise UsageError(f"{path}: not JSON", hint="give JSON Lines or a JSON array, also gzipped (.gz)")
        array = _ARRAY.match(head)
        if array is not None and not _is_lines(first):
            yield from _elements(head, array.end(), chunks, source, most)
        elif _is_document(first):
            yield from _elements(head, 0, chunks, source, most)
        else:
            yield from _lines(head, chunks, source, most)
        if source.broken and not source.told:
            yield Record(0, b"", source.broken)


class _Source:
    """A file's bytes, unpacked. ``broken`` says what ended them early; ``told`` that a record carries it already."""

    def __init__(self, path: Path) -> None:
        self.broken = ""
        self.told = False
        try:
            self._plain = require_plain(path).open("rb")
        except OSError as exc:
            raise NotFound(f"{path}: cannot be read ({exc.strerror})", hint="check the path") from exc

    def __enter__(self) -> _Source:
        return self

    def __exit__(self, *failure: object) -> None:
        self._plain.close()

    def chunks(self) -> Iterator[bytes]:
        packed = self._plain.peek(2)[:2] == _GZIP
        stream: IO[bytes] = cast(IO[bytes], gzip.GzipFile(fileobj=self._plain)) if packed else self._plain
        try:
            while chunk := stream.read(_CHUNK):
                yield chunk
        except EOFError:
            self.broken = f"{GZIP_FILE} ends early"
        except (zlib.error, gzip.BadGzipFile):
            self.broken = f"{GZIP_FILE} is damaged from here on"

    def reason(self, otherwise: str) -> str:
        """Why the last record is not whole."""
        self.told = True
        return self.broken or otherwise


def _is_lines(first: bytes) -> bool:
    """Whether the first line is a whole object, as the pages of an API are when a script wrote one a line."""
    line, end, rest = first.partition(b"\n")
    return line.startswith(b"{") and line.rstrip().endswith(b"}") and bool(end and rest.strip())


def _is_document(first: bytes) -> bool:
    """Whether an object is written over several lines: its first line only opens it."""
    line = first.split(b"\n", 1)[0].strip()
    return (
        first.startswith(b"{")
        and b"\n" in first
        and (line == b"{" or bool(re.fullmatch(rb'\{\s*"[^"]*"\s*:\s*[\[{]?', line)))
    )


def _lines(head: bytes, chunks: Iterator[bytes], source: _Source, most: int) -> Iterator[Record]:
    """Every line that is not blank. Of one that is too long only the start is kept."""
    number, rest, dropped = 1, head, False
    chunk: bytes | None = b""
    while chunk is not None:
        *whole, rest = (rest + chunk).split(b"\n") if chunk else rest.split(b"\n")
        for line in whole:
            yield from _line(number, line, dropped, most)
            number, dropped = number + 1, False
        if len(rest) > most:
            rest, dropped = rest[:KEPT], True
        chunk = next(chunks, None)
    for record in _line(number, rest, dropped, most):
        yield Record(number, record.raw, record.broken or (source.reason("") if source.broken else ""))


def _line(number: int, line: bytes, dropped: bool, most: int) -> Iterator[Record]:
    if dropped or len(line) > most:
        yield Record(number, line[:KEPT], _too_long(most))
    elif stripped := line.strip(_SPACE):
        yield Record(number, stripped)


def _elements(head: bytes, start: int, chunks: Iterator[bytes], source: _Source, most: int) -> Iterator[Record]:
    """Every object at the top of an array's inside, found by its braces: what follows a broken one is still read."""
    line = head.count(b"\n", 0, start) + 1
    scan = _Scan(line, most)
    yield from scan.feed(head[start:])
    while not scan.done and (chunk := next(chunks, None)) is not None:
        yield from scan.feed(chunk)
    if scan.depth or scan.in_string:
        reason = _too_long(most) if scan.dropped else source.reason("the record is cut off")
        yield Record(scan.first_line, bytes(scan.record[:KEPT] if scan.dropped else scan.record), reason)


class _Scan:
    """Where objects begin and end in the inside of an array, fed in chunks."""

    def __init__(self, line: int, most: int) -> None:
        self._most = most
        self.line = line  # of the chunk that comes next
        self.first_line = line  # of the record under way
        self.record = bytearray()
        self.depth = 0
        self.in_string = False
        self.dropped = False  # the record grew too long: its start is kept
        self.done = False  # the array's own end was seen
        self._escape = b""  # a backslash that ended a chunk

    def feed(self, chunk: bytes) -> Iterator[Record]:
        chunk = self._escape + chunk
        self._escape = b""
        position = begun = 0
        while not self.done:
            if self.in_string:
                position = _IN_STRING.match(chunk, position).end()  # type: ignore[union-attr]
                if position >= len(chunk) or chunk[position] != _QUOTE:  # the string goes on in the next chunk
                    self._escape, chunk = chunk[position:], chunk[:position]
                    break
                self.in_string = False
                position += 1
                continue
            found = _STRUCTURE.search(chunk, position)
            if found is None:
                break
            position = found.end()
            mark = chunk[position - 1]
            if mark == _QUOTE:
                self.in_string = True
            elif mark in _OPENING:
                if self.depth == 0:
                    begun = position - 1
                    self.first_line = self.line + chunk.count(b"\n", 0, begun)
                self.depth += 1
            elif self.depth == 0:
                self.done = True
            else:
                self.depth -= 1
                if self.depth == 0:
                    yield self._taken(chunk[begun:position])
                    begun = position
        if self.depth:
            self._keep(chunk[begun:])
        self.line += chunk.count(b"\n")

    def _taken(self, piece: bytes) -> Record:
        self._keep(piece)
        record = Record(self.first_line, bytes(self.record), _too_long(self._most) if self.dropped else "")
        self.record.clear()
        self.dropped = False
        return record

    def _keep(self, piece: bytes) -> None:
        if not self.dropped:
            self.record += piece
            if len(self.record) > self._most:
                self.dropped = True
                del self.record[KEPT:]


def _too_long(most: int) -> str:
    return f"the record is longer than {most:,} bytes"
