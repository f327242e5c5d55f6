"""From answers to a verdict: every figure here is derived from rows, none is kept beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from skillforge.case import Case, Decision
from skillforge.evals.answer import Answer, Answers, Table
from skillforge.evals.report import ArmReport, Lift, Reference, ScorerFigures
from skillforge.evals.running.arms import CANDIDATES, DEPLOYABLE, ArmKind
from skillforge.evals.scorers.base import Scorer
from skillforge.evals.scoring import Scores, score_answers
from skillforge.evals.statistics import Interval, holm, percentile
from skillforge.evals.verdict.comparison import Bounds, Comparison, Pairing
from skillforge.evals.verdict.gates import floor_verdict, gated, quality_interval
from skillforge.evals.verdict.shares import rung_shares
from skillforge.evals.verdict.trust import Seen, untrusted
from skillforge.evals.verdict.versus_today import list_prices, real_prices, repaid_after, versus_today
from skillforge.evals.wording.words import many

_NO_LABELS = "no labels: this is agreement with the teacher, not quality"
MIN_CASES = 20  # score bounds overstep their alpha of 5% with fewer (14.5% at 3), from here on to 7.4% at worst
_REASONS = 3  # of errors that are told
_LIFTS = {"skill": ("bare", "examples", "raw", "no-model"), "variant": ("skill", "bare")}


class Contestant(Protocol):
    """What a report needs to know of an arm: one that is asked (``arms.Arm``), or one whose answers are there."""

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> ArmKind: ...

    @property
    def student(self) -> str: ...

    @property
    def is_today(self) -> bool: ...


@dataclass(frozen=True)
class Measure:
    """How an eval is judged: the rule, the scorer it decides by, and the others that are only told. ``clusters`` maps
    case ids to groups of cases that are not independent.
    """

    decision: Decision
    metric: Scorer
    others: Sequence[Scorer] = ()
    clusters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Summary:
    """What the arms did, the first being the teacher, and under ``scores`` every arm's scores by the metric."""

    reference: Reference
    second_pass: bool
    arms: list[ArmReport]
    scores: dict[str, Scores]


def references(metric: Scorer, cases: Sequence[Case], teacher: Answers) -> tuple[Reference, dict[str, Any]]:
    """What each case is scored against: its label, or, when no case has one, the teacher's first answer (agreement)."""
    labels = {case.id: case.expected for case in cases if case.expected is not None}
    if not metric.labels:
        return "scorer", labels
    if labels:
        return "labels", labels
    return "teacher", {case: given[0].output for case, given in teacher.items() if given[0].status == "ok"}


def summarise(arms: Sequence[Contestant], cases: Sequence[Case], table: Table, measure: Measure) -> Summary:
    """One report per arm in order, the first being the teacher, which the others are compared with.

    Without labels everybody is scored by agreement with the teacher's first answers, and the teacher itself by that of
    its second ones (the arm ``again``); where it answered once only, nothing is concluded.
    """
    first = arms[0].name
    reference, expected = references(measure.metric, cases, table[first])
    scores = {arm.name: score_answers(measure.metric, cases, table[arm.name], expected) for arm in arms}
    again = next((arm.name for arm in arms if arm.kind == "again"), None) if reference == "teacher" else None
    bar = scores[again or first]
    passes: dict[str, tuple[Answers, ...]] = {arm.name: (table[arm.name],) for arm in arms}
    if again is not None:  # a case takes part with both: what one of them lacks is the teacher's
        passes[first] = (table[first], table[again])
    reports = [
        _arm(arm, passes[arm.name], bar if arm.name == first else scores[arm.name], cases, expected, measure)
        for arm in arms
    ]
    reports = _with_today(arms, table, reports, None if reference == "teacher" else scores)
    teacher, *others = (report for report in reports if report.kind != "again")
    counted = expected if reference == "labels" else None
    seen = {name: Seen(_counted(given, counted), scores[name]) for name, given in passes.items()}
    there = replace(seen[first], scores=bar)
    alone = reference == "teacher" and again is None
    shared = replace(measure, decision=shared_alpha(measure.decision, arms))
    pairings = {report.name: _pairing(scores[report.name], bar, shared) for report in others}
    strict = replace(measure, decision=_alpha_of_one(measure.decision, arms))
    compared = []
    for report in others:
        pairing = pairings[report.name]
        versus = pairing.compared().model_copy(update={"saving": _saving(report, teacher)})
        better, margin = versus.bounds.low > 0, measure.decision.margin
        if why := _NO_LABELS if alone else untrusted(seen[report.name], there, margin, better=better):
            versus = versus.model_copy(update={"verdict": "inconclusive", "reason": why, "cases_needed": None})
        elif versus.verdict != "inconclusive" and pairing.n < MIN_CASES and versus.method != "betting":
            few = f"{many(pairing.n, 'case')} are too few for a verdict: it takes at least {MIN_CASES}"
            versus = versus.model_copy(
                update={"verdict": "inconclusive", "reason": few, "cases_needed": MIN_CASES - pairing.n}
            )
        else:
            versus = _gated(versus, report, seen[report.name], pairing, strict)
        compared.append(report.model_copy(update={"versus_teacher": versus}))
    compared = _adjusted(compared, pairings, measure.decision)
    compared = [_with_lifts(report, compared, scores, measure) for report in compared]
    return Summary(reference, again is not None, [teacher, *compared], scores)


def _counted(passes: Iterable[Answers], counted: Mapping[str, Any] | None) -> tuple[Answers, ...]:
    """The answers to the cases that are scored at all: of those without a label no error can spoil a figure."""
    if counted is None:
        return tuple(passes)
    return tuple({case: given for case, given in answers.items() if case in counted} for answers in passes)


def _gated(versus: Comparison, report: ArmReport, seen: Seen, pairing: Pairing, measure: Measure) -> Comparison:
    rule, binary = measure.decision, measure.metric.binary
    floor = floor_verdict(seen.scores.values, pairing, rule, binary=binary, clusters=measure.clusters)
    return gated(versus, report, seen.passes[-1], floor, rule)


def repayments(reports: Iterable[ArmReport], made_usd: float | None) -> dict[str, int]:
    """After how many calls each skill arm has saved what making the skill took; only arms of which that is known."""
    found = {
        report.name: repaid_after(made_usd, report.versus_today) for report in reports if report.kind in DEPLOYABLE
    }
    return {name: calls for name, calls in found.items() if calls is not None}


def _with_today(
    arms: Sequence[Contestant], table: Table, reports: Sequence[ArmReport], scores: Mapping[str, Scores] | None
) -> list[ArmReport]:
    """Every other arm compared with the program's own answers, where there are any."""
    today = next((arm for arm in arms if arm.is_today), None)
    if today is None:
        return list(reports)
    before = real_prices(table[today.name]), list_prices(table[today.name])
    compared = []
    for arm, report in zip(arms, reports, strict=True):
        now = real_prices(table[arm.name]), list_prices(table[arm.name])
        pair = None if scores is None else (scores[arm.name].values, scores[today.name].values)
        versus = None if arm is today else versus_today((now[0], before[0]), (now[1], before[1]), pair)
        compared.append(report.model_copy(update={"versus_today": versus}))
    return compared


def _arm(
    arm: Contestant,
    passes: Sequence[Answers],
    scores: Scores,
    cases: Sequence[Case],
    expected: Mapping[str, Any],
    measure: Measure,
) -> ArmReport:
    given = [answer for answers in passes for epochs in answers.values() for answer in epochs]
    answered = [answer for answer in given if answer.status == "ok"]
    checked = [passed for answer in answered for passed, _ in answer.checks]
    latencies = [answer.latency_s for answer in answered if answer.latency_s is not None]
    paid = [answer for epochs in passes[0].values() for answer in epochs if answer.status == "ok"]
    dollars = _mean([answer.usd for answer in paid])  # of a second pass the cost may not be known
    listed = _mean([answer.list_usd for answer in paid])
    others = {scorer.name: score_answers(scorer, cases, passes[-1], expected) for scorer in measure.others}
    return ArmReport(
        name=arm.name,
        kind=arm.kind,
        student=arm.student,
        model=next((answer.model for answer in answered if answer.model), ""),
        n=len(scores.values),
        answers=len(given),
        errors=len(given) - len(answered),
        error_reasons=_reasons(given),
        score_errors=len(scores.errors),
        score_error_reasons=tuple(Counter(scores.errors.values()).most_common(_REASONS)),
        quality=scores.mean,
        bounds=_bounds(quality_interval(scores.values, binary=measure.metric.binary, clusters=measure.clusters)),
        fields=scores.parts,
        scores={name: _figures(found) for name, found in {measure.metric.name: scores, **others}.items()},
        checks_passed=sum(checked) / len(checked) if checked else None,
        repaired=sum(answer.repaired for answer in answered),
        usd_per_1000=None if dollars is None else dollars * 1000,
        list_usd_per_1000=None if listed is None else listed * 1000,
        cost_estimated=any(answer.cost_estimated for answer in answered),
        input_tokens=_mean([answer.input_tokens for answer in answered]),
        output_tokens=_mean([answer.output_tokens for answer in answered]),
        p50_s=percentile(latencies, 50),
        p95_s=percentile(latencies, 95),
        model_calls=_mean([answer.model_calls for answer in answered]),
        tool_calls=_mean([answer.tool_calls for answer in answered]),
        rungs=rung_shares(arm.student, answered) if arm.kind == "ladder" else (),
    )


def _figures(scores: Scores) -> ScorerFigures:
    return ScorerFigures(
        mean=scores.mean,
        n=len(scores.values),
        errors=len(scores.errors),
        unscored=scores.unscored,
        parts=scores.parts,
    )


def _reasons(answers: Iterable[Answer]) -> tuple[tuple[str, int], ...]:
    return tuple(Counter(answer.reason for answer in answers if answer.status == "error").most_common(_REASONS))


def _pairing(scores: Scores, bar: Scores, measure: Measure) -> Pairing:
    return Pairing(
        scores.values,
        bar.values,
        measure.decision,
        binary=measure.metric.binary,
        clusters=measure.clusters or None,
    )


def shared_alpha(rule: Decision, arms: Sequence[Contestant]) -> Decision:
    """The rule for each of several candidates that may stop early: alpha is shared out among them (Bonferroni), since
    Holm's order is not known while they run.
    """
    return rule if rule.mode == "fixed" else _alpha_of_one(rule, arms)


def _alpha_of_one(rule: Decision, arms: Sequence[Contestant]) -> Decision:
    """The rule with one candidate's share of alpha: so the least quality is judged, in every mode."""
    candidates = sum(arm.kind in CANDIDATES for arm in arms[1:])
    return rule if candidates < 2 else rule.model_copy(update={"alpha": rule.alpha / candidates})


def _adjusted(reports: Sequence[ArmReport], pairings: Mapping[str, Pairing], rule: Decision) -> list[ArmReport]:
    """Holm over the candidates: with several students one of them passes by luck more often than alpha says."""
    if rule.mode == "sequential":  # shared out before
        return list(reports)
    family = [report for report in reports if report.kind in CANDIDATES and _p(report) is not None]
    if len(family) < 2:
        return list(reports)
    passing = dict(zip((r.name for r in family), holm([_p(r) or 0.0 for r in family]), strict=True))
    worse = [r.versus_teacher.p_worse if r.versus_teacher else None for r in family]
    failing = dict(zip((r.name for r in family), holm([p if p is not None else 1.0 for p in worse]), strict=True))

    def adjusted(report: ArmReport) -> ArmReport:
        versus = report.versus_teacher
        if report.name not in passing or versus is None or versus.reason:
            return report
        ps = {"pass": passing[report.name], "fail": failing[report.name]}
        held = versus.verdict in ps and ps[versus.verdict] > rule.alpha
        update: dict[str, Any] = {"adjusted": True}
        if held:
            update |= {
                "verdict": "inconclusive",
                "reason": f"sure enough alone, not among {len(family)} candidates (Holm)",
            }
        if held or versus.verdict == "inconclusive":
            update["cases_needed"] = pairings[report.name].needed(students=len(family))
        return report.model_copy(update={"versus_teacher": versus.model_copy(update=update)})

    return [adjusted(report) for report in reports]


def _p(report: ArmReport) -> float | None:
    return None if report.versus_teacher is None else report.versus_teacher.p


def _with_lifts(
    report: ArmReport, reports: Sequence[ArmReport], scores: Mapping[str, Scores], measure: Measure
) -> ArmReport:
    """What a skill adds to the same student without it, or with its examples alone."""
    lifts = []
    for kind in _LIFTS.get(report.kind, ()):
        alike = [item for item in reports if item.kind == kind and item.student in (report.student, kind)]
        other = next(iter(alike), None)  # no-model is its own student
        if other is not None:
            versus = _pairing(scores[report.name], scores[other.name], measure).compared()
            lifts.append(Lift(versus=other.kind, n=versus.n, difference=versus.difference, bounds=versus.bounds))
    return report.model_copy(update={"lifts": tuple(lifts)})


def _saving(report: ArmReport, teacher: ArmReport) -> float | None:
    """Share of the teacher's cost that is gone: 0.95 is -95%. ``None`` when either price is unknown."""
    if report.usd_per_1000 is None or not teacher.usd_per_1000:
        return None
    return 1 - report.usd_per_1000 / teacher.usd_per_1000


def _mean(values: Sequence[float | None]) -> float | None:
    """The mean, or ``None`` as soon as one value is unknown: unknown is never counted as zero."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None


def _bounds(interval: Interval) -> Bounds:
    return Bounds(low=interval.low, high=interval.high, level=interval.level)
