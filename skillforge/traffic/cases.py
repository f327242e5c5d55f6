"""Which recorded calls become the cases of a suite: no two alike, every kind of answer, related ones on one side.

Everything here is decided by hashes of the seed and of the inputs, never by the order of the logs: the same calls give
the same cases on every machine.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from skillforge.canonical import canonical_json
from skillforge.case import Split

SHARES: Mapping[Split, float] = {"train": 0.4, "dev": 0.1, "test": 0.5}
NEAR = 95.0  # rapidfuzz's ratio from which two inputs say the same
COMPARED_CHARACTERS = 2_000
MAX_COMPARISONS = 1_000_000
MAX_KEPT = 20_000  # different inputs held in memory; of more, a random part by hash
LENGTHS = 4  # strata by length, where answers are no labels


@dataclass(frozen=True, slots=True)
class Candidate:
    """A recorded call that could be a case. ``kin`` names what it belongs to, if anything: cases of one stay together.

    ``label`` is its recorded answer where that is one of a few, ``None`` where it is not. ``record`` is carried along.
    ``call`` decides between calls of the same ``id``: the smallest stays.
    """

    id: str
    input: Mapping[str, Any]
    label: str | None = None
    kin: str = ""
    record: Any = None
    call: str = ""


class Pool:
    """Candidates without those whose input is the same but for whitespace. Of equal ones the smallest id stays."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._kept: dict[str, Candidate] = {}
        self.added = 0
        self.duplicates = 0

    def add(self, candidate: Candidate) -> None:
        """Raises ``ValueError`` for an input that is no canonical JSON."""
        self.added += 1
        key = _rank(self._seed, normalised(candidate.input))
        twin = self._kept.get(key)
        if twin is not None:
            self.duplicates += 1
            if (twin.id, twin.call) <= (candidate.id, candidate.call):
                return
        self._kept[key] = candidate
        if len(self._kept) > 2 * MAX_KEPT:
            self._kept = dict(self._ranked()[:MAX_KEPT])

    def candidates(self) -> list[Candidate]:
        """What is left, in the random order of the seed."""
        return [candidate for _, candidate in self._ranked()[:MAX_KEPT]]

    def _ranked(self) -> list[tuple[str, Candidate]]:
        return sorted(self._kept.items(), key=lambda item: item[0])


@dataclass(frozen=True, slots=True)
class Selection:
    """The cases chosen, in random order, and the split of each by id. ``strata`` counts them; ``alike`` is how many
    were left out because they read almost like another.
    """

    chosen: tuple[Candidate, ...]
    splits: Mapping[str, Split]
    strata: Mapping[str, int]
    alike: int


def select(candidates: Sequence[Candidate], *, limit: int, seed: int) -> Selection:
    """At most ``limit`` candidates, every stratum in its proportion and with one at least, and their splits.

    Strata are the recorded labels; without labels, quarters by length. Within one, near-duplicates are left out.
    """
    strata = {
        name: _Stratum(name, members) for name, members in sorted(_strata(candidates).items(), key=lambda item: item[0])
    }
    budget = _Budget(MAX_COMPARISONS)
    total, first = 0, True
    while total < limit:
        sizes = {name: stratum.left for name, stratum in strata.items() if stratum.left}
        if not sizes:
            break
        for name, places in apportion(sizes, limit - total, at_least=1 if first else 0).items():
            total += strata[name].take(places, budget)
        first = False
    taken = {candidate.id: name for name, stratum in strata.items() for candidate in stratum.taken}
    chosen = tuple(candidate for candidate in candidates if candidate.id in taken)
    return Selection(
        chosen=chosen,
        splits=assign_splits(chosen, taken, seed=seed),
        strata={name: len(stratum.taken) for name, stratum in strata.items() if stratum.taken},
        alike=sum(stratum.alike for stratum in strata.values()),
    )


def apportion(sizes: Mapping[str, int], places: int, *, at_least: int = 0) -> dict[str, int]:
    """``places`` in proportion to ``sizes`` by largest remainder, never more than there are, ``at_least`` for each.

    Where even these are too many, the largest get them.
    """
    by_size = sorted(sizes, key=lambda name: (-sizes[name], name))
    if places >= sum(sizes.values()):
        return dict(sizes)
    if places < at_least * len(sizes):
        return dict.fromkeys(by_size[: places // at_least], at_least)
    shares = {name: places * sizes[name] / sum(sizes.values()) for name in by_size}
    given = {name: max(at_least, int(share)) for name, share in shares.items()}
    while (spare := places - sum(given.values())) > 0:  # fewer than there are names; each has room: share <= size
        for name in sorted(given, key=lambda name: given[name] - shares[name])[:spare]:
            given[name] += 1
    while (excess := sum(given.values()) - places) > 0:
        rich = [name for name in given if given[name] > at_least]
        for name in sorted(rich, key=lambda name: shares[name] - given[name])[:excess]:
            given[name] -= 1
    return given


def assign_splits(
    candidates: Sequence[Candidate],
    strata: Mapping[str, str],
    *,
    seed: int,
    shares: Mapping[Split, float] = SHARES,
) -> dict[str, Split]:
    """A split for every candidate, by id, near the ``shares``; those that share a ``kin`` get the same one.

    Large families first, then stratum by stratum, each to the split that lacks most: so splits are alike in their
    answers.
    """
    families = sorted(
        _families(candidates),
        key=lambda family: (-len(family), strata.get(family[0].id, ""), _rank(seed, family[0].id.encode())),
    )
    counts: Counter[Split] = Counter()
    found: dict[str, Split] = {}
    placed = 0
    for family in families:
        placed += len(family)
        split = max(shares, key=lambda name: (shares[name] * placed - counts[name], shares[name]))
        counts[split] += len(family)
        found.update((candidate.id, split) for candidate in family)
    return found


def normalised(value: Any) -> bytes:
    """Canonical JSON of a value with every run of whitespace in its texts as one blank."""
    return canonical_json(_squeezed(value))


def _squeezed(value: Any) -> Any:
    if isinstance(value, str):
        return " ".join(value.split())
    if isinstance(value, Mapping):
        return {key: _squeezed(inner) for key, inner in value.items()}
    return [_squeezed(inner) for inner in value] if isinstance(value, list | tuple) else value


def _rank(seed: int, data: bytes) -> str:
    return hashlib.sha256(b"%d:" % seed + data).hexdigest()


def _strata(candidates: Sequence[Candidate]) -> dict[str, list[Candidate]]:
    """Members by stratum, in the order given. Answers that nearly all differ are no labels."""
    labels = {candidate.label for candidate in candidates if candidate.label is not None}
    found: defaultdict[str, list[Candidate]] = defaultdict(list)
    if labels and 2 * len(labels) <= len(candidates):
        for candidate in candidates:
            found["no label" if candidate.label is None else candidate.label].append(candidate)
        return found
    by_length = sorted(candidates, key=lambda candidate: (len(normalised(candidate.input)), candidate.id))
    quarter = {candidate.id: LENGTHS * place // len(by_length) for place, candidate in enumerate(by_length)}
    for candidate in candidates:
        found[f"length {quarter[candidate.id] + 1} of {LENGTHS}"].append(candidate)
    return found


@dataclass(slots=True)
class _Budget:
    comparisons: int


@dataclass(slots=True)
class _Stratum:
    """The candidates of one stratum, taken one by one; what reads like one that is taken already is passed over."""

    name: str
    members: Sequence[Candidate]
    taken: list[Candidate] = field(default_factory=list)
    alike: int = 0
    _next: int = 0
    _texts: list[str] = field(default_factory=list)

    @property
    def left(self) -> int:
        return len(self.members) - self._next

    def take(self, count: int, budget: _Budget) -> int:
        """Take up to ``count`` more; returns how many there were."""
        before = len(self.taken)
        while len(self.taken) - before < count and self._next < len(self.members):
            candidate = self.members[self._next]
            self._next += 1
            text = normalised(candidate.input).decode()[:COMPARED_CHARACTERS]
            if self._reads_alike(text, budget):
                self.alike += 1
                continue
            self.taken.append(candidate)
            self._texts.append(text)
        return len(self.taken) - before

    def _reads_alike(self, text: str, budget: _Budget) -> bool:
        """Past the budget nothing is compared any more: then only exact duplicates are known."""
        if budget.comparisons < len(self._texts):
            return False
        from rapidfuzz import fuzz, process

        budget.comparisons -= len(self._texts)
        return process.extractOne(text, self._texts, scorer=fuzz.ratio, score_cutoff=NEAR) is not None


def _families(candidates: Iterable[Candidate]) -> Iterable[list[Candidate]]:
    """Candidates by what they belong to; one that belongs to nothing is alone."""
    found: defaultdict[tuple[str, str], list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        found[(candidate.kin, "" if candidate.kin else candidate.id)].append(candidate)
    return found.values()
