"""Inputs that read alike: near duplicates, which are no second case, and relatives, which belong in one split.

Compared is what ``skillforge.nearest`` compares: the fields as one text, case-folded, white space collapsed; of long
ones the beginning. Two inputs say the same when rapidfuzz's ratio (normalised indel similarity, 0 to 100) reaches
``ALIKE``, or when one of more than ``INPUT_WORDS`` words stands in the other nearly word for word (``HELD``): a real
message quoted in an invented mail is that message again. From ``RELATED`` on they are relatives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from skillforge.evals.leaks import INPUT_WORDS
from skillforge.nearest import canonical_text

ALIKE = 90.0
HELD = 95.0
RELATED = 80.0
COMPARED_CHARACTERS = 2_000
_RUN = 3  # words: nearly the same six words share at least one such run


class Known:
    """Inputs with what each of them is (``test``, ``simulated``), of which a new one may be a near duplicate."""

    def __init__(self) -> None:
        self._by_text: dict[str, str] = {}
        self._texts: list[str] = []
        self._kinds: list[str] = []
        self._runs: dict[tuple[str, ...], list[int]] = {}  # places by runs of words: only those can hold one another

    def __len__(self) -> int:
        return len(self._texts)

    def add(self, given: Mapping[str, Any], kind: str) -> None:
        """Remember an input, whether or not it reads like another."""
        text = _text(given)
        self._by_text.setdefault(text, kind)
        for run in _runs(text):
            self._runs.setdefault(run, []).append(len(self._texts))
        self._texts.append(text)
        self._kinds.append(kind)

    def twin(self, given: Mapping[str, Any]) -> str:
        """What the first known input that says the same is, "" where there is none."""
        text = _text(given)
        if text in self._by_text:
            return self._by_text[text]
        if not self._texts or not text:
            return ""
        from rapidfuzz import fuzz, process

        found = process.extractOne(text, self._texts, scorer=fuzz.ratio, score_cutoff=ALIKE)
        if found is None:
            near = {place: self._texts[place] for run in _runs(text) for place in self._runs.get(run, ())}
            found = process.extractOne(text, near, scorer=fuzz.partial_ratio, score_cutoff=HELD)
        return "" if found is None else self._kinds[found[2]]


def related(inputs: Sequence[Mapping[str, Any]]) -> list[int]:
    """For every input the place of the first one of its family: relatives of relatives are one family."""
    from rapidfuzz import fuzz, process

    texts = [_text(given) for given in inputs]
    family = list(range(len(texts)))

    def root(place: int) -> int:
        while family[place] != place:
            family[place] = family[family[place]]
            place = family[place]
        return place

    for place, text in enumerate(texts):
        near = process.extract(text, texts[:place], scorer=fuzz.ratio, score_cutoff=RELATED, limit=None)
        for _, _, other in near:
            left, right = root(other), root(place)
            family[max(left, right)] = min(left, right)
    return [root(place) for place in range(len(texts))]


def _text(given: Mapping[str, Any]) -> str:
    return canonical_text(given)[:COMPARED_CHARACTERS]


def _runs(text: str) -> set[tuple[str, ...]]:
    """Every run of ``_RUN`` words of a text long enough to be given away; none of a shorter one."""
    words = text.split()
    if len(words) <= INPUT_WORDS:
        return set()
    return {tuple(words[start : start + _RUN]) for start in range(len(words) - _RUN + 1)}
