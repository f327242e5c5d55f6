"""The files of a repository as a purge reads them: which there are, their lines, their texts."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from skillforge.errors import SkillFileError
from skillforge.forge.erase.concern import Concern
from skillforge.yamlfile import load_yaml

_FOLDERS = ("evals", "skills")
_SKIPPED = {".git", ".venv", "node_modules", "__pycache__"}
_WINDOW = 1 << 20
_WRITTEN = {".yaml", ".yml", ".md", ".txt"}  # where lines are broken and indented by hand
_WRITTEN_BYTES = 4 << 20


def repository_files(root: Path) -> Iterator[Path]:
    """No link is followed, but that of a whole folder of ours: production data may be kept elsewhere so."""
    yield from all_files(root)
    for folder in (root / name for name in _FOLDERS):
        if folder.is_symlink() and folder.is_dir():
            yield from all_files(folder)


def all_files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_symlink() or path.name in _SKIPPED:
            continue
        if path.is_dir():
            yield from all_files(path)
        else:
            yield path


def holds(path: Path, concern: Concern) -> bool:
    """Whether one of the forms stands in the file, read window by window with an overlap."""
    overlap = max((len(form.encode("utf-8", "surrogatepass")) for form in concern.forms), default=1) - 1
    with path.open("rb") as handle:
        tail = b""
        while block := handle.read(_WINDOW):
            window = tail + block
            if concern.in_bytes(window):
                return True
            tail = window[-overlap:] if overlap else b""
    return False


def is_written_with(path: Path, concern: Concern) -> bool:
    return path.suffix in _WRITTEN and path.stat().st_size <= _WRITTEN_BYTES and concern.in_words(text_of(path))


def rows_of(path: Path) -> Iterator[Any]:
    for line in lines_of(path):
        yield json_of(line)


def lines_of(path: Path) -> Iterator[str]:
    """Lines as JSON Lines has them: a text may hold what Python takes for the end of a line."""
    return io.StringIO(text_of(path), newline="\n")


def json_of(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def written(path: Path) -> str:
    """A YAML file as JSON: its texts as they are, however they are quoted and folded there."""
    try:
        return json.dumps(load_yaml(path.read_bytes(), path=str(path)).value, ensure_ascii=False)
    except (SkillFileError, ValueError, RecursionError):
        return text_of(path)


def text_of(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "surrogateescape")
