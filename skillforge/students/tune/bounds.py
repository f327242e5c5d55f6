"""What proposed instructions must be: not too long, with every sentence to keep, free of copied cases and secrets."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from skillforge.case import Case
from skillforge.hygiene import hidden_text, walk_strings
from skillforge.redact import Redactor

LEAST_CAP = 4_000  # characters that instructions may always grow to, about 1,000 tokens
GROWTH = 2  # times the length of the start
MOST_CAP = 16_000  # characters; what starts longer may not grow
SPAN = 8  # words in a row that a proposal may not share with one case
WHOLE = 5  # words of a case that is shorter: all of it may not be copied
_SHARED = 10  # what stands in more than one in so many cases is the form of the task, not a case
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]|\w+")

Gram = tuple[str, ...]


def most_chars(start: str) -> int:
    """How long instructions may become: twice the start, at least ``LEAST_CAP`` and at most ``MOST_CAP`` characters;
    never less than the start itself.
    """
    return max(len(start), min(MOST_CAP, max(LEAST_CAP, GROWTH * len(start))))


@dataclass(frozen=True)
class Bounds:
    """For one start and the cases whose failures are shown. A reflecting model likes to copy what it was shown into the
    instructions, which raises the score on just that (gepa-ai/gepa#261): ``copied`` holds what may not be.
    """

    most: int
    keep: tuple[str, ...]
    copied: frozenset[Gram]
    redactor: Redactor

    @classmethod
    def of(cls, start: str, cases: Sequence[Case], keep: Sequence[str], redactor: Redactor) -> Bounds:
        """What the start says itself may be said again."""
        seen: Counter[Gram] = Counter()
        for case in cases:
            seen.update({gram for text in _texts(case) for gram in _grams(text)})
        common = max(2, len(cases) // _SHARED)
        own = set(_windows(_words(start)))
        copied = frozenset(gram for gram, count in seen.items() if count <= common and gram not in own)
        return cls(most_chars(start), tuple(keep), copied, redactor)

    def problem(self, text: str) -> str:
        """Why the text may not be the instructions, "" where it may."""
        if not text.strip():
            return "it is empty"
        if len(text) > self.most:
            return f"it has {len(text):,} characters, at most {self.most:,} are allowed"
        if gone := next((sentence for sentence in self.keep if sentence not in text), None):
            return f"it leaves out a sentence that must be kept: {gone[:80]!r}"
        if hidden := hidden_text(text):
            return f"it holds characters that cannot be seen: {hidden[0]}"
        if self.redactor.holds_secret(text):
            return "it holds what looks like a secret"
        if copied := next((gram for gram in _windows(_words(text)) if gram in self.copied), None):
            return f"it copies {len(copied)} words of a training case: {self.redactor.text(' '.join(copied))[:80]!r}"
        return ""


def _texts(case: Case) -> Iterator[str]:
    for value in (case.input, case.expected):
        for _, text in walk_strings(value):
            yield text


def _words(text: str) -> list[str]:
    return [word.casefold() for word in _WORD.findall(text)]


def _grams(text: str) -> Iterator[Gram]:
    words = _words(text)
    if WHOLE <= len(words) < SPAN:
        yield tuple(words)
    yield from _runs(words, SPAN)


def _windows(words: Sequence[str]) -> Iterable[Gram]:
    for size in range(SPAN, WHOLE - 1, -1):
        yield from _runs(words, size)


def _runs(words: Sequence[str], size: int) -> Iterator[Gram]:
    for start in range(len(words) - size + 1):
        yield tuple(words[start : start + size])
