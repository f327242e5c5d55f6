"""The repository's own files in a purge: cases, labels, recordings, examples, snapshots, what was put aside."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from skillforge.atomicfile import replace_file
from skillforge.config import STATE_FOLDER
from skillforge.errors import SkillFileError
from skillforge.forge.erase.concern import Concern, names
from skillforge.forge.erase.others import Others
from skillforge.forge.suites.places import suite_places
from skillforge.skillfile import read_skill, skill_path, write_skill

_FOLDERS = ("evals", "skills")
_ASIDE = ("failed", "quarantine")  # below .skillforge
_SKIPPED = {".git", ".venv", "node_modules", "__pycache__"}
_WINDOW = 1 << 20
_WRITTEN = {".yaml", ".yml", ".md", ".txt"}  # where lines are broken and indented by hand
_WRITTEN_BYTES = 4 << 20


class FilePurge:
    """Takes lines and files out. ``lines`` counts by path, ``removed`` are the files that went whole; with ``dry_run``
    both say what would be done.
    """

    def __init__(self, root: Path, dry_run: bool) -> None:
        self.lines: Counter[str] = Counter()
        self.removed: list[str] = []
        self._root = root
        self._dry_run = dry_run
        self._places = suite_places(root / "evals")

    def learn(self, concern: Concern) -> None:
        """Find the cases that name the subject, and learn their inputs, labels and ids."""
        for path in self._jsonl():
            for row in _rows(path):
                if isinstance(row, dict) and names(row, concern.subject):
                    if row.get("id"):
                        concern.cases.add((self._suite(path), str(row["id"])))
                    concern.learn_input(row.get("input"))

    def ask_others(self, concern: Concern, others: Others) -> None:
        """Find what of the learnt texts others said too, in the lines that would go."""
        for path in self._jsonl():
            for line in _lines(path):
                row = _json(line)
                if concern.in_line(self._suite(path), line, row):
                    others.add_row(row)

    def erase_examples(self, concern: Concern, *, named_too: bool = True) -> None:
        """Take their examples out of the skill files."""
        for path in self._jsonl():
            if path.is_relative_to(self._root / "skills"):
                self._lines_of(path, concern, named_too)
        for folder in sorted((self._root / "skills").glob("*")):
            if skill_path(folder).is_file():
                self._examples_of(folder, concern)

    def snapshots(self, concern: Concern) -> Iterator[tuple[str, int]]:
        """(skill, number) of the deployed versions that hold a text of theirs."""
        for path in sorted(self._root.glob("skills/*/deployed/*.json")):
            if path.stem.isdecimal() and concern.in_text(_text(path)):
                yield path.parent.parent.name, int(path.stem)

    def erase(self, concern: Concern, *, named_too: bool = True) -> None:
        """Take out all that is theirs; without ``named_too`` the lines stay that name the subject."""
        self.erase_examples(concern, named_too=named_too)
        for path in self._jsonl():
            if not path.is_relative_to(self._root / "skills"):
                self._lines_of(path, concern, named_too)
        snapshots = self._root.glob("skills/*/deployed/*.json")
        evidence = self._root.glob("skills/*/evidence/*.json")
        for path in sorted([*snapshots, *evidence, *self._aside()]):
            if path.suffix != ".jsonl" and concern.in_text(_text(path)):
                self._remove(path)

    def older_than(self, moment: float) -> None:
        """Remove what was put aside before a moment (seconds of the epoch)."""
        for path in self._aside():
            if path.stat().st_mtime < moment:
                self._remove(path)

    def _lines_of(self, path: Path, concern: Concern, named_too: bool) -> None:
        kept, gone = [], 0
        for line in _lines(path):
            row = _json(line)
            waits = not named_too and isinstance(row, dict) and names(row, concern.subject)
            if not waits and concern.in_line(self._suite(path), line, row):
                gone += 1
            else:
                kept.append(line)
        if gone:
            self.lines[self._named(path)] += gone
            if not self._dry_run:
                replace_file(path, "".join(kept).encode("utf-8", "surrogateescape"))

    def _examples_of(self, folder: Path, concern: Concern) -> None:
        """Examples that stand in skill.yaml itself; those in a file of their own went with its lines."""
        try:
            skill = read_skill(folder).skill
        except SkillFileError:
            return  # a text that stands in it is told in the end
        items = skill.examples.items
        kept = tuple(item for item in items if not concern.in_row(folder.name, item.model_dump()))
        kept = tuple(item for item in kept if not concern.in_text(json.dumps(item.model_dump(), ensure_ascii=False)))
        if len(kept) < len(items):
            self.lines[self._named(skill_path(folder))] += len(items) - len(kept)
            if not self._dry_run:
                write_skill(
                    skill.model_copy(update={"examples": skill.examples.model_copy(update={"items": kept})}), folder
                )

    def _remove(self, path: Path) -> None:
        self.removed.append(self._named(path))
        if not self._dry_run:
            path.unlink(missing_ok=True)

    def _jsonl(self) -> Iterator[Path]:
        """Wherever they are: recordings and logs may be in any folder."""
        found = {path for path in _repository_files(self._root) if path.suffix == ".jsonl"} | set(self._places.files)
        yield from sorted(path for path in found if path.is_file() and not path.is_symlink())

    def _aside(self) -> list[Path]:
        folders = [self._root / STATE_FOLDER / name for name in _ASIDE]
        return [path for folder in folders if folder.is_dir() for path in _all_files(folder)]

    def _suite(self, path: Path) -> str:
        """Whose lines these are: ``mood`` of ``mood.jsonl``, ``mood.today.jsonl``, or of what ``mood.yaml`` names."""
        return self._places.files.get(path, path.name.partition(".")[0])

    def _named(self, path: Path) -> str:
        return str(path.relative_to(self._root)) if path.is_relative_to(self._root) else str(path)


def leftovers(root: Path, database: Path, concern: Concern) -> list[str]:
    """Every file that still holds one of the texts, of the repository (git's own and the registry left out) and of its
    suites; and the files in object stores, which are not looked at.
    """
    places = suite_places(root / "evals")
    registry = {database.with_name(database.name + ending).resolve() for ending in ("", "-wal", "-shm")}
    files = (
        path for path in (*_repository_files(root), *places.files) if path.is_file() and path.resolve() not in registry
    )
    found = [path for path in files if _holds(path, concern) or _is_written_with(path, concern)]
    named = [str(path.relative_to(root)) if path.is_relative_to(root) else str(path) for path in dict.fromkeys(found)]
    return [*named, *(f"{url} (not looked at)" for url in places.stores)]


def _repository_files(root: Path) -> Iterator[Path]:
    """No link is followed, but that of a whole folder of ours: production data may be kept elsewhere so."""
    yield from _all_files(root)
    for folder in (root / name for name in _FOLDERS):
        if folder.is_symlink() and folder.is_dir():
            yield from _all_files(folder)


def _all_files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_symlink() or path.name in _SKIPPED:
            continue
        if path.is_dir():
            yield from _all_files(path)
        else:
            yield path


def _holds(path: Path, concern: Concern) -> bool:
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


def _is_written_with(path: Path, concern: Concern) -> bool:
    return path.suffix in _WRITTEN and path.stat().st_size <= _WRITTEN_BYTES and concern.in_words(_text(path))


def _rows(path: Path) -> Iterator[Any]:
    for line in _lines(path):
        yield _json(line)


def _lines(path: Path) -> Iterator[str]:
    """Lines as JSON Lines has them: a text may hold what Python takes for the end of a line."""
    return io.StringIO(_text(path), newline="\n")


def _json(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "surrogateescape")
