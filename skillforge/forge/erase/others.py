"""What others said too: a text of a subject that is not theirs alone shows nothing of whose a line is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skillforge.canonical import digest
from skillforge.forge.erase.concern import Concern, conversation_of, names, subject_of, texts_in

_QUOTED = 3  # others in whose lines a text stands: once or twice it may be a quotation, then it is a phrase
_UNNAMED = 20  # different inputs of nobody with a field of that value: then it is a constant, such as a policy


class Others:
    """Finds, among the texts of a ``Concern``, those that stand in what is others' too. They are in ``shared``.

    What another subject said in the very same words is theirs too. What stands somewhere in the lines of three of them
    is a phrase, and the same value of a field in twenty different inputs that name nobody is a constant.
    """

    def __init__(self, concern: Concern) -> None:
        self.shared: set[str] = set()
        self._subject = concern.subject
        self._texts = set(concern.texts)
        self._quoted: dict[str, set[str]] = {}
        self._unnamed: dict[str, set[str]] = {}

    def add_row(self, row: Any) -> None:
        """A JSON object of a file: a case, a recorded call, an event."""
        if not isinstance(row, Mapping) or names(row, self._subject):
            return
        if whom := subject_of(row) or conversation_of(row):
            self.add(whom, row)
        else:
            self.add_unnamed(row.get("input"))

    def add(self, whom: str, value: Any) -> None:
        """What another subject said, or what was said of them."""
        texts = [text.strip() for text in texts_in(value)]
        self._share(self._texts.intersection(texts))
        said = "\0".join(texts)
        for text in [text for text in self._texts if text in said]:
            self._quoted.setdefault(text, set()).add(whom)
            if len(self._quoted[text]) >= _QUOTED:
                self._share({text})

    def add_unnamed(self, given: Any) -> None:
        """An input that is nobody's as far as is known."""
        if not isinstance(given, Mapping):
            return
        found = {value.strip() for value in given.values() if isinstance(value, str)} & self._texts
        for text in found:
            try:
                self._unnamed.setdefault(text, set()).add(digest(given))
            except ValueError:  # no input of ours
                continue
            if len(self._unnamed[text]) >= _UNNAMED:
                self._share({text})

    def _share(self, texts: set[str]) -> None:
        self.shared |= texts
        self._texts -= texts
