"""Every answer of the tools, written down as it comes: a recording that stands in for them later."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from skillforge.errors import UsageError
from skillforge.jsonl import MAX_LINE_BYTES
from skillforge.messages import Tool
from skillforge.tools.base import ToolBox, ToolOutcome
from skillforge.tools.recorded import CleanValue, RecordedCall


class RecordingTools:
    """Passes calls on and appends what they gave to ``path``, one JSON line each, in one write: a killed process leaves
    whole lines.

    ``clean`` takes secrets out of arguments and contents (``Redactor.value``). ``left_out`` counts calls whose line
    would be longer than a reader takes. Calls that reached no tool are not recorded. Raises ``UsageError`` where the
    file cannot be written.
    """

    def __init__(self, box: ToolBox, path: Path, clean: CleanValue) -> None:
        self.left_out = 0
        self._box = box
        self._path = path
        self._clean = clean
        self._begun = False

    @property
    def tools(self) -> tuple[Tool, ...]:
        return self._box.tools

    @property
    def identity(self) -> str:
        return self._box.identity

    async def call(self, name: str, arguments: dict[str, Any]) -> ToolOutcome:
        if not self._begun:
            self._begin()
            self._begun = True
        outcome = await self._box.call(name, arguments)
        given = self._clean({"arguments": arguments, "content": outcome.content})
        self._append(RecordedCall(tool=name, **given, is_error=outcome.is_error).model_dump())
        return outcome

    async def aclose(self) -> None:
        await self._box.aclose()

    def _begin(self) -> None:
        """A new file starts with what the tools are; an old one loses a line that a killed process left torn."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            size = _mend(self._path)
        except OSError as exc:
            raise self._unwritable(exc) from exc
        if size == 0:
            for tool in self.tools:
                self._append({"declared": self._clean(tool.model_dump())})

    def _append(self, value: dict[str, Any]) -> None:
        line = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        if len(line) > MAX_LINE_BYTES:
            self.left_out += 1
            return
        try:
            handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
            try:
                os.write(handle, line)
            finally:
                os.close(handle)
        except OSError as exc:
            raise self._unwritable(exc) from exc

    def _unwritable(self, error: OSError) -> UsageError:
        message = f"cannot write the recording {self._path}: {error.strerror or error}"
        return UsageError(message, hint="make room or give another file; what was recorded so far stays")


def _mend(path: Path) -> int:
    """The file's size once its last line is whole; 0 where it is missing."""
    if not path.exists():
        return 0
    with path.open("r+b") as handle:
        size = handle.seek(0, os.SEEK_END)
        start = max(0, size - MAX_LINE_BYTES - 1)
        handle.seek(start)
        tail = handle.read()
        torn = tail[tail.rfind(b"\n") + 1 :]
        if torn.startswith((b'{"tool": ', b'{"declared": ')):  # nothing is cut that is not ours
            size -= len(torn)
            handle.truncate(size)
    return size
