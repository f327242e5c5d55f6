"""The did-you-mean of every unknown name."""

from __future__ import annotations

from collections.abc import Collection


def did_you_mean(word: str, known: Collection[str], *, what: str = "there are") -> str:
    """A hint for an unknown ``word``: its nearest neighbour, or the whole of a short list. Empty when neither helps."""
    import difflib

    near = difflib.get_close_matches(word[:64], sorted(known), n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"{what}: {', '.join(sorted(known))}" if 0 < len(known) <= 12 else ""
