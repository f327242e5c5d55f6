"""How often two give the same answer, and how much more often than luck."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from skillforge.canonical import canonical_json
from skillforge.checks import resolve_pointer
from skillforge.errors import NotFound
from skillforge.evals.statistics import Interval, Kappa, cohens_kappa, wilson

MOST_CATEGORIES = 50  # different answers: of more, kappa says nothing that the share does not say


@dataclass(frozen=True, slots=True)
class Agreement:
    """``n`` pairs of answers, the share of them that is equal with Wilson's 95% interval, and kappa where the answers
    are labels (text, numbers, true or false; ``MOST_CATEGORIES`` at most), else ``None``.
    """

    n: int
    share: float | None
    interval: Interval
    kappa: Kappa | None


def agreement(left: Mapping[str, Any], right: Mapping[str, Any], path: str = "") -> Agreement:
    """How often ``left`` and ``right`` (answers by case id) are equal JSON, at ``path`` (a JSON pointer) where it is
    given. Cases that only one of them has are left out, as is what has nothing at ``path``.
    """
    pairs = [(at(left[case], path), at(right[case], path)) for case in left if case in right]
    told = [(one, other) for one, other in pairs if one is not None and other is not None]
    equal = sum(one == other for one, other in told)
    kappa = cohens_kappa((one.decode(), other.decode()) for one, other in told) if _are_labels(told) else None
    return Agreement(len(told), equal / len(told) if told else None, wilson(equal, len(told)), kappa)


def at(value: Any, path: str) -> bytes | None:
    """The canonical JSON of what stands at a JSON pointer; ``None`` where nothing does, or nothing JSON can hold."""
    try:
        return canonical_json(resolve_pointer(value, path))
    except (NotFound, ValueError):
        return None


def _are_labels(pairs: Sequence[tuple[bytes, bytes]]) -> bool:
    kinds = {value for pair in pairs for value in pair}
    return 0 < len(kinds) <= MOST_CATEGORIES and not any(value.startswith((b"{", b"[")) for value in kinds)
