"""The last words of a process: its stderr, kept off the terminal, of which only the end is remembered."""

from __future__ import annotations

import os
import threading

from skillforge.tools.plain import one_line

_KEPT = 4_096  # bytes
_SETTLE_S = 0.2  # a process that died has written all of it by then


class Tail:
    """A pipe that is always read, so that nobody who writes to ``writer`` has to wait."""

    def __init__(self) -> None:
        reader, writer = os.pipe()
        self.writer = os.fdopen(writer, "w", encoding="utf-8")
        self._kept = b""
        self._ended = threading.Event()
        threading.Thread(target=self._drain, args=(reader,), daemon=True, name="skillforge-stderr").start()

    def text(self, limit: int) -> str:
        """The end of what was written, in one line of at most ``limit`` characters."""
        self.close()
        self._ended.wait(_SETTLE_S)
        return one_line(self._kept.decode("utf-8", "replace")[-limit:], limit)

    def close(self) -> None:
        """Ours is no longer among those who may write; it ends when the last process does."""
        if not self.writer.closed:
            self.writer.close()

    def _drain(self, reader: int) -> None:
        with os.fdopen(reader, "rb", buffering=0) as pipe:
            while chunk := pipe.read(65_536):
                self._kept = (self._kept + chunk)[-_KEPT:]
        self._ended.set()
