"""What is compared of texts: their normal form, their words, how much of them is alike.

No algorithm here is slower than a few seconds on the longest text a model can write: what is quadratic looks at the
first ``MAX_WORDS`` words or ``MAX_CHARACTERS`` characters, and counts all that follows as different.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

MAX_WORDS = 50_000
MAX_CHARACTERS = 50_000

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # written without spaces: a character is a word
_WORD = re.compile(rf"[{_CJK}]|[^\W_{_CJK}]+")
_CLOSING = " \"'`´“”„‟‘’‚‛«»‹›()[]{}<>.,;:!?¡¿*_。、·"
_OPENING = _CLOSING.replace(".", "").replace(",", "")  # ".5" is a number


def text_of(value: Any) -> str:
    """A text as it is, any other JSON value as compact JSON with sorted keys ("" for one nested too deep)."""
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    except (ValueError, TypeError, RecursionError):
        return ""


def parsed(value: Any) -> Any:
    """The JSON that a text holds; anything else as it is."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def normal_text(text: str) -> str:
    """Unicode NFKC, case folded, white space collapsed to single spaces, quotes, brackets and punctuation stripped from
    both ends (unless nothing else is there). Signs such as ``-``, ``%``, ``#`` and ``+`` stay, and so do articles.
    """
    if text.isascii():
        folded = text.lower()
    else:
        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    folded = " ".join(folded.split())
    return folded.rstrip(_CLOSING).lstrip(_OPENING) or folded


def normal(value: Any) -> Any:
    """A JSON value with its texts in normal form. A number, a truth value or null is the text it is written as."""
    if isinstance(value, str):
        return normal_text(value)
    if isinstance(value, Mapping):
        return {key: normal(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [normal(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return text_of(value)


def words(text: str) -> list[str]:
    """Its words in lower case: runs of letters and digits (Unicode NFKC), single characters where a script has no
    spaces. As the package ``rouge_score`` splits ASCII.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return _WORD.findall(text.lower())


def f1(common: float, left: float, right: float) -> float:
    """Harmonic mean of ``common / left`` and ``common / right``; 1 where both sides are empty."""
    return min(1.0, 2 * common / (left + right)) if left + right else 1.0


def bag_f1(left: Sequence[Hashable], right: Sequence[Hashable]) -> float:
    """F1 over items as often as they occur (token F1 of SQuAD)."""
    common = Counter(left) & Counter(right)
    return f1(sum(common.values()), len(left), len(right))


def sequence_f1(left: Sequence[Hashable], right: Sequence[Hashable]) -> float:
    """F1 over the longest common subsequence."""
    return f1(_longest_common(left[:MAX_WORDS], right[:MAX_WORDS]), len(left), len(right))


def rouge_n(expected: str, found: str, n: int) -> float:
    """ROUGE-N F1 (Lin 2004) without a stemmer. Of texts too short for an n-gram: whether their words are equal."""
    left, right = words(expected), words(found)
    grams = [list(zip(*(side[start:] for start in range(n)), strict=False)) for side in (left, right)]
    if not grams[0] and not grams[1]:
        return float(left == right)
    return bag_f1(*grams)


def rouge_l(expected: str, found: str) -> float:
    """ROUGE-L F1 (Lin 2004) on the whole text as one sentence, without a stemmer."""
    return sequence_f1(words(expected), words(found))


def similarity(expected: str, found: str) -> float:
    """1 - edits / length of the longer one (Levenshtein, over characters)."""
    longest = max(len(expected), len(found))
    if expected == found:
        return 1.0
    from rapidfuzz.distance import Levenshtein

    edits = Levenshtein.distance(expected[:MAX_CHARACTERS], found[:MAX_CHARACTERS])
    if longest > MAX_CHARACTERS:  # an upper bound of the edits: what is not looked at is all different
        edits += max(len(expected), MAX_CHARACTERS, len(found)) - MAX_CHARACTERS
    return 1 - edits / longest


def _longest_common(left: Sequence[Hashable], right: Sequence[Hashable]) -> int:
    from rapidfuzz.distance import LCSseq

    numbers: dict[Hashable, int] = {}  # numbers, not hashes of texts: those are others in every process
    sides = [[numbers.setdefault(item, len(numbers)) for item in side] for side in (left, right)]
    return int(LCSseq.similarity(*sides))
