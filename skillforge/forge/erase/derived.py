"""What was made of many texts: data sets and classifiers. No text can be taken out of them: they go whole, and are made
again of what is left.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from skillforge.config import SKILLS_FOLDER
from skillforge.errors import SkillforgeError
from skillforge.forge.data.writing import DROPPED_FILE, PROVENANCE_FILE, dataset_files, is_dataset, read_card
from skillforge.forge.erase.concern import Concern
from skillforge.forge.erase.repository_files import holds, json_of, lines_of, repository_files, text_of
from skillforge.students.data.card import CARD_FILE
from skillforge.students.data.personal import mask_text
from skillforge.students.encoder.card import ENCODERS_FOLDER, model_path
from skillforge.students.encoder.card import read_card as read_encoder_card
from skillforge.suitefile import read_suite
from skillforge.yamlfile import load_yaml

_ID = 12  # hex digits of an input's digest in the id of a row that is no case (``forge.data.sources``)


@dataclass(frozen=True, slots=True)
class Learned:
    """A classifier that learned from a text of theirs; ``untold`` is why that cannot be told, empty where it can."""

    skill: str
    name: str
    files: tuple[Path, ...]
    untold: str = ""


class Derived:
    """The data sets and classifiers of a repository. ``redact`` is what data sets are cleaned with."""

    def __init__(self, root: Path, redact: Callable[[str], str]) -> None:
        self._root = root
        self._redact = redact

    @cached_property
    def files(self) -> frozenset[Path]:
        """Every file of a data set."""
        return frozenset(path for folder in self.folders for path in dataset_files(folder))

    def datasets(self, concern: Concern) -> Iterator[Path]:
        """The files of the data sets with a row of theirs, wherever in the repository they are. The card goes last: by
        it a purge that was killed finds the folder again.
        """
        forms = (concern, self._as_written(concern))
        for folder in self.folders:
            present = [path for path in dataset_files(folder) if path.is_file()]
            if any(_in_file(path, form) for path in present for form in forms) or self._by_id(folder, concern):
                yield from present

    def encoders(self, concern: Concern) -> Iterator[Learned]:
        """The classifiers whose suite has a train case of theirs, as it is now, and those of which nothing can be said
        because there is no such suite any more.
        """
        if not (concern.texts or concern.inputs or concern.cases):
            return
        for card in sorted((self._root / SKILLS_FOLDER).glob(f"*/{ENCODERS_FOLDER}/*.json")):
            folder, name = card.parent.parent, card.stem
            files = tuple(path for path in (model_path(folder, name), card) if path.is_file())
            try:
                theirs = self._taught(read_encoder_card(card).suite, concern)
            except SkillforgeError as exc:
                yield Learned(folder.name, name, files, untold=str(exc).partition("\n")[0])
                continue
            if theirs is None:
                yield Learned(folder.name, name, files, untold="its suite is not in evals/")
            elif theirs:
                yield Learned(folder.name, name, files)

    @cached_property
    def folders(self) -> list[Path]:
        """The folders of the data sets."""
        cards = (path for path in repository_files(self._root) if path.name == CARD_FILE)
        return [path.parent for path in cards if is_dataset(path.parent)]

    @cached_property
    def _suites(self) -> dict[str, Path]:
        """Suite files by the names that they give themselves."""
        found = {}
        for path in sorted((self._root / "evals").glob("*.yaml")):
            try:
                body = load_yaml(path.read_bytes(), path=str(path)).value
            except (SkillforgeError, OSError):
                continue
            if isinstance(body, dict):
                found[str(body.get("name"))] = path
        return found

    def _taught(self, suite: str, concern: Concern) -> bool | None:
        """Whether a train case is theirs; ``None`` without that suite. Raises ``SkillforgeError`` as reading does."""
        path = self._suites.get(suite)
        if path is None:
            return None
        rows = (case.model_dump(mode="json") for case in read_suite(path).cases if case.split == "train")
        return any(concern.in_line(path.stem, json.dumps(row, ensure_ascii=False), row) for row in rows)

    def _by_id(self, folder: Path, concern: Concern) -> bool:
        """Whether a row is a case of theirs, or is named by the digest of an input of theirs."""
        try:
            suite = read_card(folder).suite
        except SkillforgeError:
            return False
        stem = self._suites[suite].stem if suite in self._suites else suite
        digests = {hashlib.sha256(given.encode()).hexdigest()[:_ID] for given in concern.inputs}
        for name in (PROVENANCE_FILE, DROPPED_FILE):
            for line in lines_of(folder / name) if (folder / name).is_file() else ():
                row = json_of(line)
                told = str(row.get("id", "")) if isinstance(row, dict) else ""
                if (stem, told) in concern.cases or told.rpartition("-")[2] in digests:
                    return True
        return False

    def _as_written(self, concern: Concern) -> Concern:
        """Their texts as a data set has them: without secrets, and with what is personal masked."""
        clean = {self._redact(text) for text in concern.texts}
        made = Concern(concern.subject, common=concern.common)
        made.learn_texts(sorted((clean | {mask_text(text)[0] for text in clean}) - concern.texts))
        return made


def _in_file(path: Path, concern: Concern) -> bool:
    if path.suffix == ".csv":
        return concern.in_text(text_of(path).replace('""', '"'))
    if path.suffix == ".jsonl":
        return any(concern.in_line("", line, json_of(line)) for line in lines_of(path))
    return holds(path, concern)
