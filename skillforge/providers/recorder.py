"""Recordings made while models answer: a folder with one file a model, one line a call, written as the answer comes."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from skillforge.errors import NotFound, UsageError
from skillforge.jsonl import MAX_LINE_BYTES, strict_json
from skillforge.messages import Completion, Request
from skillforge.providers.cleaner import Cleaner, CleanText, CleanValue
from skillforge.providers.recording import CallKey, RecordedLine, encode_line, provenance_line
from skillforge.providers.replay import Entry, Replay, read_recording

_SUFFIX = ".jsonl"
_OUR_LINES = (b'{"request": {', b'{"provenance": {')  # how a line of ours begins, whole or torn

_Known = set[tuple[CallKey, str | None]]


class Recorder:
    """Appends every answer to the recording of its model, without secrets.

    ``clean`` and ``clean_text`` are ``Redactor.value`` and ``Redactor.text``; a ``Replay`` with the same answers the
    requests that held the secrets. ``provenance`` and the model's name are the first line of each file. Each line is
    one write, so a killed process leaves whole lines, and a second one may record to the same folder. Not for several
    threads. ``left_out`` counts answers that no recording can hold (see ``recording.encode_line``).
    """

    def __init__(
        self,
        folder: Path,
        *,
        clean: CleanValue,
        clean_text: CleanText,
        provenance: Mapping[str, Any] | None = None,
    ) -> None:
        self.left_out = 0
        self._folder = folder
        self._cleaner = Cleaner(value=clean, text=clean_text)
        self._provenance = dict(provenance or {})
        self._known: dict[Path, _Known] = {}

    def add(self, model_name: str, request: Request, completion: Completion, *, native_tools: bool = True) -> bool:
        """Write one answer; ``False`` where the file already holds one for this request, or cannot hold it.
        ``native_tools`` is what the model's provider says: who replays it must ask in the same way.

        Raises ``UsageError`` when the file cannot be written, ``SkillFileError`` when it holds a wrong line.
        """
        path = recording_file(self._folder, model_name)
        try:
            entry = RecordedLine.of(self._cleaner.request(request), self._cleaner.completion(completion))
            line = encode_line(entry)
            key = (entry.request.key, entry.request.prompt)
        except (ValueError, RecursionError):
            self.left_out += 1
            return False
        if key in self._known.get(path, ()):
            return False
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _locked(path) as handle:
                about = {"model": model_name} if native_tools else {"model": model_name, "native_tools": False}
                return self._append(handle, path, key, line, about)
        except OSError as exc:
            hint = "make room or give another folder; what was recorded so far stays"
            raise UsageError(f"cannot write the recording {path}: {exc.strerror or exc}", hint=hint) from exc

    def _append(
        self, handle: int, path: Path, key: tuple[CallKey, str | None], line: bytes, about: Mapping[str, Any]
    ) -> bool:
        size = _mend(handle)
        if path not in self._known:
            self._known[path] = _keys(path)
        if key in self._known[path]:
            return False
        if size == 0:
            size = _write(handle, provenance_line({**self._provenance, **about}, self._cleaner), size)
        _write(handle, line, size)
        self._known[path].add(key)
        return True


def recording_file(folder: Path, model_name: str) -> Path:
    """Where a folder keeps the recording of one model."""
    return folder / (quote(model_name, safe="", errors="backslashreplace") + _SUFFIX)


def replay_of(
    folder: Path, model_name: str, *, clean: CleanValue | None = None, clean_text: CleanText | None = None
) -> Replay:
    """The recording of one model in a folder, in that model's place. Raises ``NotFound`` where there is none."""
    path = recording_file(folder, model_name)
    if path.is_file():
        return Replay(path, name=model_name, clean=clean, clean_text=clean_text)
    held = sorted(unquote(file.name.removesuffix(_SUFFIX)) for file in folder.glob(f"*{_SUFFIX}"))
    hint = f"it holds {', '.join(held)}" if held else "record one first: the same command with --record DIR"
    raise NotFound(f"{folder} holds no recording of {model_name}", hint=hint)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[int]:
    """The file open for appending, made where it is missing; other processes wait, where the system has locks."""
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "it is not a plain file")
        with contextlib.suppress(ImportError, OSError):  # Windows has none, some network file systems neither
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle
    finally:
        os.close(handle)


def _mend(handle: int) -> int:
    """The file's size once its last line is whole: a torn one is cut, one that lacks only its line end gets it.

    Raises ``OSError`` for an end that no recording has: nothing of ours, so nothing to cut.
    """
    size = os.fstat(handle).st_size
    start = max(0, size - MAX_LINE_BYTES - 1)
    os.lseek(handle, max(start, size - 1), os.SEEK_SET)
    if size == 0 or os.read(handle, 1) == b"\n":
        return size
    os.lseek(handle, start, os.SEEK_SET)
    tail = _read(handle, size - start)
    line_start = tail.rfind(b"\n") + 1
    tail = tail[line_start:]
    try:
        strict_json(tail)
    except ValueError:
        if not any(tail.startswith(head) or head.startswith(tail) for head in _OUR_LINES):
            raise OSError(errno.EINVAL, "its last line is not one of a recording") from None
        os.ftruncate(handle, start + line_start)
        return start + line_start
    return _write(handle, b"\n", size)


def _read(handle: int, count: int) -> bytes:
    found = b""
    while len(found) < count and (chunk := os.read(handle, count - len(found))):
        found += chunk
    return found


def _write(handle: int, data: bytes, size: int) -> int:
    """Append in one write; the new size. What a full disk cut off is taken back, so that no half line stays."""
    if os.write(handle, data) != len(data):
        os.ftruncate(handle, size)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return size + len(data)


def _keys(path: Path) -> _Known:
    return {(row.key, row.line.request.prompt) for row in read_recording(path) if isinstance(row, Entry)}
