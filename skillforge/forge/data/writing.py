"""A data set's folder: written beside its place, then moved there as a whole."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from skillforge.errors import NotFound, Problem, SkillFileError, UsageError
from skillforge.formats.finetune.example import PARTS
from skillforge.formats.finetune.formats import FORMATS
from skillforge.jsonl import strict_json
from skillforge.students.data.card import CARD_FILE, CARD_SCHEMA, README_FILE, DatasetCard

PROVENANCE_FILE, DROPPED_FILE, NOISE_FILE = "provenance.jsonl", "dropped.jsonl", "noise.jsonl"

_MOST_CARD_BYTES = 16_777_216


class NewFolder:
    """``with NewFolder(place) as folder``: what is written into ``folder`` stands at ``place`` when the block ends, and
    nowhere where it raises. An older data set there is replaced; anything else is not. Raises ``UsageError``.
    """

    def __init__(self, place: Path) -> None:
        self._place = place
        mark = secrets.token_hex(4)
        self._made = place.with_name(f".{place.name}.{mark}.new")
        self._old = place.with_name(f".{place.name}.{mark}.old")

    def __enter__(self) -> Path:
        require_free(self._place)
        self._made.parent.mkdir(parents=True, exist_ok=True)
        self._made.mkdir()
        return self._made

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        try:
            if kind is None:
                for path in sorted(self._made.iterdir()):
                    _flush(path)
                if self._place.exists():
                    self._place.rename(self._old)
                self._made.rename(self._place)
        finally:
            if not self._place.exists() and self._old.exists():
                self._old.rename(self._place)
            shutil.rmtree(self._made, ignore_errors=True)
            shutil.rmtree(self._old, ignore_errors=True)


def require_free(place: Path) -> None:
    """Raises ``UsageError`` where something stands that is no data set."""
    if place.is_dir() and not any(place.iterdir()):
        return
    if place.exists() and not is_dataset(place):
        raise UsageError(f"{place}: something else stands there", hint="name another folder: -o FOLDER")


def write_lines(path: Path, lines: Iterable[str]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.writelines(lines)


def json_lines(rows: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    return (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def write_json(path: Path, value: Any) -> None:
    write_lines(path, [json.dumps(value, ensure_ascii=False, indent=2) + "\n"])


def read_card(folder: Path) -> DatasetCard:
    """Raises ``NotFound``, ``SkillFileError``."""
    path = folder / CARD_FILE if folder.is_dir() else folder
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_CARD_BYTES + 1)
    except OSError as exc:
        raise NotFound(
            f"{folder}: no data set there ({exc.strerror})", hint="make one: skillforge dataset build"
        ) from exc
    try:
        return DatasetCard.model_validate(strict_json(data))
    except ValueError as exc:
        raise SkillFileError(str(path), [Problem("is no card of a data set", line=1)]) from exc


def dataset_files(folder: Path) -> list[Path]:
    """Every file that a build may have written there, the card last."""
    targets = [target.file_name(part) for target in FORMATS.values() for part in PARTS]
    return [folder / name for name in (*targets, README_FILE, NOISE_FILE, DROPPED_FILE, PROVENANCE_FILE, CARD_FILE)]


def is_dataset(place: Path) -> bool:
    """Whether a data set's card stands there."""
    try:
        with (place / CARD_FILE).open("rb") as file:
            return CARD_SCHEMA.encode() in file.read(4096)
    except OSError:
        return False


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
