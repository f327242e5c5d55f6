"""Reading a folder that somebody else made: bounded, no link followed, nothing but plain files opened."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from skillforge.errors import NotFound, Problem, SkillFileError

# The limits of the Agent Skills extension of MCP (SEP-2640).
MAX_FILES = 512
MAX_TOTAL_BYTES = 16 * 1_048_576
MAX_FOLDERS = 512


def list_folder(folder: Path) -> dict[str, bool]:
    """Every file below ``folder`` by its path there, sorted; ``True`` for a plain file, ``False`` for a link or a
    device, which nobody opens.

    Raises ``NotFound`` where there is no such folder, ``SkillFileError`` for more than 512 files or folders or 16 MiB.
    """
    found: dict[str, bool] = {}
    total, folders, pending = 0, 0, [""]
    while pending:
        below = pending.pop()
        folders += 1
        try:
            with os.scandir(folder / below) as entries:
                for entry in entries:
                    name = f"{below}{entry.name}"
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(f"{name}/")
                        continue
                    details = entry.stat(follow_symlinks=False)
                    found[name] = stat.S_ISREG(details.st_mode)
                    total += details.st_size
                    _refuse_beyond(folder, len(found), folders + len(pending), total)
        except OSError as exc:
            wrong = f"{folder / below}: cannot be read ({exc.strerror})"
            raise NotFound(wrong, hint="give the folder that holds SKILL.md") from exc
        _refuse_beyond(folder, len(found), folders + len(pending), total)
    return dict(sorted(found.items()))


def _refuse_beyond(folder: Path, files: int, folders: int, total: int) -> None:
    hint = "give the skill's own folder"
    if files > MAX_FILES or folders > MAX_FOLDERS:
        raise SkillFileError(str(folder), [Problem(f"holds more than {MAX_FILES} files or folders", hint=hint)])
    if total > MAX_TOTAL_BYTES:
        raise SkillFileError(str(folder), [Problem(f"holds more than {MAX_TOTAL_BYTES:,} bytes", hint=hint)])


def read_plain(file: Path, limit: int) -> bytes:
    """The bytes of a plain file. Raises ``NotFound``, or ``SkillFileError`` for a link, a device, or over ``limit``."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    if file.is_symlink():
        raise SkillFileError(str(file), [Problem("is a link, and links are not followed", hint="copy the file here")])
    try:
        with open(os.open(file, flags), "rb") as handle:
            if not stat.S_ISREG(os.fstat(handle.fileno()).st_mode):
                raise SkillFileError(str(file), [Problem("is no plain file")])
            data = handle.read(limit + 1)
    except OSError as exc:
        raise NotFound(f"{file}: cannot be read ({exc.strerror})", hint="check the path") from exc
    if len(data) > limit:
        raise SkillFileError(str(file), [Problem(f"longer than {limit:,} bytes", hint="move parts to other files")])
    return data
