"""Agreement beyond the answer: how sure everybody was, and whether that can be believed.

Probabilities are those of labels (``Run.probabilities``), of the first answer to each case. One *item* is one label
field of one case. Intervals resample whole cases (percentile bootstrap, ``RESAMPLES`` of them, the same every time).

Expected calibration error: the items in bins of equal size by confidence, ``sum n_b / n |right_b - confidence_b|``
(Naeini et al. 2015, AAAI; bins of equal mass: Nixon et al. 2019, CVPRW). On few items it is not zero even for a perfect
model, so ``noise`` tells beside it what a model with these confidences would show that is right exactly so often
(consistency resampling, Broecker and Smith 2007, Weather and Forecasting 22:651). Its interval is biased upward alike.

Kullback-Leibler divergence ``KL(first || second)`` in nats, over the labels that both tell and one place for the rest:
a lower bound of the whole one (data processing inequality). No share counts as less than ``FLOOR``.

Confidence-weighted disagreement: ``sum w [labels differ] / sum w``, ``w`` the product of both confidences, 1 for one
that tells none: what both were sure of and do not agree in weighs most.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from skillforge.canonical import compact
from skillforge.evals.answer import Answer
from skillforge.evals.pages.rows import CaseRow
from skillforge.evals.report import EvalReport
from skillforge.evals.verdict.comparison import Bounds
from skillforge.messages import Value

FLOOR = 1e-6
BINS = 10
PER_BIN = 20  # items; fewer items, fewer bins
RESAMPLES = 200
LEVEL = 0.95
_MOST_PAIRS = 12

T = TypeVar("T")


class Bin(Value):
    """Items of like confidence: how many, their mean confidence, and the share of them that was right."""

    n: int
    confidence: float
    right: float


class Calibration(Value):
    """``error`` is the expected calibration error over ``n`` items, ``noise`` what a perfect model would show on them.
    ``overconfident`` is mean confidence minus the share that was right.
    """

    n: int
    error: float
    bounds: Bounds
    noise: float
    overconfident: float
    bins: tuple[Bin, ...]


class SoftArm(Value):
    """One arm: ``told`` of its ``answers`` came with probabilities. ``calibration`` is against the labels (without any,
    against the teacher's answers); ``None`` where there are too few items.
    """

    name: str
    answers: int
    told: int
    confidence: float | None
    calibration: Calibration | None = None


class SoftPair(Value):
    """Two arms on the ``n`` items that both answered. ``kl`` is over the ``both`` items of which both tell
    probabilities; ``None`` where there are none.
    """

    first: str
    second: str
    n: int
    disagreement: float
    weighted: float
    weighted_bounds: Bounds
    both: int
    kl: float | None = None
    kl_bounds: Bounds | None = None


class Soft(Value):
    """``not_offered`` are the arms of models whose answers came without probabilities, though they were asked for."""

    arms: tuple[SoftArm, ...]
    pairs: tuple[SoftPair, ...]
    not_offered: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Item:
    label: str
    confidence: float | None
    shares: Mapping[str, float]


def soft_of(rows: Iterable[CaseRow], report: EvalReport, labels: Sequence[str], *, asked: bool) -> Soft | None:
    """The figures of an eval; ``labels`` are its label fields. ``None`` where nobody tells probabilities and nobody was
    ``asked`` for any.
    """
    if not labels:
        return None
    kept = [row for row in rows if row.cells]
    kinds = {arm.name: arm.kind for arm in (report.teacher, *report.arms)}
    items = {name: _items(kept, name, labels) for name in kinds}
    told = {name for name, found in items.items() if any(item.shares for item in found.values())}
    models = [name for name, kind in kinds.items() if kind not in ("no-model", "today", "own") and items[name]]
    if not told and not asked:
        return None
    right = _right(kept, report.teacher.name, labels)
    arms = tuple(_arm(name, kept, items[name], right) for name in kinds if name in told)
    compared = [arm.name for arm in report.arms if arm.kind not in ("no-model", "today", "again", "bare", "raw")]
    pairs = [(report.teacher.name, name) for name in compared]
    candidates = [arm.name for arm in report.candidates()]
    pairs += [(a, b) for at, a in enumerate(candidates) for b in candidates[at + 1 :]]
    found = (_pair(a, b, items[a], items[b]) for a, b in pairs if {a, b} & told)
    shown = tuple([pair for pair in found if pair is not None][:_MOST_PAIRS])
    silent = tuple(name for name in models if name not in told) if asked else ()
    return Soft(arms=arms, pairs=shown, not_offered=silent)


def kl_divergence(first: Mapping[str, float], second: Mapping[str, float]) -> float:
    """In nats, over the shared labels and one place for the rest (see the module)."""
    shared = sorted(first.keys() & second.keys())
    p, q = ([*(told[name] for name in shared), 1 - sum(told[name] for name in shared)] for told in (first, second))
    p, q = ([max(FLOOR, share) for share in told] for told in (p, q))
    whole_p, whole_q = math.fsum(p), math.fsum(q)
    return max(0.0, math.fsum(a / whole_p * math.log(a * whole_q / (b * whole_p)) for a, b in zip(p, q, strict=True)))


def calibration_bins(pairs: Sequence[tuple[float, bool]]) -> list[Bin]:
    """(confidence, right) in bins of equal mass: ``BINS`` of them, fewer where they would hold less than ``PER_BIN``.
    Equal confidences stay in their order.
    """
    ordered = sorted(pairs, key=lambda pair: pair[0])
    count = max(1, min(BINS, len(ordered) // PER_BIN))
    edges = [round(number * len(ordered) / count) for number in range(count + 1)]
    found = []
    for start, end in itertools.pairwise(edges):
        if part := ordered[start:end]:
            sure, good = math.fsum(p for p, _ in part) / len(part), sum(right for _, right in part) / len(part)
            found.append(Bin(n=len(part), confidence=sure, right=good))
    return found


def calibration_error(pairs: Sequence[tuple[float, bool]]) -> float:
    """The expected calibration error, in [0, 1]. Raises ``ValueError`` for no pair."""
    if not pairs:
        raise ValueError("no confidence to compare with anything")
    return math.fsum(one.n * abs(one.right - one.confidence) for one in calibration_bins(pairs)) / len(pairs)


def calibration(cases: Sequence[Sequence[tuple[float, bool]]]) -> Calibration | None:
    """Of (confidence, right) pairs, grouped by case; ``None`` for fewer than ``PER_BIN`` of them."""
    pairs = [pair for case in cases for pair in case]
    if len(pairs) < PER_BIN:
        return None
    chance = random.Random(0)
    drawn = [[(sure, chance.random() < sure) for sure, _ in pairs] for _ in range(RESAMPLES)]
    return Calibration(
        n=len(pairs),
        error=calibration_error(pairs),
        bounds=_bootstrap(cases, lambda sample: calibration_error([pair for case in sample for pair in case])),
        noise=math.fsum(map(calibration_error, drawn)) / RESAMPLES,
        overconfident=math.fsum(sure - right for sure, right in pairs) / len(pairs),
        bins=tuple(calibration_bins(pairs)),
    )


def _bootstrap(cases: Sequence[T], figure: Callable[[Sequence[T]], float]) -> Bounds:
    chance = random.Random(len(cases))
    drawn = sorted(figure(chance.choices(cases, k=len(cases))) for _ in range(RESAMPLES))
    cut = (1 - LEVEL) / 2
    return Bounds(low=drawn[int(cut * RESAMPLES)], high=drawn[-1 - int(cut * RESAMPLES)], level=LEVEL)


def _items(rows: Sequence[CaseRow], arm: str, labels: Sequence[str]) -> dict[tuple[str, str], _Item]:
    """(case, field) -> what the arm answered first."""
    found = {}
    for row in rows:
        answer = _first(row, arm)
        if answer is None or not isinstance(answer.output, Mapping):
            continue
        for name in labels:
            if name in answer.output:
                label, shares = compact(answer.output[name]), (answer.probabilities or {}).get(name, {})
                found[row.id, name] = _Item(label, shares.get(label, 0.0) if shares else None, shares)
    return found


def _right(rows: Sequence[CaseRow], teacher: str, labels: Sequence[str]) -> dict[tuple[str, str], str]:
    """(case, field) -> the label; where no case has one, what the teacher answered first."""
    labelled = any(row.expected is not None for row in rows)
    found = {}
    for row in rows:
        answer = _first(row, teacher)
        told = row.expected if labelled else answer.output if answer is not None else None
        if isinstance(told, Mapping):
            found.update({(row.id, name): compact(told[name]) for name in labels if name in told})
        elif labelled and told is not None and len(labels) == 1:
            found[row.id, labels[0]] = compact(told)
    return found


def _first(row: CaseRow, arm: str) -> Answer | None:
    cell = row.cells.get(arm)
    return cell.answers[0] if cell is not None and cell.answers else None


def _arm(
    name: str,
    rows: Sequence[CaseRow],
    items: Mapping[tuple[str, str], _Item],
    right: Mapping[tuple[str, str], str],
) -> SoftArm:
    sure: dict[str, list[float]] = {}
    judged: dict[str, list[tuple[float, bool]]] = {}
    for (case, field), item in items.items():
        if item.confidence is not None:
            sure.setdefault(case, []).append(item.confidence)
            if (case, field) in right:
                judged.setdefault(case, []).append((item.confidence, item.label == right[case, field]))
    every = [value for values in sure.values() for value in values]
    return SoftArm(
        name=name,
        answers=sum(_first(row, name) is not None for row in rows),
        told=len(sure),
        confidence=math.fsum(every) / len(every) if every else None,
        calibration=calibration(list(judged.values())),
    )


def _pair(
    first: str, second: str, a: Mapping[tuple[str, str], _Item], b: Mapping[tuple[str, str], _Item]
) -> SoftPair | None:
    shared: dict[str, list[tuple[float, bool]]] = {}  # case -> (weight, differs)
    divergences: dict[str, list[float]] = {}
    for key, one in a.items():
        other = b.get(key)
        if other is None:
            continue
        weight = (1.0 if one.confidence is None else one.confidence) * (
            1.0 if other.confidence is None else other.confidence
        )
        shared.setdefault(key[0], []).append((weight, one.label != other.label))
        if one.shares and other.shares:
            divergences.setdefault(key[0], []).append(kl_divergence(one.shares, other.shares))
    cases = list(shared.values())
    every = [pair for case in cases for pair in case]
    if not every:
        return None
    apart = list(divergences.values())
    return SoftPair(
        first=first,
        second=second,
        n=len(every),
        disagreement=sum(differs for _, differs in every) / len(every),
        weighted=_weighted(cases),
        weighted_bounds=_bootstrap(cases, _weighted),
        both=sum(map(len, apart)),
        kl=_mean(apart) if apart else None,
        kl_bounds=_bootstrap(apart, _mean) if apart else None,
    )


def _weighted(cases: Sequence[Sequence[tuple[float, bool]]]) -> float:
    whole = math.fsum(weight for case in cases for weight, _ in case)
    return math.fsum(weight * differs for case in cases for weight, differs in case) / whole if whole else 0.0


def _mean(cases: Sequence[Sequence[float]]) -> float:
    return math.fsum(value for case in cases for value in case) / sum(map(len, cases))
