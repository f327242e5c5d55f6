"""The repository's own files in a purge: cases, labels, recordings, examples, snapshots, what was put aside."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TypeVar

from skillforge.atomicfile import replace_file
from skillforge.config import STATE_FOLDER
from skillforge.errors import SkillforgeError
from skillforge.forge.erase.concern import Concern, names
from skillforge.forge.erase.derived import Derived, Learned
from skillforge.forge.erase.others import Others
from skillforge.forge.erase.repository_files import (
    all_files,
    holds,
    is_written_with,
    json_of,
    lines_of,
    repository_files,
    rows_of,
    text_of,
    written,
)
from skillforge.forge.suites.places import suite_places
from skillforge.skill import Skill
from skillforge.skillfile import read_skill, skill_path, write_skill
from skillforge.variant import VARIANTS_FOLDER, Variant
from skillforge.variantfile import read_variant, write_variant

_ASIDE = ("failed", "quarantine")  # below .skillforge

_Shown = TypeVar("_Shown", Skill, Variant)


class FilePurge:
    """Takes lines and files out. ``lines`` counts by path, ``removed`` are the files that went whole; with ``dry_run``
    both say what would be done.
    """

    def __init__(self, root: Path, dry_run: bool, redact: Callable[[str], str]) -> None:
        self.lines: Counter[str] = Counter()
        self.removed: list[str] = []
        self._root = root
        self._dry_run = dry_run
        self._derived = Derived(root, redact)
        self._places = suite_places(root / "evals")

    def learn(self, concern: Concern) -> None:
        """Find the cases that name the subject, and learn their inputs, labels and ids."""
        for path in self._jsonl():
            for row in rows_of(path):
                if isinstance(row, dict) and names(row, concern.subject):
                    if row.get("id"):
                        concern.cases.add((self._suite(path), str(row["id"])))
                    concern.learn_input(row.get("input"))

    def ask_others(self, concern: Concern, others: Others) -> None:
        """Find what of the learnt texts others said too, in the lines that would go."""
        for path in self._jsonl():
            for line in lines_of(path):
                row = json_of(line)
                if concern.in_line(self._suite(path), line, row):
                    others.add_row(row)

    def erase_examples(self, concern: Concern, *, named_too: bool = True) -> None:
        """Take their examples out of the skill files and of the variants beside them."""
        for path in self._jsonl():
            if path.is_relative_to(self._root / "skills"):
                self._lines_of(path, concern, named_too)
        for folder in sorted((self._root / "skills").glob("*")):
            if skill_path(folder).is_file():
                self._examples_of(folder, concern)

    def snapshots(self, concern: Concern) -> Iterator[tuple[str, str]]:
        """(skill, stem) of the deployed contents that hold a text of theirs: ``3`` is a version, ``3-0f1e…`` the form
        of it that a model with a variant runs.
        """
        for path in sorted(self._root.glob("skills/*/deployed/*.json")):
            if concern.in_text(text_of(path)):
                yield path.parent.parent.name, path.stem

    def learned(self, concern: Concern) -> list[Learned]:
        """The classifiers that learned from a text of theirs."""
        return list(self._derived.encoders(concern))

    def erase(self, concern: Concern, learned: Collection[Learned] = (), *, named_too: bool = True) -> None:
        """Take out all that is theirs; without ``named_too`` the lines stay that name the subject."""
        for path in [*self._derived.datasets(concern), *(path for item in learned for path in item.files)]:
            self._remove(path)
        self.erase_examples(concern, named_too=named_too)
        for path in self._jsonl():
            if not path.is_relative_to(self._root / "skills"):
                self._lines_of(path, concern, named_too)
        snapshots = self._root.glob("skills/*/deployed/*.json")
        evidence = self._root.glob("skills/*/evidence/*.json")
        for path in sorted([*snapshots, *evidence, *self._aside()]):
            if path.suffix != ".jsonl" and concern.in_text(text_of(path)):
                self._remove(path)

    def older_than(self, moment: float) -> None:
        """Remove what was put aside before a moment (seconds of the epoch)."""
        for path in self._aside():
            if path.stat().st_mtime < moment:
                self._remove(path)

    def _lines_of(self, path: Path, concern: Concern, named_too: bool) -> None:
        kept, gone = [], 0
        for line in lines_of(path):
            row = json_of(line)
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
        variants = sorted((folder / VARIANTS_FOLDER).glob("*.yaml"))
        try:
            skill = read_skill(folder).skill
        except SkillforgeError:  # a text that stands in it is told in the end
            for path in variants:
                self._unless_clean(path, concern)
            return
        tuned = {path: _variant(path, skill) for path in variants}  # they may name its examples
        left = _without(skill, folder.name, concern)
        if left != skill:
            self._shortened(skill_path(folder), skill, left)
            if not self._dry_run:
                write_skill(left, folder)
        for path, variant in tuned.items():
            kept = None if variant is None else _without(variant, folder.name, concern)
            if variant is None or kept is None or concern.in_text(_dumped(kept)):
                self._unless_clean(path, concern)
            elif _count(variant) and not _count(kept):
                self._remove(path)  # of what it was chosen for nothing is left
            elif kept != variant:
                self._shortened(path, variant, kept)
                if not self._dry_run:
                    write_variant(kept, folder, left)

    def _shortened(self, path: Path, before: Skill | Variant, after: Skill | Variant) -> None:
        self.lines[self._named(path)] += _count(before) - _count(after)

    def _unless_clean(self, path: Path, concern: Concern) -> None:
        """A variant that holds a text of theirs elsewhere than in its examples goes whole."""
        if concern.in_text(written(path)):
            self._remove(path)

    def _remove(self, path: Path) -> None:
        self.removed.append(self._named(path))
        if not self._dry_run:
            path.unlink(missing_ok=True)
            if path.parent in self._derived.folders and not any(path.parent.iterdir()):
                path.parent.rmdir()

    def _jsonl(self) -> Iterator[Path]:
        """Wherever they are: recordings and logs may be in any folder."""
        found = {path for path in repository_files(self._root) if path.suffix == ".jsonl"} | set(self._places.files)
        found -= self._derived.files  # they go whole
        yield from sorted(path for path in found if path.is_file() and not path.is_symlink())

    def _aside(self) -> list[Path]:
        folders = [self._root / STATE_FOLDER / name for name in _ASIDE]
        return [path for folder in folders if folder.is_dir() for path in all_files(folder)]

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
        path for path in (*repository_files(root), *places.files) if path.is_file() and path.resolve() not in registry
    )
    found = [path for path in files if holds(path, concern) or is_written_with(path, concern)]
    named = [str(path.relative_to(root)) if path.is_relative_to(root) else str(path) for path in dict.fromkeys(found)]
    return [*named, *(f"{url} (not looked at)" for url in places.stores)]


def _variant(path: Path, skill: Skill) -> Variant | None:
    """``None`` for a file that is no variant of this skill."""
    try:
        return read_variant(path, skill)
    except SkillforgeError:
        return None


def _without(shown: _Shown, suite: str, concern: Concern) -> _Shown:
    """A skill or a variant without their examples."""
    if shown.examples is None:
        return shown
    items = shown.examples.items
    kept = tuple(item for item in items if not concern.in_row(suite, item.model_dump()))
    kept = tuple(item for item in kept if not concern.in_text(json.dumps(item.model_dump(), ensure_ascii=False)))
    if len(kept) == len(items):
        return shown
    return shown.model_copy(update={"examples": shown.examples.model_copy(update={"items": kept})})


def _count(shown: Skill | Variant) -> int:
    return 0 if shown.examples is None else len(shown.examples.items)


def _dumped(variant: Variant) -> str:
    return json.dumps(variant.model_dump(mode="json"), ensure_ascii=False)
