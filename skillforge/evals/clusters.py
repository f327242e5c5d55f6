"""Which cases belong together: those of one document or customer are not independent."""

from __future__ import annotations

from collections.abc import Iterable

from skillforge.canonical import canonical_json, compact
from skillforge.case import Case, Decision

OWN = "cluster"
_METADATA = "metadata."


def clusters_of(cases: Iterable[Case], decision: Decision) -> dict[str, str]:
    """Case id -> the group it belongs to, of the cases that have one. By the decision's ``cluster``, else the cases'
    own.
    """
    return {case.id: group for case in cases if (group := cluster_of(case, decision)) is not None}


def cluster_of(case: Case, decision: Decision) -> str | None:
    """The group of one case, ``None`` where it stands alone."""
    source = decision.cluster or OWN
    if source == OWN:
        return case.cluster
    value = case.metadata.get(source.removeprefix(_METADATA))
    return None if value is None else value if isinstance(value, str) else compact(value)


def repeated(cases: Iterable[Case], decision: Decision) -> int:
    """How many cases ask what another one asks already, and say of no group that they belong together: equal inputs
    get one answer, which counts as often as it is asked for.
    """
    asked = [canonical_json(case.input) for case in cases if case.input and cluster_of(case, decision) is None]
    return len(asked) - len(set(asked))
