"""How different the inputs of a suite are: words, distances, labels, corners of the schema, purposes.

``distinct`` are distinct-1, -2 and -3 (Li, Galley, Brockett, Gao, Dolan, "A Diversity-Promoting Objective Function for
Neural Conversation Models", NAACL 2016): different n-grams of words divided by all words. It falls as texts are added,
so compare it between sets of like size. Distance is 1 - cosine of TF-IDF vectors of character n-grams
(``skillforge.nearest``) to the nearest other input. Label balance is the entropy of the labels divided by the logarithm
of how many there are (Pielou's evenness): 1 is as many of each.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from statistics import median
from typing import Any

from skillforge.canonical import compact
from skillforge.engine.roles.corners import corners, covers
from skillforge.messages import Value
from skillforge.nearest import CosineIndex, canonical_text

NEAR_DISTANCE = 0.1  # from its nearest other input: nearly the same n-grams
MEASURED = 500  # inputs whose distances are measured; of more a fixed part
_WORD = re.compile(r"\w+")
_NAMED = 5


class Diversity(Value):
    """``nearest`` is the median distance to the nearest other input, ``near_duplicates`` the share that lies within
    ``NEAR_DISTANCE`` of one; both ``None`` for fewer than two inputs. ``balance`` is ``None`` where there are not two
    labels. ``corners`` of ``corners_of`` corners of the schema are covered, ``open`` names some that are not.
    """

    n: int
    words: int
    distinct: tuple[float, float, float]
    nearest: float | None
    near_duplicates: float | None
    balance: float | None
    labels: dict[str, int]
    corners: int
    corners_of: int
    open: tuple[str, ...]
    purposes: dict[str, int]

    def lines(self) -> list[str]:
        """What a person is told, a few short lines."""
        one, two, three = self.distinct
        told = [f"{self.n:,} inputs of {self.words:,} words: distinct-1 {one:.2f}, -2 {two:.2f}, -3 {three:.2f}"]
        if self.nearest is not None:
            told.append(
                f"distance to the nearest other input {self.nearest:.2f} (median), {self.near_duplicates:.1%} nearly"
                " the same as another"
            )
        if self.balance is not None:
            told.append(f"label balance {self.balance:.2f}: {_counts(self.labels)}")
        if self.corners_of:
            missing = f"; open: {', '.join(self.open)}" if self.open else ""
            told.append(f"{self.corners} of {self.corners_of} corners of the schema covered{missing}")
        if self.purposes:
            told.append(f"written for {_counts(self.purposes)}")
        return told


def diversity(
    inputs: Sequence[Mapping[str, Any]],
    *,
    labels: Iterable[Any] = (),
    fields: Mapping[str, Mapping[str, Any]] | None = None,
    purposes: Iterable[str] = (),
) -> Diversity:
    """Measure inputs; ``labels`` are their answers where they have some, ``fields`` their schema."""
    texts = [canonical_text(given) for given in inputs]
    words = [_WORD.findall(text) for text in texts]
    distances = nearest_distances(texts)
    named = Counter(label if isinstance(label, str) else compact(label) for label in labels)
    all_corners = corners(fields or {})
    open_ = [str(corner) for corner in all_corners if not any(covers(corner, given) for given in inputs)]
    return Diversity(
        n=len(texts),
        words=sum(map(len, words)),
        distinct=(distinct(words, 1), distinct(words, 2), distinct(words, 3)),
        nearest=median(distances) if distances else None,
        near_duplicates=_share(distances) if distances else None,
        balance=balance(named),
        labels=dict(sorted(named.items(), key=lambda item: (-item[1], item[0]))),
        corners=len(all_corners) - len(open_),
        corners_of=len(all_corners),
        open=tuple(open_[:_NAMED]),
        purposes=dict(sorted(Counter(purposes).items())),
    )


def distinct(texts: Sequence[Sequence[str]], n: int) -> float:
    """Distinct-n: different n-grams, none across two texts, divided by all words; 0 without words."""
    total = sum(map(len, texts))
    grams = {gram for words in texts for gram in zip(*(islice(words, start, None) for start in range(n)), strict=False)}
    return len(grams) / total if total else 0.0


def nearest_distances(texts: Sequence[str]) -> list[float]:
    """1 - cosine to the nearest other text, in [0, 1]; of more than ``MEASURED`` texts a part, the same on every
    machine, each against that part. Empty for fewer than two.
    """
    if len(texts) > MEASURED:
        texts = sorted(texts, key=lambda text: hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest())
        texts = texts[:MEASURED]
    if len(texts) < 2:
        return []
    index = CosineIndex(texts)
    found = []
    for place, text in enumerate(texts):
        scores = index.scores(text)
        scores[place] = -1.0
        found.append(min(1.0, max(0.0, 1.0 - max(scores))))
    return found


def balance(labels: Mapping[str, int]) -> float | None:
    """Entropy of the labels' shares over the greatest it could be, in [0, 1]; ``None`` for fewer than two labels."""
    counts = [count for count in labels.values() if count]
    if len(counts) < 2:
        return None
    total = sum(counts)
    entropy = -math.fsum(count / total * math.log(count / total) for count in counts)
    return min(1.0, entropy / math.log(len(counts)))


def _share(distances: Sequence[float]) -> float:
    return sum(distance < NEAR_DISTANCE for distance in distances) / len(distances)


def _counts(counted: Mapping[str, int]) -> str:
    shown = [f"{name} {count}" for name, count in list(counted.items())[:10]]
    return ", ".join(shown) + (f" and {len(counted) - 10} more" if len(counted) > 10 else "")
