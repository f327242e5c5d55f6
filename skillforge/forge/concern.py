"""Whom or what a purge is about: how a line, a row or a file is recognised as holding it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from skillforge.canonical import canonical_json
from skillforge.redact import forms_of

SHORTEST = 12  # characters of a text that is searched for wherever it stands: a shorter one would be found in others'
NAMED = 6  # characters of a subject's id that is searched for so


@dataclass
class Concern:
    """The subject's id, and what is known to be theirs: whole ``inputs``, long ``texts``, ids of ``cases`` by suite.

    ``common`` are texts that stand in many inputs and are nobody's.
    """

    subject: str
    common: frozenset[str] = frozenset()
    texts: set[str] = field(default_factory=set)
    inputs: set[str] = field(default_factory=set)
    cases: set[tuple[str, str]] = field(default_factory=set)
    _forms: dict[str, None] = field(default_factory=dict)

    def learn_input(self, given: Any) -> None:
        """An input that is theirs as a whole, and every text in it that is long enough to be theirs alone."""
        with suppress(ValueError):  # no input of ours: only its texts can be found again
            self.inputs.add(canonical_json(given).decode())
        self.learn_texts(given)

    def learn_texts(self, value: Any) -> None:
        for text in texts_in(value):
            if len(text.strip()) >= SHORTEST and text not in self.common:
                self.texts.add(text.strip())
                for form in (*forms_of(text), *forms_of(text.strip())):
                    self._forms[form] = None

    @property
    def forms(self) -> list[str]:
        """The texts as they stand in a text, in JSON and in a URL, and the subject's id."""
        named = list(forms_of(self.subject)) if len(self.subject) >= NAMED else []
        return [*dict.fromkeys([*named, *self._forms])]

    def in_words(self, text: str) -> bool:
        """Whether one of the texts stands there word by word, however its lines are broken and indented."""
        words = " ".join(text.split())
        return any(" ".join(theirs.split()) in words for theirs in self.texts)

    def in_text(self, text: str) -> bool:
        return any(form in text for form in self.forms)

    def in_row(self, suite: str, row: Any) -> bool:
        """Whether one JSON object of a file is theirs. ``suite`` is the name before the file's first dot."""
        if not isinstance(row, Mapping):
            return False
        if names(row, self.subject):
            return True
        if (suite, str(row.get("id", row.get("case", "")))) in self.cases:
            return True
        # the same text may be written with other escapes than those of its forms
        if any(theirs in text for text in texts_in(row) for theirs in self.texts):
            return True
        if subject_of(row):  # somebody else said the same few words
            return False
        asked = row.get("request")
        given = asked.get("input") if isinstance(asked, Mapping) and "input" in asked else row.get("input")
        try:
            return given is not None and canonical_json(given).decode() in self.inputs
        except ValueError:
            return False


def names(row: Mapping[str, Any], subject: str) -> bool:
    """Whether a case says of itself that it is about the subject, or comes from that conversation."""
    metadata = row.get("metadata")
    places = (row, metadata) if isinstance(metadata, Mapping) else (row,)
    return any(subject in (told.get("subject"), told.get("conversation")) for told in places)


def subject_of(row: Mapping[str, Any]) -> str:
    """The subject that a case is about; empty where it says none."""
    metadata = row.get("metadata")
    return str((metadata.get("subject") if isinstance(metadata, Mapping) else None) or row.get("subject") or "")


def texts_in(value: Any) -> Iterator[str]:
    """Every text in a JSON value, keys left out; a text that is JSON itself is looked into."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            yield item
            if item.lstrip()[:1] in ("{", "["):
                try:
                    stack.append(json.loads(item))
                except (ValueError, RecursionError):
                    continue
        elif isinstance(item, Mapping):
            stack.extend(item.values())
        elif isinstance(item, list | tuple):
            stack.extend(item)
