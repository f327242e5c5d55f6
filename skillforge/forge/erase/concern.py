"""Whom or what a purge is about: how a line, a row or a file is recognised as holding it."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from skillforge.canonical import canonical_json
from skillforge.redact import forms_of

SHORTEST = 12  # characters of a text that is searched for wherever it stands: a shorter one would be found in others'
_START = 32  # characters of a form that are looked for first
_PATTERN_BYTES = 256 << 20
NAMED = 6  # characters of a subject's id that is searched for so


@dataclass
class Concern:
    """The subject's id, and what is known to be theirs: whole ``inputs``, long ``texts``, ids of ``cases`` by suite.

    ``forms`` are the texts as they stand in a text, in JSON and in a URL, and the subject's id. ``common`` are texts
    that stand in many inputs and are nobody's.
    """

    subject: str
    common: frozenset[str] = frozenset()
    texts: set[str] = field(default_factory=set)
    inputs: set[str] = field(default_factory=set)
    cases: set[tuple[str, str]] = field(default_factory=set)
    forms: dict[str, None] = field(default_factory=dict)
    _names: dict[str, re.Pattern[bytes]] = field(default_factory=dict)
    _looked_for: tuple[Any, int] = (None, 0)

    def __post_init__(self) -> None:
        if len(self.subject) >= NAMED:
            self._names = {form: _as_an_id(form) for form in forms_of(self.subject)}
            self.forms.update(dict.fromkeys(self._names))

    def learn_input(self, given: Any) -> None:
        """An input that is theirs as a whole, and every text in it that is long enough to be theirs alone."""
        if not given:  # of an empty one nothing can be said
            return
        with suppress(ValueError):  # no input of ours: only its texts can be found again
            self.inputs.add(canonical_json(given).decode())
        self.learn_texts(given)

    def forget(self, texts: Collection[str]) -> None:
        """These texts are not theirs alone."""
        self.common |= frozenset(texts)
        self.texts.difference_update(texts)
        self.forms = dict.fromkeys([*self._names, *(form for text in self.texts for form in forms_of(text))])

    def learn_texts(self, value: Any) -> None:
        for text in texts_in(value):
            if len(text.strip()) >= SHORTEST and not self.common.intersection((text, text.strip())):
                self.texts.add(text.strip())
                self.forms.update(dict.fromkeys((*forms_of(text), *forms_of(text.strip()))))

    def in_words(self, text: str) -> bool:
        """Whether one of the texts stands there word by word, however its lines are broken and indented."""
        words = " ".join(text.split())
        return any(" ".join(theirs.split()) in words for theirs in self.texts)

    def in_text(self, text: str) -> bool:
        return self.in_bytes(text.encode("utf-8", "surrogatepass"))

    def in_bytes(self, data: bytes) -> bool:
        """Whether one of the forms stands there. Their starts are looked for all at once, in one pass."""
        if not self.forms:
            return False
        if self._looked_for[1] != len(self.forms):
            self._looked_for = (_starts(self.forms), len(self.forms))
        if self._looked_for[0].search(data) is None:
            return False
        return any(
            form.encode("utf-8", "surrogatepass") in data
            and (form not in self._names or self._names[form].search(data) is not None)
            for form in self.forms
        )

    def in_line(self, suite: str, line: str, row: Any) -> bool:
        """Whether a line of a file is theirs, which holds ``row``: it may be escaped otherwise than our forms are."""
        if self.in_text(line) or self.in_row(suite, row):
            return True
        return "\\" in line and any(theirs in text for text in texts_in(row) for theirs in self.texts)

    def in_row(self, suite: str, row: Any) -> bool:
        """Whether one JSON object of a file is theirs. ``suite`` is the name before the file's first dot."""
        if not isinstance(row, Mapping):
            return False
        if names(row, self.subject):
            return True
        if (suite, str(row.get("id", row.get("case", "")))) in self.cases:
            return True
        if subject_of(row):  # somebody else said the same few words
            return False
        asked = row.get("request")
        given = asked.get("input") if isinstance(asked, Mapping) and "input" in asked else row.get("input")
        try:
            return given is not None and canonical_json(given).decode() in self.inputs
        except ValueError:
            return False


def _as_an_id(form: str) -> re.Pattern[bytes]:
    """An id as a whole: ``guest-7`` stands neither in ``guest-70`` nor in ``guest-7@example.org``. Before it there may
    be what is escaped in JSON or in a URL.
    """
    before = rb"(?:(?<!\w)(?<!\w[.@+-])|(?<=%[0-9A-Fa-f]{2})|(?<=\\[nrtbf])|(?<=\\u[0-9A-Fa-f]{4}))"
    after = rb"(?!\w)(?![.@+-]\w)(?!%40)"
    return re.compile(before + re.escape(form.encode("utf-8", "surrogatepass")) + after)


def _starts(forms: Iterable[str]) -> Any:
    import re2

    options = re2.Options()
    options.max_mem = _PATTERN_BYTES
    options.log_errors = False  # it goes on more slowly where there are too many
    options.encoding = re2.Options.Encoding.LATIN1  # bytes, whatever they mean
    starts = {form[:_START].encode("utf-8", "surrogatepass") for form in forms}
    return re2.compile(b"|".join(re2.escape(start) for start in sorted(starts)), options)


def names(row: Mapping[str, Any], subject: str) -> bool:
    """Whether a case says of itself that it is about the subject, or comes from that conversation."""
    metadata = row.get("metadata")
    places = (row, metadata) if isinstance(metadata, Mapping) else (row,)
    return any(subject in (told.get("subject"), told.get("conversation")) for told in places)


def subject_of(row: Mapping[str, Any]) -> str:
    """The subject that a case is about; empty where it says none."""
    metadata = row.get("metadata")
    return str((metadata.get("subject") if isinstance(metadata, Mapping) else None) or row.get("subject") or "")


def conversation_of(row: Mapping[str, Any]) -> str:
    """The conversation that a case comes from; empty where it says none."""
    metadata = row.get("metadata")
    told = metadata.get("conversation") if isinstance(metadata, Mapping) else None
    return str(told or row.get("conversation") or "")


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
