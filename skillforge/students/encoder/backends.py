"""Sentence embeddings beside the words, by packages that the person has installed. Their weights are theirs to get."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Protocol

from skillforge.errors import MissingPackage, UsageError

TFIDF = "tfidf"
BACKENDS = (TFIDF, "model2vec", "sentence-transformers")
_MODELS = {
    "model2vec": "minishlab/potion-base-8M",
    "sentence-transformers": "sentence-transformers/all-MiniLM-L6-v2",
}
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_AT_ONCE = 256


class Embedder(Protocol):
    """``name`` is ``BACKEND:MODEL``. ``embed`` gives one row a text, of unit length, single precision."""

    @property
    def name(self) -> str: ...

    def embed(self, texts: Sequence[str]) -> Any: ...


def open_backend(name: str) -> Embedder | None:
    """``tfidf`` is none; ``model2vec`` and ``sentence-transformers`` may name their model: ``model2vec:ORG/MODEL``.

    Raises ``UsageError`` for another name, ``MissingPackage``. A card names it too, and cards are not trusted: only
    names of a model hub pass, no paths, and no code of a model is run.
    """
    kind, colon, model = name.partition(":")
    if kind == TFIDF and not colon:
        return None
    model = model or _MODELS.get(kind, "")
    if kind not in _MODELS or not _NAME.fullmatch(model):
        raise UsageError(f"no backend {name[:100]!r}", hint=f"one of {', '.join(BACKENDS)}; a model after a colon")
    package = import_or_say(kind.replace("-", "_"), kind)
    try:
        encode = (
            package.StaticModel.from_pretrained(model).encode
            if kind == "model2vec"
            else package.SentenceTransformer(model).encode
        )
    except Exception as exc:  # whatever the package raises where it cannot get the weights
        raise UsageError(f"{kind} cannot open {model}: {exc}", hint="get its weights first, or name another") from exc
    return _Embedder(f"{kind}:{model}", encode)


def import_or_say(module: str, package: str, *, hint: str = "") -> Any:
    """The module. Raises ``MissingPackage``, with the command that installs the package."""
    try:
        return import_module(module)
    except ImportError as exc:
        raise MissingPackage(f"the package {package} is not installed", hint=hint or f"pip install {package}") from exc


@dataclass(frozen=True)
class _Embedder:
    name: str
    encode: Any = field(repr=False)

    def embed(self, texts: Sequence[str]) -> Any:
        import numpy as np

        parts = [self.encode(list(texts[at : at + _AT_ONCE])) for at in range(0, len(texts), _AT_ONCE)]
        rows = np.concatenate([np.asarray(part, dtype=np.float32) for part in parts])
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        return np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)


@dataclass(frozen=True)
class Remembering:
    """Embeds every text once: cross-validation asks for each of them several times."""

    base: Embedder
    known: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        return self.base.name

    def embed(self, texts: Sequence[str]) -> Any:
        import numpy as np

        fresh = list(dict.fromkeys(text for text in texts if text not in self.known))
        if fresh:
            self.known.update(zip(fresh, self.base.embed(fresh), strict=True))
        return np.stack([self.known[text] for text in texts])
