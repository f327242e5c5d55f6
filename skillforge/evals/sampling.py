"""Which cases an eval takes: one split, and a fixed stratified part of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from skillforge.canonical import canonical_json
from skillforge.case import Case, Decision, Split
from skillforge.checks import resolve_pointer
from skillforge.errors import NotFound, UsageError


def choose_split(cases: Sequence[Case], split: str | None) -> tuple[str, list[Case]]:
    """``(name, cases)`` of the split asked for; by default ``test`` where cases have splits, else ``all``.

    Raises ``UsageError`` when that split has no cases.
    """
    present = sorted({case.split for case in cases if case.split})
    name = split or ("test" if present else "all")
    chosen = list(cases) if name == "all" else [case for case in cases if case.split == name]
    if not chosen:
        raise UsageError(f"no case is in the split {name!r}", hint=f"there are: {', '.join([*present, 'all'])}")
    return name, chosen


def filtered(cases: Sequence[Case], wanted: str) -> list[Case]:
    """The cases a filter names: ``KEY=VALUE`` of the metadata, else those whose id contains it. Empty: all of them.

    Raises ``UsageError`` when none is left.
    """
    if not wanted:
        return list(cases)
    key, equals, value = wanted.partition("=")
    if equals:
        chosen = [case for case in cases if str(case.metadata.get(key)) == value]
    else:
        chosen = [case for case in cases if wanted in case.id]
    if not chosen:
        raise UsageError(f"no case matches --filter {wanted}", hint="KEY=VALUE of the metadata, or a part of the ids")
    return chosen


def stratified(cases: Sequence[Case], count: int, decision: Decision) -> list[Case]:
    """A part of ``count`` cases with the labels in their proportions, the same on every machine, in suite order.

    Within a label cases are taken by the hash of their id; places go by largest remainder.
    """
    if count >= len(cases):
        return list(cases)
    strata: dict[bytes, list[Case]] = {}
    for case in cases:
        strata.setdefault(_label(case, decision), []).append(case)
    shares = {label: count * len(members) / len(cases) for label, members in strata.items()}
    places = {label: int(share) for label, share in shares.items()}
    by_remainder = sorted(shares, key=lambda label: (places[label] - shares[label], label))
    for label in by_remainder[: count - sum(places.values())]:
        places[label] += 1
    taken = {
        case.id
        for label, members in strata.items()
        for case in sorted(members, key=lambda case: _rank(case.id))[: places[label]]
    }
    return [case for case in cases if case.id in taken]


def in_random_order(case_ids: Iterable[str], clusters: Mapping[str, str] | None = None) -> list[str]:
    """The ids in the order in which they are looked at where stopping early is allowed: by the hash of the id, so that
    it is the same everywhere and owes nothing to the answers. Cases of one cluster stay side by side, and the clusters
    go by the hash of their names. A part of the ids comes in the same order as the whole.
    """
    groups = clusters or {}

    def place(case_id: str) -> tuple[str, str, str]:
        group = groups.get(case_id)
        return _rank(case_id if group is None else f"cluster {group}"), group or "", _rank(case_id)

    return sorted(case_ids, key=place)


def training_cases(cases: Iterable[Case]) -> tuple[list[Case], Split | None]:
    """The cases a skill may be made from: those of the train split where there are splits, else all of them."""
    listed = list(cases)
    if any(case.split for case in listed):
        return [case for case in listed if case.split == "train"], "train"
    return listed, None


def _label(case: Case, decision: Decision) -> bytes:
    if not decision.metric.startswith("/"):
        return b""
    try:
        return canonical_json(resolve_pointer(case.expected, decision.metric))
    except NotFound:
        return b""


def _rank(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
