"""Texts -> a sparse matrix: words with the words near them, pieces of words, and a sentence embedding where one is
installed.

Chosen by cross-validation on training rows alone. BANKING77 (10,003 messages, 77 labels, five folds, linear SVM, mean
accuracy): words and their pairs within 6 words in any order, with pieces of 2 to 5 characters inside words .908; pairs
within 3 .903, 4 .904, 12 .908; pieces of 2 to 4 .906 against .904 of 2 to 5 (pairs within 4), of 3 to 5 .902; words and
pairs of neighbours in their order about .902. Weights of the two blocks .7 and 1.4: .904 and .902; terms seen once, or
twice only: the same. SMS spam (2,222 messages): terms seen once kept .990, left out .988.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from skillforge.nearest import INDEXED_CHARACTERS, canonical_text

if TYPE_CHECKING:
    from skillforge.students.encoder.backends import Embedder

MANY = 5_000  # texts from which on a term seen once is left out
_MOST_TERMS = 100_000  # of a block
_WINDOW = 6
_WORD = re.compile(r"\w+")
_LONGEST_WORD = 40  # characters; a longer one is a key or a line of code, its pieces tell enough


def text_of(input: Mapping[str, Any]) -> str:
    """What a classifier reads of an input, in training and in answering: as ``nearest`` compares it, its first 20,000
    characters.
    """
    return canonical_text(input)[:INDEXED_CHARACTERS]


def terms(text: str) -> str:
    """The words of a text, and every pair of words that stand within 6 words, the pair in alphabetic order; separated
    by blanks.
    """
    words = [word for word in _WORD.findall(text) if len(word) <= _LONGEST_WORD]
    found = list(words)
    for at, word in enumerate(words):
        found += ["+".join(sorted((word, other))) for other in words[at + 1 : at + 1 + _WINDOW]]
    return " ".join(found)


@dataclass(frozen=True)
class Features:
    """Fitted TF-IDF of words and of pieces; ``None`` where the training texts had none. ``embedder`` adds columns."""

    words: Any
    pieces: Any
    embedder: Embedder | None = None

    def matrix(self, texts: Sequence[str]) -> Any:
        """One sparse row a text, single precision."""
        words = None if self.words is None else self.words.transform([terms(text) for text in texts])
        pieces = None if self.pieces is None else self.pieces.transform(texts)
        return _joined(texts, words, pieces, self.embedder)


def fit_features(texts: Sequence[str], embedder: Embedder | None = None) -> tuple[Features, Any]:
    """Vocabulary and document frequencies of the training texts, and their matrix."""
    words, pieces = vectorizers(len(texts))
    words, of_words = _fitted(words, [terms(text) for text in texts])
    pieces, of_pieces = _fitted(pieces, texts)
    return Features(words, pieces, embedder), _joined(texts, of_words, of_pieces, embedder)


def _joined(texts: Sequence[str], words: Any, pieces: Any, embedder: Embedder | None) -> Any:
    import numpy as np
    from scipy.sparse import csr_matrix, hstack

    blocks = [block for block in (words, pieces) if block is not None]
    if embedder is not None:
        blocks.append(csr_matrix(embedder.embed(texts)))
    if not blocks:  # no text has a word: there is nothing to tell them apart by
        return csr_matrix((len(texts), 1), dtype=np.float32)
    return hstack(blocks, format="csr", dtype=np.float32)


def vectorizers(count: int) -> tuple[Any, Any]:
    """Those of words and of pieces, unfitted, for so many texts."""
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer

    same = {
        "sublinear_tf": True,
        "dtype": np.float32,
        "lowercase": False,
        "min_df": 2 if count >= MANY else 1,
        "max_features": _MOST_TERMS,
    }
    return (
        TfidfVectorizer(token_pattern=r"\S+", **same),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), **same),
    )


def _fitted(vectorizer: Any, texts: Sequence[str]) -> tuple[Any, Any]:
    try:
        matrix = vectorizer.fit_transform(texts)
    except ValueError:  # no term is left: empty texts, or each word seen once
        return None, None
    # numpy's own integers would each be a file in the archive
    vectorizer.vocabulary_ = {term: int(at) for term, at in vectorizer.vocabulary_.items()}
    return vectorizer, matrix
