"""How sure everybody was, and how two arms differ, as tables and sentences: for pages, Markdown and terminals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from skillforge.evals.behaviour import Behaviour, PairBehaviour
from skillforge.evals.report import EvalReport
from skillforge.evals.soft import Soft, SoftArm
from skillforge.evals.verdict.comparison import Bounds
from skillforge.evals.wording.reading import label, one_line, percent, points, signed
from skillforge.evals.wording.words import many

_SMALLEST = 0.001


class ToldTable(NamedTuple):
    name: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


class ToldPair(NamedTuple):
    """One pair of arms: a ``title``, a ``lead`` sentence, ``notes``, ``tables``, and the ``worst`` cases (id, why)."""

    title: str
    lead: str
    notes: Sequence[str]
    tables: Sequence[ToldTable]
    worst: Sequence[tuple[str, str]]


def soft_tables(report: EvalReport, soft: Soft) -> list[ToldTable]:
    """Calibration of every arm that tells probabilities, and what they say of the agreement of two."""
    tables = []
    if soft.arms:
        head = ["arm", "answers told", "mean confidence", "calibration error", "95% interval", "of a perfect model"]
        rows = [[_name(report, arm.name), f"{arm.told:,} of {arm.answers:,}", *_calibration(arm)] for arm in soft.arms]
        tables.append(ToldTable("How sure, and rightly so (points of a hundred)", [*head, "too sure by"], rows))
    if soft.pairs:
        head = ["pair", "labels", "differ", "weighted", "95% interval", "KL in nats (95%)"]
        rows = []
        for pair in soft.pairs:
            names = f"{_name(report, pair.second)} beside {_name(report, pair.first)}"
            kl = "–"
            if pair.kl is not None and pair.kl_bounds is not None:
                kl = f"{pair.kl:.3f} ({pair.kl_bounds.low:.3f} to {pair.kl_bounds.high:.3f})"
            shares = [percent(pair.disagreement), percent(pair.weighted), _range(pair.weighted_bounds)]
            rows.append([names, f"{pair.n:,}", *shares, kl])
        tables.append(ToldTable("Agreement beyond the label (weighted by both confidences)", head, rows))
    return tables


def soft_notes(report: EvalReport, soft: Soft) -> list[str]:
    """What the figures are measured against, and who tells no probabilities."""
    notes = []
    if any(arm.calibration is not None for arm in soft.arms):
        against = "the labels" if report.reference == "labels" else "the teacher's answers"
        notes.append(f"calibration is measured against {against}; few cases show some error even of a perfect model")
    if soft.not_offered:
        names = ", ".join(_name(report, name) for name in soft.not_offered)
        notes.append(f"probabilities are not offered by {names}")
    return notes


def soft_lines(report: EvalReport, soft: Soft) -> Iterator[str]:
    """A line an arm and a line a pair, for a terminal."""
    for arm in soft.arms:
        found = arm.calibration
        told = f"{_name(report, arm.name)}: mean confidence {percent(arm.confidence)}"
        if found is not None:
            bounds = f"{points(found.bounds.low)} to {points(found.bounds.high)}"
            told += (
                f", calibration error {points(found.error)} points ({bounds}; a perfect model: {points(found.noise)})"
            )
        yield told
    for pair in soft.pairs:
        kl = "" if pair.kl is None else f", KL {pair.kl:.3f} nats over {many(pair.both, 'label')}"
        names = f"{_name(report, pair.second)} beside {_name(report, pair.first)}"
        yield f"{names}: {percent(pair.disagreement)} differ, {percent(pair.weighted)} weighted by confidence{kl}"
    if soft.not_offered:
        yield f"probabilities are not offered by {', '.join(_name(report, name) for name in soft.not_offered)}"


def behaviour_pairs(report: EvalReport, behaviour: Behaviour) -> list[ToldPair]:
    return [_pair(report, pair) for pair in behaviour.pairs]


def behaviour_notes(behaviour: Behaviour) -> list[str]:
    notes = ["p-values are exact and adjusted (Holm) within their table; a small one says that it is no accident"]
    if behaviour.left_out:
        notes.append(f"{many(behaviour.left_out, 'more pair')} of arms are not told here")
    return notes


def _pair(report: EvalReport, pair: PairBehaviour) -> ToldPair:
    first, second = _name(report, pair.first), _name(report, pair.second)
    share = f"{percent(pair.same / pair.n)}, 95% interval {_range(pair.bounds)}"
    lead = f"{pair.same:,} of {many(pair.n, 'answer')} are the same ({share})"
    if (found := pair.outcomes) is not None:
        lead += f". Both are right {found.both:,} times, neither {found.neither:,}, only {first} {found.first:,},"
        lead += f" only {second} {found.second:,} times ({_p(found.p)})"
    notes = [
        f"{ratio.what}: {ratio.ratio:.2f} times that of {first}"
        f" (95% interval {ratio.bounds.low:.2f} to {ratio.bounds.high:.2f}, {many(ratio.n, 'case')})"
        for ratio in pair.lengths
    ]
    for arm in (pair.first, pair.second):
        said = [f"“{one_line(item.text)}” {item.count:,} of {item.n:,}" for item in pair.openers if item.arm == arm]
        if said:
            notes.append(f"{_name(report, arm)} begins more often with {', '.join(said)}")
    tables = []
    if pair.traits:
        rows = [
            [trait.name, _share(trait.first, trait.n), _share(trait.second, trait.n), _bare_p(trait.p)]
            for trait in pair.traits
        ]
        tables.append(ToldTable("Form and style", ["answers that are", first, second, "p"], rows))
    if pair.groups:
        rows = [
            [one_line(group.what), f"{group.n:,}", f"{group.differ:,}", _range(group.bounds), _bare_p(group.p)]
            for group in pair.groups
        ]
        head = ["cases with", "cases", "differ", "95% interval, %", "p"]
        tables.append(ToldTable("Where the answers differ most", head, rows))
    worst = [(case.id, one_line(case.why)) for case in pair.worst]
    return ToldPair(f"{second} beside {first}", lead, notes, tables, worst)


def _calibration(arm: SoftArm) -> list[str]:
    found = arm.calibration
    if found is None:
        return [percent(arm.confidence), "–", "–", "–", "–"]
    bounds = f"{points(found.bounds.low)} to {points(found.bounds.high)}"
    figures = [points(found.error), bounds, points(found.noise), signed(found.overconfident)]
    return [percent(arm.confidence), *figures]


def _name(report: EvalReport, name: str) -> str:
    try:
        return label(report, report.arm(name))
    except KeyError:
        return one_line(name)


def _share(count: int, n: int) -> str:
    return f"{count:,} of {n:,}"


def _range(bounds: Bounds) -> str:
    return f"{100 * bounds.low:.1f} to {100 * bounds.high:.1f}"


def _p(value: float) -> str:
    return f"p {'' if value < _SMALLEST else '= '}{_bare_p(value)}"


def _bare_p(value: float) -> str:
    return f"< {_SMALLEST}" if value < _SMALLEST else f"{value:.3f}"
