"""Answers from a recording instead of a model: ``replay:PATH`` of a .jsonl file or a folder of them, or a store's URL.

Among the lines of the same role, task and input

1. those recorded with exactly this prompt answer first,
2. else those that name no prompt (written by hand): they answer any wording,
3. else, for the role ``solve`` only, any line: what the teacher was asked is the task itself, and its wording may
   change with the contract.

A recording made without token probabilities answers requests that want some, and the other way round: what a model
answers is the same. Everything else is an ``UnknownRequest``: a student that saw another skill would have answered
something else. Several lines of one kind answer in the order they were recorded, the last one from then on.

A recording made without secrets (see ``Recorder``) answers requests that hold them: with ``clean``, each rule looks
for the request as it is, then for the request as it was cleaned.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import anyio.to_thread
from pydantic import ValidationError

from skillforge.canonical import compact
from skillforge.errors import NotFound, Problem, ProviderError, SkillFileError, UnknownRequest
from skillforge.fields import validation_problems
from skillforge.jsonl import read_jsonl
from skillforge.messages import Completion, Cost, Request, Usage
from skillforge.providers.cleaner import Cleaner, CleanText, CleanValue
from skillforge.providers.recording import CallKey, RecordedLine, RecordedRequest
from skillforge.remotefile import RemoteFile

_COMPARED_CHARACTERS = 2_000  # of an input, when looking for the nearest recorded one
_SHOWN_CHARACTERS = 80
_ANY_WORDING = "solve"  # the role whose prompt is the task itself


class Entry(NamedTuple):
    """One line of a recording and what it is looked up by."""

    key: CallKey
    line: RecordedLine


class Replay:
    """A provider that answers from a recording, which is read at the first call.

    ``clean`` and ``clean_text`` are what the recording was cleaned with (``clean`` alone does for texts too).
    Raises ``SkillFileError`` for a wrong line, ``NotFound`` for no such file, ``UnknownRequest`` for no such answer.
    """

    concurrency = 64

    def __init__(
        self,
        path: Path | RemoteFile,
        *,
        name: str = "",
        clean: CleanValue | None = None,
        clean_text: CleanText | None = None,
    ) -> None:
        self.name = name or f"replay:{path}"
        self._path = path
        self._cleaner = Cleaner.of(clean, clean_text)
        self._recording: _Recording | None = None
        self._reading = threading.Lock()
        self._used: dict[tuple[CallKey, str], int] = {}

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Where the answers come from, as the recording says; of a folder, its files' provenance merged in order."""
        return self._read().provenance

    @property
    def native_tools(self) -> bool:
        """Whether the recorded model called tools, or wrote its calls as JSON: its recording says so."""
        return self.provenance.get("native_tools") is not False

    @property
    def outdated(self) -> bool:
        """Whether the recording was changed since it was read."""
        return self._recording is not None and self._recording.stamp != _stamp(self._path)

    def answers_role(self, role: str) -> bool:
        """Whether it holds any answer to a question in that role (``solve#2``: the teacher asked a second time)."""
        return any(key.role == role for key in self._read().lines)

    def fingerprint(self) -> str:
        return f"replay {self._read().sha256}"

    def price(self, usage: Usage) -> Cost:
        return Cost(usd=0.0, basis="a recording costs nothing")

    async def complete(self, request: Request) -> Completion:
        recording = self._recording
        if recording is None:
            recording = await anyio.to_thread.run_sync(self._read)
        try:
            found, asked = self._find(recording, request)
        except ValueError as exc:
            raise ProviderError(f"the input of the {request.key.role!r} request cannot be matched: {exc}") from exc
        if found is None:
            raise _unknown(self._label, asked, recording)
        place, lines = found
        number = self._used.get(place, 0)
        self._used[place] = number + 1
        return lines[min(number, len(lines) - 1)].completion(self.name)

    async def aclose(self) -> None:
        return None

    @property
    def _label(self) -> str:
        return self.name if self.name.startswith("replay:") else f"the recording {self._path} of {self.name}"

    def _find(self, recording: _Recording, request: Request) -> tuple[_Found | None, _Asked]:
        """The answers, and what was asked in a form that may be shown."""
        raw = _Asked.of(request)
        if raw.exact(recording):
            return _choose(recording, [raw]), raw
        other = request.model_copy(update={"logprobs": not request.logprobs})
        asked = [raw, _Asked.of(other)]
        if self._cleaner is None:
            return _choose(recording, asked), raw
        clean = _Asked.of(self._cleaner.request(request))
        if clean != raw:
            asked += [clean, _Asked.of(self._cleaner.request(other))]
        return _choose(recording, asked), clean

    def _read(self) -> _Recording:
        with self._reading:  # the first calls arrive together: one of them reads
            recording = self._recording or _Recording(self._path)
            self._recording = recording
            return recording


class _Recording:
    """A recording in memory: its lines by what they answer."""

    def __init__(self, path: Path | RemoteFile) -> None:
        self.lines: dict[CallKey, list[RecordedLine]] = {}
        self.provenance: dict[str, Any] = {}
        self.stamp = _stamp(path)  # before it is read: a change meanwhile counts
        content = hashlib.sha256()
        for file in _files(path):
            for row in read_recording(file):
                if isinstance(row, Entry):
                    self.lines.setdefault(row.key, []).append(row.line)
                else:
                    self.provenance.update(row)
            with file.open("rb") as handle:
                content.update(hashlib.file_digest(handle, "sha256").digest())
        self.sha256 = content.hexdigest()


_Found = tuple[tuple[CallKey, str], list[RecordedLine]]


class _Asked(NamedTuple):
    key: CallKey
    request: RecordedRequest

    @classmethod
    def of(cls, request: Request) -> _Asked:
        """Raises ``ValueError`` when the input is not canonical JSON."""
        wanted = RecordedRequest.of(request)
        return cls(wanted.key, wanted)

    def exact(self, recording: _Recording) -> list[RecordedLine]:
        """The lines recorded with this very prompt."""
        return [line for line in recording.lines.get(self.key, ()) if line.request.prompt == self.request.prompt]


def read_recording(file: Path | RemoteFile) -> Iterator[Entry | dict[str, Any]]:
    """The lines of one recording, streamed; its provenance as a dictionary.

    A last line that was cut off while it was written is left out. Raises ``SkillFileError`` for any other wrong line,
    ``NotFound`` when the file cannot be opened.
    """
    for number, row in _rows(file):
        if set(row) != {"provenance"}:
            yield _parse(file, number, row)
        elif number == 1 and isinstance(row["provenance"], dict):
            yield row["provenance"]
        else:
            problem = Problem("must be an object in the first line", field="provenance", line=number)
            raise SkillFileError(str(file), [problem])


def _rows(file: Path | RemoteFile) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        yield from read_jsonl(file)
    except SkillFileError as exc:
        if not _is_torn(file, exc.problems[0].line):
            raise


def _is_torn(file: Path | RemoteFile, line: int | None) -> bool:
    """Whether this is the last line and has no end."""
    last, number = b"", 0
    with file.open("rb") as handle:
        while chunk := handle.read(1 << 20):
            number += chunk.count(b"\n")
            last = chunk[-1:]
    return last != b"\n" and line == number + 1


def _choose(recording: _Recording, asked: Sequence[_Asked]) -> _Found | None:
    """The lines that answer by the first rule that finds any (see the module), and the name of their queue."""
    for item in asked:
        if same := item.exact(recording):
            return (item.key, str(item.request.prompt)), same
    for key, _ in asked:
        if by_hand := [line for line in recording.lines.get(key, ()) if line.request.prompt is None]:
            return (key, "by hand"), by_hand
    for key, request in asked:
        if request.role == _ANY_WORDING and (lines := recording.lines.get(key)):
            return (key, "any"), lines
    return None


def _stamp(path: Path | RemoteFile) -> list[tuple[str, int, int]]:
    """Names, times and sizes of a recording's files; empty where they cannot be looked at, also in a store."""
    try:
        told = [(str(file), file.stat()) for file in _files(path) if isinstance(file, Path)]
    except (OSError, NotFound):
        return []
    return [(name, status.st_mtime_ns, status.st_size) for name, status in told]


def _files(path: Path | RemoteFile) -> Iterator[Path | RemoteFile]:
    if isinstance(path, RemoteFile) or not path.is_dir():
        yield path
        return
    files = sorted(path.glob("*.jsonl"))
    if not files:
        raise NotFound(f"{path}: no .jsonl file in this folder", hint="name a recording: replay:PATH")
    yield from files


def _parse(file: Path | RemoteFile, number: int, row: dict[str, Any]) -> Entry:
    def line_of(location: tuple[str | int, ...]) -> tuple[int, int]:
        return number, 1

    try:
        line = RecordedLine.model_validate(row)
        return Entry(line.request.key, line)
    except ValidationError as exc:
        raise SkillFileError(str(file), validation_problems(exc, RecordedLine, line_of)) from exc
    except ValueError as exc:
        raise SkillFileError(str(file), [Problem(str(exc), field="request.input", line=number)]) from exc


def _unknown(name: str, asked: _Asked, recording: _Recording) -> UnknownRequest:
    key, wanted = asked
    shown = _shorten(compact(wanted.input))
    message = f"{name} has no answer for the {wanted.role!r} request with input {shown}"
    if key in recording.lines:
        return UnknownRequest(
            f"{message} and this prompt; it has one for another prompt: the skill, the student's frame or the limits"
            " changed since",
            hint="record again: the same command with --record DIR",
        )
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
