"""What a skill gives away of the cases it is measured on.

Compared are texts with their white space collapsed and their case folded; JSON escapes count as what they stand for, so
that an example written into a prompt as JSON is found too. A text stands in the skill where it does word for word.

Of the input it takes one field of more than 5 words, of the answer one text of more than 8 words: "yes", a product's
name or a date stand in many a skill and give nothing away. Nor does what many cases share (a policy that is part of
every input, a standard reply), and a choice that the contract itself lists is no free text.
"""

from __future__ import annotations

import bisect
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from skillforge.case import Case
from skillforge.evals.report import Excluded
from skillforge.hygiene import walk_strings
from skillforge.skill import Skill

INPUT_WORDS = 5  # a field of the input gives something away from one word more
ANSWER_WORDS = 8
SHARED = 0.1  # of the cases: what more of them (and more than 2) have in common is part of the task

_KEY = 11  # characters a place in the skill is found by: the shortest text of 6 words
_MOST_PLACES = 32  # of one key that are looked at one by one
_PARTS = ("description", "task", "instructions", "prompt", "examples", "checks", "steps", "input", "output")
_WIDE = "\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_WIDE}]|(?:(?![{_WIDE}])\w)+")  # scripts without spaces: every sign starts a word
_WIDE_SIGN = re.compile(rf"[{_WIDE}]")
_ESCAPE = re.compile(r'\\(["nrt/])')


def leaking(skill: Skill, cases: Sequence[Case]) -> list[Excluded]:
    """The cases of which the skill holds an input or a free-text answer verbatim, in the order of the cases.

    Takes time and memory in proportion to the skill and to the cases, not to their product.
    """
    known = _Known(skill)
    most = max(2.0, SHARED * len(cases))
    texts = [list(_told(case)) for case in cases]
    often = Counter(text for told in texts for text in {text for _, text in told})
    found = []
    for case, told in zip(cases, texts, strict=True):
        for what, text in told:
            if often[text] <= most and text not in known.choices and (part := known.part(text)):
                found.append(Excluded(case=case.id, why=f"its {what} stands in the skill's {part}"))
                break
    return found


def _told(case: Case) -> Iterator[tuple[str, str]]:
    """What could be given away of a case: (what it is, its comparable text)."""
    for side, value, least in (("input", case.input, INPUT_WORDS), ("answer", case.expected, ANSWER_WORDS)):
        for place, text in _values(value):
            if len(text) >= _KEY and _words(plain := _comparable(text)) > least:
                field = ".".join(map(str, place))
                yield f"{side} {field}".rstrip(), plain


def _values(value: Any) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """The strings of a JSON value that are no keys."""
    pending: list[tuple[tuple[str | int, ...], Any]] = [((), value)]
    while pending:
        place, item = pending.pop()
        if isinstance(item, str):
            yield place, item
        elif isinstance(item, dict):
            pending.extend(((*place, key), inner) for key, inner in reversed(item.items()))
        elif isinstance(item, list | tuple):
            pending.extend(((*place, index), inner) for index, inner in reversed(list(enumerate(item))))


class _Known:
    """The texts of a skill, with the places where a word starts by the characters that stand there."""

    def __init__(self, skill: Skill) -> None:
        body = skill.model_dump(mode="json", include=set(_PARTS))
        self._ends: list[int] = []
        self._names: list[str] = []
        texts: list[str] = []
        size = 0
        for part in _PARTS:
            for _, text in walk_strings(body[part]):
                plain = _comparable(text)
                texts.append(plain)
                size += len(plain) + 1
                self._ends.append(size)
                self._names.append(part)
        self._text = "\0".join(texts)
        self._places: dict[str, list[int]] = {}
        for match in _WORD.finditer(self._text):
            start = match.start()
            places = self._places.setdefault(self._text[start : start + _KEY], [])
            if len(places) <= _MOST_PLACES:
                places.append(start)
        self.choices = {_comparable(text) for text in _choices(skill.output)}

    def part(self, text: str) -> str:
        """The part of the skill that holds the text (``instructions``), empty where none does."""
        first = _WORD.search(text)
        if first is None or len(text) - first.start() < _KEY:
            return ""
        wanted = text[first.start() :]
        places = self._places.get(wanted[:_KEY], [])
        if len(places) > _MOST_PLACES:  # a text that repeats itself
            place = self._text.find(wanted)
        else:
            place = next((place for place in places if self._text.startswith(wanted, place)), -1)
        return "" if place < 0 else self._names[bisect.bisect_right(self._ends, place)]


def _choices(schema: Any) -> Iterator[str]:
    """The texts that a contract lists as answers."""
    pending = [schema]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            listed = (
                [*item.get("enum", ()), item.get("const")] if isinstance(item.get("enum", ()), list | tuple) else []
            )
            yield from (value for value in listed if isinstance(value, str))
            pending.extend(item.values())
        elif isinstance(item, list | tuple):
            pending.extend(item)


def _comparable(text: str) -> str:
    bare = _ESCAPE.sub(lambda match: match[1] if match[1] in '"/' else " ", text) if "\\" in text else text
    return " ".join(bare.casefold().split())


def _words(text: str) -> float:
    """How many words; a sign of a script without spaces counts half."""
    wide = len(_WIDE_SIGN.findall(text))
    return sum(1 for _ in _WORD.finditer(text)) - wide / 2
