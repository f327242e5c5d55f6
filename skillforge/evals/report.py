"""From samples to a verdict: every figure here is derived from rows, none is kept beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from skillforge.case import Case, Decision
from skillforge.engine.frame import HARNESS
from skillforge.evals.arms import Arm, ArmKind
from skillforge.evals.evaluate import Table
from skillforge.evals.score import field_scores, is_binary, score
from skillforge.evals.statistics import (
    Interval,
    Verdict,
    cases_needed,
    decide,
    mean_interval,
    paired_t_interval,
    percentile,
    tango_cases_needed,
    tango_interval,
    wilson,
)
from skillforge.evals.versus_today import VersusToday, list_prices, real_prices, repaid_after, versus_today
from skillforge.messages import Value
from skillforge.sample import Sample

MAX_ERRORS = 0.02  # share of infrastructure errors above which nothing is concluded
_REASONS = 3  # of errors that are told
MAX_LOPSIDED = 0.01  # difference in that share between student and teacher

Reference = Literal["labels", "teacher"]


class Bounds(Value):
    low: float
    high: float
    level: float


class Comparison(Value):
    """A student against the teacher on the cases both answered.

    ``difference`` is mean(student - teacher), ``bounds`` its two-sided 1 - 2 alpha interval, so that each end is the
    one-sided bound the verdict uses. ``lost`` and ``gained`` are case ids. ``cases_needed`` is how many more cases
    would decide; ``None`` with an inconclusive verdict means that no sensible number would.
    """

    n: int
    difference: float
    bounds: Bounds
    lost: tuple[str, ...]
    gained: tuple[str, ...]
    verdict: Verdict
    reason: str = ""
    cases_needed: int | None = None
    saving: float | None = None


class ArmReport(Value):
    """What one arm did. ``quality`` is the mean score over ``n`` scored cases; errors are counted apart.

    ``error_reasons`` are the commonest of them, each with how often it was given.

    ``usd_per_1000`` is dollars per 1,000 runs as paid, with their cache hits; ``list_usd_per_1000`` the same tokens at
    the list price without a cache (``None`` unknown). Latencies are seconds, tokens are means per run.
    """

    name: str
    kind: ArmKind
    student: str
    model: str
    n: int
    errors: int
    error_reasons: tuple[tuple[str, int], ...] = ()
    quality: float | None
    bounds: Bounds
    fields: dict[str, float]
    checks_passed: float | None
    repaired: int
    usd_per_1000: float | None
    list_usd_per_1000: float | None = None
    cost_estimated: bool
    input_tokens: float | None
    output_tokens: float | None
    p50_s: float | None
    p95_s: float | None
    versus_teacher: Comparison | None = None
    versus_today: VersusToday | None = None


class EvalReport(Value):
    """The measured result of one eval: the rule, the teacher, the arms.

    ``cost_usd`` is what all its samples cost whenever they were measured, a recorded teacher's estimate included,
    today's answers not (the program bought them); ``spent_usd`` is what this command paid. ``None`` is unknown.
    ``reused`` samples were not paid for again.

    ``today`` is the name of the arm with the program's own answers, the teacher's where they are the teacher's.
    Where there is one, ``made_usd`` is what creating and measuring the skill took so far, and ``repaid_after`` says
    after how many calls an arm has saved that; arms of which it is unknown, or that save nothing, are left out.
    """

    skill: str
    version: int | None
    digest: str
    suite: str
    suite_digest: str
    split: str
    cases: int
    decision: Decision
    reference: Reference
    harness: str = HARNESS
    teacher: ArmReport
    arms: tuple[ArmReport, ...]
    samples: int
    reused: int
    cost_usd: float | None
    spent_usd: float | None
    seconds: float
    today: str | None = None
    made_usd: float | None = None
    repaid_after: dict[str, int] = Field(default_factory=dict)

    def arm(self, name: str) -> ArmReport:
        """The arm of that name, the teacher included. Raises ``KeyError``."""
        return {arm.name: arm for arm in (self.teacher, *self.arms)}[name]

    @property
    def verdict(self) -> Verdict | None:
        """The best verdict among the skill arms; ``None`` without any."""
        verdicts = {arm.versus_teacher.verdict for arm in self.arms if arm.kind == "skill" and arm.versus_teacher}
        return next((verdict for verdict in _BEST_FIRST if verdict in verdicts), None)


_BEST_FIRST: tuple[Verdict, ...] = ("pass", "inconclusive", "fail")


def references(cases: Sequence[Case], teacher: Mapping[str, Sample]) -> tuple[Reference, dict[str, Any]]:
    """What each case is scored against: its label, or, when no case has one, the teacher's own answer (agreement)."""
    labels = {case.id: case.expected for case in cases if case.expected is not None}
    if labels:
        return "labels", labels
    answered = {case_id: sample.run.output for case_id, sample in teacher.items() if sample.status == "ok"}
    return "teacher", answered


def arm_reports(
    arms: Sequence[Arm], cases: Sequence[Case], table: Table, decision: Decision
) -> tuple[Reference, list[ArmReport]]:
    """One report per arm in order, the first being the teacher, which the others are compared with."""
    reference, expected = references(cases, table[arms[0].name])
    scores = {arm.name: _scores(table[arm.name], expected, decision.metric) for arm in arms}
    reports = [_arm(arm, table[arm.name], scores[arm.name], expected, decision) for arm in arms]
    reports = _with_today(arms, table, reports, scores if reference == "labels" else None)
    teacher = reports[0]
    compared = [
        report.model_copy(
            update={"versus_teacher": _compare(report, teacher, scores[report.name], scores[teacher.name], decision)}
        )
        for report in reports[1:]
    ]
    if reference == "teacher":
        compared = [_agreement_only(report) for report in compared]
    return reference, [teacher, *compared]


def _with_today(
    arms: Sequence[Arm],
    table: Table,
    reports: Sequence[ArmReport],
    scores: Mapping[str, Mapping[str, float]] | None,
) -> list[ArmReport]:
    """Every other arm compared with the program's own answers, where there are any."""
    today = next((arm for arm in arms if arm.is_today), None)
    if today is None:
        return list(reports)
    before = real_prices(table[today.name]), list_prices(table[today.name])
    compared = []
    for arm, report in zip(arms, reports, strict=True):
        now = real_prices(table[arm.name]), list_prices(table[arm.name])
        pair = None if scores is None else (scores[arm.name], scores[today.name])
        versus = None if arm is today else versus_today((now[0], before[0]), (now[1], before[1]), pair)
        compared.append(report.model_copy(update={"versus_today": versus}))
    return compared


def repayments(reports: Iterable[ArmReport], made_usd: float | None) -> dict[str, int]:
    """After how many calls each skill arm has saved what making the skill took; only arms of which that is known."""
    found = {report.name: repaid_after(made_usd, report.versus_today) for report in reports if report.kind == "skill"}
    return {name: calls for name, calls in found.items() if calls is not None}


def _scores(samples: Mapping[str, Sample], expected: Mapping[str, Any], metric: str) -> dict[str, float]:
    return {
        case_id: score(metric, expected[case_id], sample.run.output if sample.run.status == "ok" else None)
        for case_id, sample in samples.items()
        if sample.status == "ok" and case_id in expected
    }


def _arm(
    arm: Arm,
    samples: Mapping[str, Sample],
    scores: Mapping[str, float],
    expected: Mapping[str, Any],
    decision: Decision,
) -> ArmReport:
    answered = [sample.run for sample in samples.values() if sample.status == "ok"]
    values = list(scores.values())
    bounds = wilson(round(sum(values)), len(values)) if is_binary(decision.metric) else mean_interval(values)
    checked = [check.passed for run in answered for check in run.checks]
    latencies = [run.latency_s for run in answered if run.latency_s is not None]
    dollars = _mean([run.cost.usd for run in answered])
    listed = _mean([run.list_usd for run in answered])
    return ArmReport(
        name=arm.name,
        kind=arm.kind,
        student=arm.student,
        model=next((run.model for run in answered if run.model), ""),
        n=len(values),
        errors=sum(sample.status == "error" for sample in samples.values()),
        error_reasons=_reasons(samples.values()),
        quality=sum(values) / len(values) if values else None,
        bounds=_bounds(bounds),
        fields=_field_means(samples, expected),
        checks_passed=sum(checked) / len(checked) if checked else None,
        repaired=sum(run.repaired for run in answered),
        usd_per_1000=None if dollars is None else dollars * 1000,
        list_usd_per_1000=None if listed is None else listed * 1000,
        cost_estimated=any(run.cost.estimated for run in answered),
        input_tokens=_mean([run.usage.input_tokens for run in answered]),
        output_tokens=_mean([run.usage.output_tokens for run in answered]),
        p50_s=percentile(latencies, 50),
        p95_s=percentile(latencies, 95),
    )


def _reasons(samples: Iterable[Sample]) -> tuple[tuple[str, int], ...]:
    return tuple(Counter(sample.run.reason for sample in samples if sample.status == "error").most_common(_REASONS))


def _compare(
    report: ArmReport,
    teacher: ArmReport,
    scores: Mapping[str, float],
    reference: Mapping[str, float],
    decision: Decision,
) -> Comparison:
    paired = [case_id for case_id in scores if case_id in reference]
    differences = [scores[case_id] - reference[case_id] for case_id in paired]
    lost = tuple(case_id for case_id, gap in zip(paired, differences, strict=True) if gap < 0)
    gained = tuple(case_id for case_id, gap in zip(paired, differences, strict=True) if gap > 0)
    level = 1 - 2 * decision.alpha
    n = len(paired)
    if is_binary(decision.metric):
        interval = tango_interval(len(gained), len(lost), n, level) if n else Interval(-1.0, 1.0, level)
    else:
        interval = paired_t_interval(differences, level)
    verdict = decide(interval, decision.margin)
    reason = _untrusted(report, teacher)
    if reason:
        verdict = "inconclusive"
    return Comparison(
        n=n,
        difference=sum(differences) / n if n else 0.0,
        bounds=_bounds(interval),
        lost=lost,
        gained=gained,
        verdict=verdict,
        reason=reason,
        cases_needed=_needed(differences, len(gained), len(lost), decision)
        if verdict == "inconclusive" and not reason
        else None,
        saving=_saving(report, teacher),
    )


def _untrusted(report: ArmReport, teacher: ArmReport) -> str:
    """Why infrastructure errors forbid a conclusion, or an empty string."""
    if teacher.n and not teacher.quality:
        return "the teacher is right on no case: the labels or the metric do not fit the task"
    shares = [arm.errors / max(1, arm.errors + arm.n) for arm in (report, teacher)]
    if max(shares) > MAX_ERRORS:
        return f"{max(shares):.1%} infrastructure errors (at most {MAX_ERRORS:.0%})"
    if abs(shares[0] - shares[1]) > MAX_LOPSIDED:
        return f"errors are lopsided: {shares[0]:.1%} here, {shares[1]:.1%} at the teacher"
    return ""


def _needed(differences: Sequence[float], gained: int, lost: int, decision: Decision) -> int | None:
    n = len(differences)
    if n == 0:
        return None
    if is_binary(decision.metric):
        return tango_cases_needed(gained, lost, n, decision.margin, decision.alpha, decision.power)
    mean = sum(differences) / n
    variance = sum((value - mean) ** 2 for value in differences) / max(1, n - 1)
    return cases_needed(mean, variance, n, decision.margin, decision.alpha, decision.power)


def _agreement_only(report: ArmReport) -> ArmReport:
    """Against its own single answers the teacher scores 100% and could not replace itself: no verdict from that."""
    versus = report.versus_teacher
    assert versus is not None
    reason = "no labels: this is agreement with the teacher, not quality"
    update = {"verdict": "inconclusive", "reason": reason, "cases_needed": None}
    return report.model_copy(update={"versus_teacher": versus.model_copy(update=update)})


def _field_means(samples: Mapping[str, Sample], expected: Mapping[str, Any]) -> dict[str, float]:
    per_field: dict[str, list[float]] = {}
    for case_id, sample in samples.items():
        if sample.status == "ok" and case_id in expected:
            output = sample.run.output if sample.run.status == "ok" else None
            for name, value in field_scores(expected[case_id], output).items():
                per_field.setdefault(name, []).append(value)
    return {name: sum(values) / len(values) for name, values in per_field.items()}


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
