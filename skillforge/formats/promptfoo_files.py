"""The files a promptfoo config names: read below its folder only, never run."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from skillforge.canonical import compact
from skillforge.casecsv import read_csv
from skillforge.errors import Problem, SkillFileError, UsageError
from skillforge.jsonl import read_jsonl, strict_json
from skillforge.yamlfile import load_yaml

Pointer = tuple[str | int, ...]
Where = Callable[[Pointer], int | None]

FILE = "file://"
MAX_FILE_BYTES = 16 * 1_048_576
MAX_FILES = 1000

_CODE = re.compile(r"\.(?:js|cjs|mjs|ts|cts|mts|py|rb|go|sh)(?::[^/\\]*)?$", re.IGNORECASE)
_GLOB = re.compile(r"[*?\[{]")
_ANCHORS = re.compile(r"aliases|anchors|merge keys")
_WRITE_OUT = "write what it names out in full: yq 'explode(.)' promptfooconfig.yaml > plain.yaml does"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A file's content as JSON values. ``where`` finds the line of a place in it (``None``: unknown)."""

    path: Path
    value: Any
    where: Where


def is_code(name: str) -> bool:
    """Whether promptfoo would run this file instead of reading it."""
    return _CODE.search(name) is not None


class Folder:
    """The folder of a config. What lies outside of it is not read, whatever the config says."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    def files(self, name: str) -> list[Path]:
        """The files a ``file://`` name or a pattern means, sorted. Raises ``UsageError``."""
        bare = name.removeprefix(FILE)
        if re.match(r"[a-z][a-z0-9+.-]+://", bare, re.IGNORECASE):
            raise UsageError(f"{bare[:80]!r} is not a file", hint="save it beside the config and name that")
        if is_code(bare):
            raise UsageError(
                f"{bare!r} is code, and nothing is run", hint="write what it makes to a file, and name that"
            )
        if not _GLOB.search(bare):
            return [self._within(self.root / bare)]
        if bare.startswith("/") or ".." in Path(bare).parts or "{" in bare:
            raise UsageError(f"the pattern {bare!r} cannot be used", hint="* and ? below the config's folder")
        found = sorted(islice((path for path in self.root.glob(bare) if path.is_file()), MAX_FILES + 1))
        if not found or len(found) > MAX_FILES:
            many = "no file" if not found else f"more than {MAX_FILES:,} files"
            raise UsageError(f"{many} like {bare!r} in the config's folder", hint="check the pattern")
        return [self._within(path) for path in found]

    def _within(self, path: Path) -> Path:
        try:
            real = path.resolve()
            if not real.is_relative_to(self.root):
                raise UsageError(f"{path.name!r} lies outside the config's folder", hint="copy it beside the config")
            if not real.is_file():
                raise UsageError(f"{path.relative_to(self.root)}: no such file", hint="check the path")
            if real.stat().st_size > MAX_FILE_BYTES:
                raise UsageError(f"{path.name!r} is larger than {MAX_FILE_BYTES:,} bytes", hint="split it")
        except (OSError, ValueError) as exc:
            raise UsageError(f"{path.name[:80]!r} cannot be read", hint="check the path") from exc
        return real

    def text(self, path: Path) -> str:
        """The text of a file. Raises ``UsageError``."""
        try:
            return path.read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError:
            raise UsageError(f"{path.name}: not UTF-8 text", hint="only text can be a case's input or value") from None
        except OSError as exc:
            raise UsageError(f"{path.name}: cannot be read ({exc.strerror})", hint="check the path") from exc

    def value(self, name: str) -> Any:
        """What one ``file://`` name stands for: JSON and YAML as values, any other file as its text."""
        (path,) = self.files(name)[:1]
        return self.load(path).value if path.suffix.lower() in _STRUCTURED else self.text(path).strip()

    def var(self, path: Path) -> str:
        """What a var that names a file holds: its text, of JSON and YAML the compact JSON (as promptfoo has it)."""
        return compact(self.load(path).value) if path.suffix.lower() in _STRUCTURED else self.text(path).strip()

    def load(self, path: Path) -> Loaded:
        """A YAML or JSON file. Raises ``SkillFileError`` with its line."""
        text = self.text(path)
        if path.suffix.lower() == ".json":
            try:
                return Loaded(path, strict_json(text), lambda _: None)
            except ValueError as exc:
                raise SkillFileError(str(path), [Problem(f"not JSON: {exc}")]) from exc
        try:
            document = load_yaml(text, path=str(path))
        except SkillFileError as exc:
            hint = _WRITE_OUT if any(_ANCHORS.search(problem.message) for problem in exc.problems) else exc.hint
            raise SkillFileError(exc.path, list(exc.problems), hint=hint) from None
        return Loaded(path, document.value, lambda at: place[0] if (place := document.where(at)) else None)

    def tests(self, path: Path) -> Loaded:
        """The tests of a file: a list, CSV rows as mappings of texts."""
        kind = path.suffix.lower()
        if kind in _STRUCTURED:
            loaded = self.load(path)
            return (
                loaded
                if isinstance(loaded.value, list)
                else Loaded(path, [loaded.value], lambda at: loaded.where(at[1:]))
            )
        if kind in (".csv", ".jsonl"):
            rows = list(read_csv(path) if kind == ".csv" else read_jsonl(path))
            lines = [line for line, _ in rows]
            return Loaded(
                path, [row for _, row in rows], lambda at: lines[at[0]] if at and isinstance(at[0], int) else 1
            )
        raise UsageError(f"{path.name}: tests cannot be read from {kind or 'such a file'}", hint="save them as CSV")


_STRUCTURED = (".yaml", ".yml", ".json")
