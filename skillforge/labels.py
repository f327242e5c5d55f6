"""Labels that people gave in ``skillforge review``: a JSON Lines file beside a suite that only ever grows.

``{"id", "expected", "by", "at"}``; of several lines for a case the last one counts. ``first`` is what the person said
before seeing anybody's answer, where that was revised afterwards. ``{"id", "expected": null, "skipped": true}`` says
that nobody could tell: the case stays as its own file has it (``first`` stays too where there was one).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError, model_validator

from skillforge.canonical import digest
from skillforge.case import Case
from skillforge.errors import Problem, SkillFileError, UsageError
from skillforge.fields import validation_problems
from skillforge.jsonl import MAX_LINE_BYTES, read_jsonl, strict_json
from skillforge.messages import Value
from skillforge.remotefile import require_plain

SUFFIX = ".labels.jsonl"
_HINT = f"a suite's labels are a file of their own: labels: file://NAME{SUFFIX}"


class Label(Value):
    """What one person said of one case. ``at`` is UTC, ISO 8601."""

    id: str
    expected: Any = None
    first: Any = None
    by: str = ""
    at: str = ""
    skipped: bool = False

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.skipped != (self.expected is None):
            raise ValueError('a label holds either "expected" or "skipped": true')
        return self

    @property
    def blind(self) -> Any:
        """The answer given before anybody else's was seen."""
        return self.expected if self.first is None else self.first


def read_labels(path: Path) -> dict[str, Label]:
    """The label that counts of every case, by case id; empty where there is no file yet. A torn last line is left out.

    Raises ``SkillFileError`` with the first line that is no label, ``NotFound`` for what cannot be read.
    """
    if not path.exists():
        return {}
    found: dict[str, Label] = {}
    try:
        for number, row in read_jsonl(require_plain(path)):
            label = _label(row, path, number)
            found[label.id] = label
    except SkillFileError as exc:
        if exc.problems[0].line != _torn_line(path):
            raise
    return found


def with_labels(cases: Iterable[Case], labels: Mapping[str, Label]) -> list[Case]:
    """The cases, each with what people said of it as ``expected``."""
    told = {name: label.expected for name, label in labels.items() if not label.skipped}
    return [case.model_copy(update={"expected": told[case.id]}) if case.id in told else case for case in cases]


def append_label(path: Path, label: Label) -> None:
    """Add one line; when this returns it is on the disk. A line that a killed process left torn is cut off first.

    Raises ``UsageError`` for a label longer than a line may be, ``OSError``.
    """
    said = label.model_dump(exclude_defaults=True)
    line = json.dumps({"id": label.id, "expected": None, **said}, ensure_ascii=False).encode() + b"\n"
    if len(line) > MAX_LINE_BYTES:
        raise UsageError(f"a label longer than {MAX_LINE_BYTES:,} bytes", hint="give a shorter answer")
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
    try:
        _lock(handle)
        size = _mended(handle, path)
        if os.write(handle, line) != len(line):
            os.ftruncate(handle, size)  # a full disk: no half line stays
            raise OSError(28, os.strerror(28), str(path))
        os.fsync(handle)
    finally:
        os.close(handle)


def _lock(handle: int) -> None:
    """Until the file is closed: else one person's half-written line would look torn to another."""
    try:
        import fcntl
    except ImportError:  # Windows
        return
    fcntl.flock(handle, fcntl.LOCK_EX)


def _label(row: Mapping[str, Any], path: Path, number: int) -> Label:
    try:
        digest(dict(row))
        return Label.model_validate(row)
    except ValidationError as exc:
        problems = validation_problems(exc, Label, lambda _: (number, 1))
        raise SkillFileError(str(path), problems, hint=_HINT) from exc
    except ValueError as exc:
        raise SkillFileError(str(path), [Problem(str(exc), line=number)], hint=_HINT) from exc


def _torn_line(path: Path) -> int | None:
    """The number of the last line where it has no end and is no JSON: its writer was killed."""
    count, tail = 0, b""
    with path.open("rb") as handle:
        while chunk := handle.readline(MAX_LINE_BYTES + 1):
            count, tail = count + 1, chunk
    return count if tail and not tail.endswith(b"\n") and not _is_json(tail) else None


def _mended(handle: int, path: Path) -> int:
    """The file's size once it ends in a whole line."""
    size = os.fstat(handle).st_size
    start = max(0, size - MAX_LINE_BYTES - 1)
    os.lseek(handle, start, os.SEEK_SET)
    end = os.read(handle, size - start)
    tail = end[end.rfind(b"\n") + 1 :]
    if not tail:
        return size
    if _is_json(tail):
        os.write(handle, b"\n")
        return size + 1
    if not b'{"id": '.startswith(tail[:7]):
        raise UsageError(f"{path}: its last line is no label", hint=_HINT)
    os.ftruncate(handle, size - len(tail))
    return size - len(tail)


def _is_json(data: bytes) -> bool:
    try:
        strict_json(data)
    except ValueError:
        return False
    return True
