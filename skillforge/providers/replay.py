"""Answers from a recording instead of a model: ``replay:PATH`` of a .jsonl file or a folder of them."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import anyio.to_thread
from pydantic import ValidationError

from skillforge.canonical import compact
from skillforge.errors import NotFound, Problem, ProviderError, SkillFileError, UnknownRequest
from skillforge.fields import validation_problems
from skillforge.jsonl import read_jsonl
from skillforge.messages import Completion, Cost, Request, Usage
from skillforge.providers.recording import CallKey, RecordedLine, RecordedRequest

_COMPARED_CHARACTERS = 2_000  # of an input, when looking for the nearest recorded one
_SHOWN_CHARACTERS = 80


class Replay:
    """A provider that answers from a recording, which is read at the first call.

    Where a request was recorded several times, its calls get the answers in that order and stay on the last.
    Raises ``SkillFileError`` for a wrong line, ``NotFound`` for no such file, ``UnknownRequest`` for no such answer.
    """

    concurrency = 64

    def __init__(self, path: Path, *, name: str = "") -> None:
        self.name = name or f"replay:{path}"
        self._path = path
        self._recording: _Recording | None = None
        self._reading = threading.Lock()
        self._used: dict[CallKey, int] = {}

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Where the answers come from, as the recording says; of a folder, its files' provenance merged in order."""
        return self._read().provenance

    def fingerprint(self) -> str:
        return f"replay {self._read().sha256}"

    def price(self, usage: Usage) -> Cost:
        return Cost(usd=0.0, basis="a recording costs nothing")

    async def complete(self, request: Request) -> Completion:
        recording = self._recording
        if recording is None:
            recording = await anyio.to_thread.run_sync(self._read)
        try:
            wanted = RecordedRequest.of(request)
            key = wanted.key
        except ValueError as exc:
            raise ProviderError(f"the input of the {request.key.role!r} request cannot be matched: {exc}") from exc
        lines = recording.lines.get(key)
        if lines is None:
            raise _unknown(self.name, wanted, key, recording)
        number = self._used.get(key, 0)
        self._used[key] = number + 1
        return lines[min(number, len(lines) - 1)].completion(self.name)

    async def aclose(self) -> None:
        return None

    def _read(self) -> _Recording:
        with self._reading:  # the first calls arrive together: one of them reads
            recording = self._recording or _Recording(self._path)
            self._recording = recording
            return recording


class _Recording:
    """A recording in memory: its lines by what they answer."""

    def __init__(self, path: Path) -> None:
        self.lines: dict[CallKey, list[RecordedLine]] = {}
        self.provenance: dict[str, Any] = {}
        content = hashlib.sha256()
        for file in _files(path):
            for number, row in read_jsonl(file):
                if set(row) == {"provenance"}:
                    self._note_provenance(file, number, row["provenance"])
                else:
                    key, line = _parse(file, number, row)
                    self.lines.setdefault(key, []).append(line)
            with file.open("rb") as handle:
                content.update(hashlib.file_digest(handle, "sha256").digest())
        self.sha256 = content.hexdigest()

    def _note_provenance(self, file: Path, number: int, value: Any) -> None:
        if number != 1 or not isinstance(value, dict):
            problem = Problem("must be an object in the first line", field="provenance", line=number)
            raise SkillFileError(str(file), [problem])
        self.provenance.update(value)


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    files = sorted(path.glob("*.jsonl"))
    if not files:
        raise NotFound(f"{path}: no .jsonl file in this folder", hint="name a recording: replay:PATH")
    yield from files


def _parse(file: Path, number: int, row: dict[str, Any]) -> tuple[CallKey, RecordedLine]:
    def line_of(location: tuple[str | int, ...]) -> tuple[int, int]:
        return number, 1

    try:
        line = RecordedLine.model_validate(row)
        return line.request.key, line
    except ValidationError as exc:
        raise SkillFileError(str(file), validation_problems(exc, RecordedLine, line_of)) from exc
    except ValueError as exc:
        raise SkillFileError(str(file), [Problem(str(exc), field="request.input", line=number)]) from exc


def _unknown(name: str, wanted: RecordedRequest, key: CallKey, recording: _Recording) -> UnknownRequest:
    shown = _shorten(compact(wanted.input))
    message = f"{name} has no answer for the {wanted.role!r} request with input {shown}"
    found = _nearest(wanted, recording)
    if found is None:
        return UnknownRequest(message + "; the recording is empty", hint="record the answers first")
    neighbour_key, neighbour = found
    different = [part for part in CallKey._fields if getattr(key, part) != getattr(neighbour_key, part)]
    message += f"; the nearest recorded one differs in {' and '.join(different)}"
    return UnknownRequest(
        f"{message}: {_difference(wanted, neighbour, different)}", hint="record this request, or ask the recorded one"
    )


def _nearest(wanted: RecordedRequest, recording: _Recording) -> tuple[CallKey, RecordedRequest] | None:
    """The recorded request most like ``wanted``: same role first, then the likest input, then the same task."""
    from rapidfuzz import fuzz

    text = compact(wanted.input)[:_COMPARED_CHARACTERS]

    def likeness(item: tuple[CallKey, RecordedRequest]) -> tuple[bool, float, bool]:
        key, request = item
        ratio = fuzz.ratio(text, compact(request.input)[:_COMPARED_CHARACTERS])
        return key.role == wanted.role, ratio, key.task == wanted.task

    return max(((key, lines[0].request) for key, lines in recording.lines.items()), key=likeness, default=None)


def _difference(wanted: RecordedRequest, neighbour: RecordedRequest, different: list[str]) -> str:
    parts = []
    if "role" in different:
        parts.append(f"role {neighbour.role!r}")
    if "task" in different:
        parts.append(f"task {neighbour.task[:19]}… instead of {wanted.task[:19]}…")
    if "input" in different:
        parts.append(f"input {_shorten_around_change(compact(neighbour.input), compact(wanted.input))}")
    return ", ".join(parts)


def _shorten_around_change(text: str, other: str) -> str:
    """``text`` shortened to where it first departs from ``other``, so that long documents show their difference."""
    same = next((n for n, (left, right) in enumerate(zip(text, other, strict=False)) if left != right), len(other))
    start = max(0, same - _SHOWN_CHARACTERS // 2)
    return ("…" if start else "") + _shorten(text[start:])


def _shorten(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"
