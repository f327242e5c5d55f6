"""Replacing a file in one step: a reader, a kill or a full disk sees the old file whole or the new one."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

LEFTOVER = ".new"  # how the name of a file ends that a killed process left beside its target


def replace_file(path: Path, data: bytes) -> None:
    """Write ``data`` beside ``path``, flush it to the disk, rename. Content that stands there already is left alone."""
    with suppress(OSError):
        if path.read_bytes() == data:
            return
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}{LEFTOVER}")
    try:
        # not tempfile: its files are private, and what is committed is not
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):
            beside.chmod(path.stat().st_mode & 0o777)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
