"""What a comparison of recorded outputs found, and its flat JSON document, stable for programs that read it.

``schema`` names the form. At the top stand the figures of one student, under ``students`` those of all. Shares lie in
[0, 1], money is US dollars, latencies are seconds, ``null`` is unknown. ``interval`` of an arm is that of its mean at
``level`` .95; ``interval`` of a difference is two-sided at ``level`` 1 - 2 alpha, so that each of its ends is a
one-sided bound of the rule: ``bound`` is the lower one (``pass`` where it lies above -margin), ``bound_high`` the upper
one (``fail`` where it lies below). ``lost`` and ``gained`` count the cases that got worse and better; ``lost_cases``
and ``gained_cases`` name them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from skillforge.case import Case
from skillforge.errors import UsageError
from skillforge.evals.answer import Table
from skillforge.evals.pages.rows import CaseRow, case_rows
from skillforge.evals.recorded.agreement import Agreement
from skillforge.evals.recorded.groups import Group
from skillforge.evals.report import ArmReport, EvalReport
from skillforge.evals.statistics import Verdict
from skillforge.evals.verdict.comparison import Comparison
from skillforge.evals.verdict.summary import Summary

SCHEMA = "skillforge/compare/v1"
_OF_THE_GAP = ("diff", "bound", "bound_high", "interval", "mcnemar_p", "p", "p_worse", "detectable")
_BEST_FIRST = ("pass", "inconclusive", "fail")


@dataclass(frozen=True)
class Agreements:
    """How often an arm's answers equal the labels, and the teacher's; ``None`` where there is nothing to equal."""

    labels: Agreement | None
    teacher: Agreement | None


@dataclass(frozen=True)
class Compared:
    """What ``compare`` found. ``report`` is an eval's, so that it reads and prints as one.

    ``missing`` are the ids that an arm has no answer to, by arm; ``unlabelled`` is how many cases have no label among
    others that have one (they are not scored). ``notes`` are for people.
    """

    report: EvalReport
    scorer: str
    agreements: Mapping[str, Agreements]
    missing: Mapping[str, tuple[str, ...]]
    unlabelled: int
    groups: tuple[Group, ...]
    notes: tuple[str, ...]
    cases: list[Case]
    table: Table
    summary: Summary

    @property
    def verdict(self) -> Verdict:
        """Of the student that does best: ``pass``, ``fail`` or ``inconclusive``."""
        return self.report.verdict or "inconclusive"

    @property
    def agreement_only(self) -> bool:
        """Whether there is no label and only one answer of the teacher, against which it is always right: then there
        is no difference to speak of.
        """
        return self.report.reference == "teacher" and not self.report.second_pass

    def rows(self) -> Iterator[CaseRow]:
        """Every case with the answers side by side, for pages and files."""
        return case_rows(self.cases, self.table, self.summary)

    def document(self, student: str | None = None) -> dict[str, Any]:
        """The flat form: what ``skillforge compare --json`` prints, with the figures of ``student`` (default: the one
        that does best) at the top. Raises ``UsageError`` for a student that was not compared.
        """
        return _document(self, student)


def _document(compared: Compared, student: str | None) -> dict[str, Any]:
    report = compared.report
    rule = report.decision
    students = [_student(compared, arm) for arm in report.arms]
    first = _chosen(compared, student).name
    top = next(figures for figures in students if figures["student"]["name"] == first)
    return {
        "schema": SCHEMA,
        "name": report.skill,
        "digest": report.digest,
        "scorer": compared.scorer,
        "reference": report.reference,
        "second_pass": report.second_pass,
        "margin": rule.margin,
        "alpha": rule.alpha,
        "cases": report.cases,
        "unlabelled": compared.unlabelled,
        "missing": {name: len(ids) for name, ids in compared.missing.items()},
        "missing_cases": {name: list(ids) for name, ids in compared.missing.items()},
        "teacher": _teacher(compared),
        **top,
        "students": students,
        "groups": [_group(group) for group in compared.groups],
        "notes": list(compared.notes),
    }


def _chosen(compared: Compared, student: str | None) -> ArmReport:
    """The student of that name, else the one with the best verdict, of several the one that is right most often."""
    arms = compared.report.arms
    if student is not None:
        found = next((arm for arm in arms if arm.name == student), None)
        if found is None:
            raise UsageError(f"no student {student!r} here", hint=f"there are: {', '.join(arm.name for arm in arms)}")
        return found

    def rank(arm: ArmReport) -> tuple[int, float]:
        verdict = arm.versus_teacher.verdict if arm.versus_teacher else "inconclusive"
        return _BEST_FIRST.index(verdict), -(arm.quality or 0.0)

    return min(arms, key=rank)


def _teacher(compared: Compared) -> dict[str, Any]:
    arm = compared.report.teacher
    figures = _arm(arm, compared.agreements[arm.name].labels)
    return {**figures, "mean": None, "interval": None} if compared.agreement_only else figures


def _student(compared: Compared, arm: ArmReport) -> dict[str, Any]:
    told = compared.agreements[arm.name]
    gap = _difference(arm.versus_teacher)
    return {
        "student": _arm(arm, told.labels),
        **({**gap, **dict.fromkeys(_OF_THE_GAP)} if compared.agreement_only else gap),
        "agreement": None if told.teacher is None else _agreement(told.teacher),
        "kappa": None if told.labels is None or told.labels.kappa is None else asdict(told.labels.kappa),
    }


def _arm(arm: ArmReport, labels: Agreement | None = None) -> dict[str, Any]:
    return {
        "name": arm.name,
        "mean": arm.quality,
        "interval": [arm.bounds.low, arm.bounds.high],
        "level": arm.bounds.level,
        "n": arm.n,
        "errors": arm.errors,
        "error_reasons": [list(reason) for reason in arm.error_reasons],
        "score_errors": arm.score_errors,
        "usd_per_1000": arm.usd_per_1000,
        "p50_s": arm.p50_s,
        "p95_s": arm.p95_s,
        "parts": arm.fields,
        "scores": {name: figures.model_dump(mode="json") for name, figures in arm.scores.items()},
        "kappa": None if labels is None or labels.kappa is None else asdict(labels.kappa),
    }


def _difference(versus: Comparison | None) -> dict[str, Any]:
    if versus is None:
        return {"n": 0, "verdict": "inconclusive", "reason": "nothing was compared"}
    return {
        "n": versus.n,
        "diff": versus.difference,
        "bound": versus.bounds.low,
        "bound_high": versus.bounds.high,
        "interval": [versus.bounds.low, versus.bounds.high],
        "level": versus.bounds.level,
        "method": versus.method,
        "clusters": versus.clusters,
        "lost": len(versus.lost),
        "gained": len(versus.gained),
        "lost_cases": list(versus.lost),
        "gained_cases": list(versus.gained),
        "mcnemar_p": versus.mcnemar_p,
        "p": versus.p,
        "p_worse": versus.p_worse,
        "verdict": versus.verdict,
        "reason": versus.reason,
        "adjusted": versus.adjusted,
        "cases_needed": versus.cases_needed,
        "detectable": versus.detectable,
        "saving": versus.saving,
    }


def _agreement(found: Agreement) -> dict[str, Any]:
    return {
        "n": found.n,
        "share": found.share,
        "interval": [found.interval.low, found.interval.high],
        "level": found.interval.level,
        "kappa": None if found.kappa is None else asdict(found.kappa),
    }


def _group(group: Group) -> dict[str, Any]:
    teacher, *students = group.arms
    return {
        "group": group.name,
        "cases": group.cases,
        "teacher": _arm(teacher),
        "students": [
            {"student": _arm(arm), **_difference(arm.versus_teacher), "verdict_alone": group.alone.get(arm.name)}
            for arm in students
        ],
    }
