"""Which cases are learned from and which are measured on, when real and simulated ones come together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from skillforge.canonical import compact
from skillforge.case import Case, Split
from skillforge.evals.alike import related
from skillforge.traffic.cases import Candidate, assign_splits


def split_cases(cases: Sequence[Case], labels: Mapping[str, Any], *, seed: int = 0) -> tuple[list[Case], int]:
    """The cases, each with a split, and how many were left out. Those that have one keep it; the others are spread near
    40% train, 10% dev, 50% test, label by label (``labels``: case id -> answer). Relatives (``evals.alike``) share a
    split and are named as a cluster; a case without a split that is related to cases of several is left out.
    """
    families: defaultdict[int, list[Case]] = defaultdict(list)
    for case, family in zip(cases, related([case.input for case in cases]), strict=True):
        families[family].append(case)
    found: dict[str, Split] = {}
    free: list[Case] = []
    for members in families.values():
        splits = {case.split for case in members if case.split is not None}
        found.update((case.id, case.split) for case in members if case.split is not None)
        if len(splits) == 1:
            found.update((case.id, split) for case in members for split in splits)
        elif not splits:
            free.extend(members)
    kin = {case.id: members[0].id for members in families.values() if len(members) > 1 for case in members}
    strata = {case.id: compact(labels.get(case.id)) for case in free}
    candidates = [Candidate(case.id, case.input, strata[case.id], kin.get(case.id, "")) for case in free]
    found.update(assign_splits(candidates, strata, seed=seed))
    made = [
        case.model_copy(update={"split": found[case.id], "cluster": case.cluster or _named(kin.get(case.id))})
        for case in cases
        if case.id in found
    ]
    return made, len(cases) - len(made)


def _named(kin: str | None) -> str | None:
    return None if kin is None else f"like {kin}"[:512]
