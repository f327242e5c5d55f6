"""How two arms differ besides being right or wrong: where, in form, in length, in style; with counts and p-values.

Of each case the first answer counts, and only cases that both answered without an infrastructure error. Shares of two
arms are compared by McNemar's exact test, lengths by the geometric mean of the ratio (t on its logarithm, by clusters
where cases have some), groups by the exact test of whether they differ more often than the other cases
(hypergeometric, one-sided). p-values of one pair are Holm-adjusted within each table.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from skillforge.canonical import canonical_json
from skillforge.evals.answer import Answer
from skillforge.evals.pages.groups import traits
from skillforge.evals.pages.rows import CaseRow
from skillforge.evals.pages.values import Clean
from skillforge.evals.report import EvalReport
from skillforge.evals.scorers.base import PASSES
from skillforge.evals.statistics import holm, mcnemar_p, t_quantile, wilson
from skillforge.evals.style import FEATURES, free_text, opener
from skillforge.evals.verdict.comparison import Bounds
from skillforge.messages import Value

MOST_PAIRS = 8
MOST_GROUPS = 6
MOST_CASES = 8
LEAST_GROUP = 5  # cases
LEVEL = 0.95
_OPENERS = 3
_TYPICAL = 0.05  # of all texts: how much more often an arm begins so
_VALUES = 50  # different values of a name, beyond which it is no grouping
_LONGER = 2.0  # times as long: worth naming


class Trait(Value):
    """In how many of ``n`` cases each of the two answers had it; ``p`` is adjusted."""

    name: str
    n: int
    first: int
    second: int
    p: float


class LengthRatio(Value):
    """How many times as long the second arm's answers are, on the ``n`` cases where both have any."""

    what: str
    n: int
    ratio: float
    bounds: Bounds


class Opener(Value):
    """How an arm begins its texts: the words and how often they stand there."""

    arm: str
    text: str
    count: int
    n: int


class GroupDifference(Value):
    """Cases with ``what`` in common: in ``differ`` of ``n`` the answers are not the same; ``p`` is adjusted."""

    what: str
    n: int
    differ: int
    bounds: Bounds
    p: float


class WorstCase(Value):
    id: str
    why: str


class Outcomes(Value):
    """Cases that both were scored on, by who passed; ``p`` is McNemar's of the two that stand alone."""

    both: int
    first: int
    second: int
    neither: int
    p: float


class PairBehaviour(Value):
    """``second`` beside ``first`` on ``n`` cases: ``same`` answers are equal as JSON; ``bounds`` are of their share."""

    first: str
    second: str
    n: int
    same: int
    bounds: Bounds
    outcomes: Outcomes | None
    traits: tuple[Trait, ...]
    lengths: tuple[LengthRatio, ...]
    openers: tuple[Opener, ...]
    groups: tuple[GroupDifference, ...]
    worst: tuple[WorstCase, ...]


class Behaviour(Value):
    """The teacher beside every candidate, then the candidates beside each other; ``left_out`` pairs are not told."""

    pairs: tuple[PairBehaviour, ...]
    left_out: int = 0


class _Seen(NamedTuple):
    """One case as both answered it."""

    row: CaseRow
    first: Answer
    second: Answer

    @property
    def same(self) -> bool:
        return bool(_canonical(self.first.output) == _canonical(self.second.output))

    @property
    def cluster(self) -> str:
        return self.row.id if self.row.cluster is None else f"cluster {self.row.cluster}"


def behaviour_of(rows: Iterable[CaseRow], report: EvalReport, labels: Sequence[str], clean: Clean) -> Behaviour | None:
    """``labels`` are the label fields of the output: the other texts in it are free. ``None`` without two arms to
    compare. ``clean`` takes secrets out of what is quoted.
    """
    kept = list(rows)
    names = [arm.name for arm in report.candidates()]
    pairs = [(report.teacher.name, name) for name in names]
    pairs += [(a, b) for at, a in enumerate(names) for b in names[at + 1 :]]
    found = [_pair(a, b, kept, frozenset(labels), clean) for a, b in pairs[:MOST_PAIRS]]
    told = tuple(pair for pair in found if pair is not None)
    return Behaviour(pairs=told, left_out=max(0, len(pairs) - MOST_PAIRS)) if told else None


def _pair(
    first: str, second: str, rows: Sequence[CaseRow], labels: frozenset[str], clean: Clean
) -> PairBehaviour | None:
    seen = [one for row in rows if (one := _seen(row, first, second)) is not None]
    if not seen:
        return None
    same, texts = sum(one.same for one in seen), _Texts(seen, labels)
    return PairBehaviour(
        first=first,
        second=second,
        n=len(seen),
        same=same,
        bounds=_wilson(same, len(seen)),
        outcomes=_outcomes(seen, first, second),
        traits=tuple(_adjusted([*_form(seen), *texts.traits()])),
        lengths=tuple(texts.lengths()),
        openers=tuple(texts.openers(first, second, clean)),
        groups=tuple(_groups(seen, clean)),
        worst=tuple(_worst(seen, first, second, texts)),
    )


def _seen(row: CaseRow, first: str, second: str) -> _Seen | None:
    answers = [cell.answers[0] if (cell := row.cells.get(name)) and cell.answers else None for name in (first, second)]
    a, b = answers
    return None if a is None or b is None or "error" in (a.status, b.status) else _Seen(row, a, b)


def _outcomes(seen: Sequence[_Seen], first: str, second: str) -> Outcomes | None:
    counts = Counter[tuple[bool, bool]]()
    for one in seen:
        scores = (one.row.cells[first].score, one.row.cells[second].score)
        if scores[0] is not None and scores[1] is not None:
            counts[scores[0] >= PASSES, scores[1] >= PASSES] += 1
    if not counts:
        return None
    alone = (counts[True, False], counts[False, True])
    p = mcnemar_p(alone[1], alone[0])
    return Outcomes(both=counts[True, True], first=alone[0], second=alone[1], neither=counts[False, False], p=p)


def _form(seen: Sequence[_Seen]) -> Iterator[Trait]:
    """How answers came: those traits that any of the two shows."""
    yield from _trait("no valid answer", seen, lambda answer: answer.output is None)
    yield from _trait("repaired", seen, lambda answer: answer.repaired)
    said = [one for one in seen if one.first.manner is not None and one.second.manner is not None]
    yield from _trait("refused", said, lambda answer: bool(answer.manner and answer.manner.refused))
    yield from _trait("wrong at first", said, lambda answer: bool(answer.manner and answer.manner.wrong))
    yield from _trait("no JSON at first", said, lambda answer: bool(answer.manner and answer.manner.broken))
    yield from _trait("in a code fence", said, lambda answer: bool(answer.manner and answer.manner.fenced))


def _trait(name: str, seen: Sequence[_Seen], has: Callable[[Answer], bool]) -> Iterator[Trait]:
    return _counted(name, [(has(one.first), has(one.second)) for one in seen])


def _counted(name: str, pairs: Sequence[tuple[bool, bool]]) -> Iterator[Trait]:
    first, second = sum(a for a, _ in pairs), sum(b for _, b in pairs)
    if first or second:
        alone = sum(b and not a for a, b in pairs), sum(a and not b for a, b in pairs)
        yield Trait(name=name, n=len(pairs), first=first, second=second, p=mcnemar_p(*alone))


class _Texts:
    """The free texts of two arms, case by case where both have any."""

    def __init__(self, seen: Sequence[_Seen], labels: frozenset[str]) -> None:
        self._all = [(one, free_text(one.first.output, labels), free_text(one.second.output, labels)) for one in seen]
        self._both = [(one, a, b) for one, a, b in self._all if a and b]

    def traits(self) -> Iterator[Trait]:
        for name, has in FEATURES.items():
            yield from _counted(name, [(has(a), has(b)) for _, a, b in self._both])

    def lengths(self) -> Iterator[LengthRatio]:
        """Of free texts in characters, and of whole answers in output tokens where both count them."""
        pairs = [(one.cluster, len(a), len(b)) for one, a, b in self._both]
        yield from _ratio("length of texts, in characters", pairs)
        counted = [(one.cluster, one.first.output_tokens, one.second.output_tokens) for one, _, _ in self._all]
        yield from _ratio("length of answers, in tokens", [(group, a, b) for group, a, b in counted if a and b])

    def openers(self, first: str, second: str, clean: Clean) -> Iterator[Opener]:
        """The commonest beginnings of each that the other has clearly less often."""
        n = len(self._both)
        one = Counter(filter(None, (opener(text) for _, text, _ in self._both)))
        two = Counter(filter(None, (opener(text) for _, _, text in self._both)))
        for arm, ours, others in ((first, one, two), (second, two, one)):
            typical = [item for item in ours.most_common() if item[1] - others[item[0]] >= max(2, _TYPICAL * n)]
            for text, count in typical[:_OPENERS]:
                if shown := clean(text):
                    yield Opener(arm=arm, text=str(shown), count=count, n=n)

    def stretched(self) -> Iterator[tuple[float, str, str]]:
        """(factor, case, in words) of the texts whose lengths differ most."""
        for one, a, b in self._both:
            factor = max(len(a), len(b)) / min(len(a), len(b))
            if factor >= _LONGER:
                yield factor, one.row.id, f"a text {len(b) / len(a):.2g} times as long"


def _ratio(what: str, pairs: Sequence[tuple[str, int, int]]) -> Iterator[LengthRatio]:
    """The geometric mean of second / first; clusters of cases as in ``statistics.means`` (Liang and Zeger 1986)."""
    logs = [(group, math.log(b / a)) for group, a, b in pairs]
    groups: dict[str, float] = {}
    if len(logs) < 2:
        return
    mean = math.fsum(value for _, value in logs) / len(logs)
    for group, value in logs:
        groups[group] = groups.get(group, 0.0) + value - mean
    units = len(groups)
    if units < 2:
        return
    error = math.sqrt(math.fsum(value * value for value in groups.values()) * units / (units - 1)) / len(logs)
    half = t_quantile((1 + LEVEL) / 2, units - 1) * error if error > 0 else 0.0
    bounds = Bounds(low=math.exp(mean - half), high=math.exp(mean + half), level=LEVEL)
    yield LengthRatio(what=what, n=len(logs), ratio=math.exp(mean), bounds=bounds)


def _groups(seen: Sequence[_Seen], clean: Clean) -> list[GroupDifference]:
    """The groups that differ more often than all cases do, the surest first."""
    totals, differ = Counter[str](), Counter[str]()
    for one in seen:
        for what in set(traits(one.row, clean)):
            totals[what] += 1
            differ[what] += not one.same
    names = Counter(what.partition(" = ")[0] for what in totals)
    whole = sum(not one.same for one in seen)
    usable = [
        what
        for what, n in totals.items()
        if LEAST_GROUP <= n < len(seen) and names[what.partition(" = ")[0]] <= _VALUES
    ]
    raw = [_more_often(differ[what], totals[what], whole, len(seen)) for what in usable]
    found = [
        GroupDifference(what=what, n=totals[what], differ=differ[what], bounds=_wilson(differ[what], totals[what]), p=p)
        for what, p in zip(usable, holm(raw), strict=True)
    ]
    more = [group for group in found if group.differ * len(seen) > whole * group.n]
    return sorted(more, key=lambda group: (group.p, -group.differ / group.n, group.what))[:MOST_GROUPS]


def _more_often(differ: int, n: int, whole: int, total: int) -> float:
    """The chance of ``differ`` or more among ``n`` drawn from ``total`` cases of which ``whole`` differ."""
    logs = (
        _log_ways(whole, k) + _log_ways(total - whole, n - k) - _log_ways(total, n)
        for k in range(max(differ, n - (total - whole)), min(n, whole) + 1)
    )
    return min(1.0, math.fsum(map(math.exp, logs)))


def _log_ways(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _worst(seen: Sequence[_Seen], first: str, second: str, texts: _Texts) -> list[WorstCase]:
    """The cases to look at first: lost, then unanswered, then of a very different length."""
    found: dict[str, str] = {}
    for one in seen:
        scores = [one.row.cells[name].score for name in (first, second)]
        lost = scores[0] is not None and scores[1] is not None and scores[0] >= PASSES > scores[1]
        if one.second.output is None and one.first.output is not None:
            found.setdefault(one.row.id, f"no answer ({one.second.run_status})")
        elif lost:
            fields = _changed(one.first.output, one.second.output)
            found.setdefault(one.row.id, "got worse" + (f": {', '.join(fields)}" if fields else ""))
    ordered = sorted(found.items(), key=lambda item: item[1].startswith("got worse"))
    for _, case, why in sorted(texts.stretched(), reverse=True):
        if case not in found:
            ordered.append((case, why))
    return [WorstCase(id=case, why=why) for case, why in ordered[:MOST_CASES]]


def _changed(first: Any, second: Any) -> list[str]:
    if not isinstance(first, Mapping) or not isinstance(second, Mapping):
        return []
    names = [name for name in first if _canonical(first[name]) != _canonical(second.get(name))]
    return [str(name) for name in names[:4]]


def _adjusted(found: Sequence[Trait]) -> list[Trait]:
    """With Holm's p of all of them; of style only what differs is told."""
    ps = holm([trait.p for trait in found])
    adjusted = [trait.model_copy(update={"p": p}) for trait, p in zip(found, ps, strict=True)]
    return [trait for trait in adjusted if trait.first != trait.second or trait.name not in FEATURES]


def _wilson(count: int, n: int) -> Bounds:
    found = wilson(count, n, LEVEL)
    return Bounds(low=found.low, high=found.high, level=found.level)


def _canonical(value: Any) -> Any:
    try:
        return canonical_json(value)
    except (ValueError, RecursionError, TypeError):
        return repr(value)
