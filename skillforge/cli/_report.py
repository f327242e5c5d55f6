"""An eval report as people read it: one line of verdict an arm, then the figures, then what to do next."""

from __future__ import annotations

import os
from pathlib import PurePath
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from skillforge.cli._shared import WORDS, aligned

if TYPE_CHECKING:
    from skillforge.evals.report import ArmReport, Comparison, EvalReport

STYLES = {"pass": "bold green", "fail": "bold red", "inconclusive": "bold yellow"}
ORDER = {"skill": 0, "today": 1, "no-model": 2, "bare": 3}


def render_report(report: EvalReport) -> None:
    """Print the report on stdout: colours on a terminal only (and not with NO_COLOR), no line ever cut."""
    plain = bool(os.environ.get("NO_COLOR"))  # rich alone would still write bold and dim
    console = Console(highlight=False, soft_wrap=True, color_system=None if plain else "auto")
    console.print(Text(_headline(report), style="bold"))
    arms = sorted(report.arms, key=lambda arm: ORDER.get(arm.kind, len(ORDER)))
    compared = [(arm, arm.versus_teacher) for arm in arms if arm.versus_teacher is not None]
    lines = aligned([_verdict(report, arm, versus) for arm, versus in compared], left=range(5))
    for (_, versus), line in zip(compared, lines, strict=True):
        text = Text(" " + line)
        text.stylize(STYLES[versus.verdict], 1, 1 + len(WORDS[versus.verdict]))
        console.print(text)
    for number, line in enumerate(aligned(_figures(report), left=range(1))):
        console.print(Text(" " + line, style="dim" if number == 0 else ""))
    for line in _footer(report):
        console.print(Text(line))


def _headline(report: EvalReport) -> str:
    teacher = report.teacher
    kind = {"test": "unseen cases", "all": "cases"}.get(report.split, f"{report.split} cases")
    price = _dollars(teacher.usd_per_1000, teacher.cost_estimated)
    right = f"{_percent(teacher.quality)} right, {price} per 1,000, p95 {_seconds(teacher.p95_s)}"
    name = teacher.student if report.today == teacher.name else teacher.model or teacher.student
    return f"{report.skill} v{report.version} · {report.cases} {kind} · teacher {name}: {right}"


def _verdict(report: EvalReport, arm: ArmReport, versus: Comparison) -> list[str]:
    cost = _dollars(arm.usd_per_1000, arm.cost_estimated)
    saved = "" if versus.saving is None else f" ({_saved(versus.saving)})"
    return [
        WORDS[versus.verdict],
        _label(report, arm),
        f"{_percent(arm.quality)} right",
        f"· {cost}{saved} · p95 {_seconds(arm.p95_s)}",
        _sentence(report, arm, versus),
    ]


def _label(report: EvalReport, arm: ArmReport) -> str:
    """The arm without its provider's prefix, a model file by its name: ``smollm2-135m + skill``.

    With the whole name where two students would be called the same.
    """
    if arm.name == report.today:
        return arm.student if arm.kind == "today" else f"teacher = {arm.student}"
    if arm.kind in ("teacher", "no-model"):
        return arm.kind
    alike = {item.student for item in report.arms if _short(item.student) == _short(arm.student)}
    name = _short(arm.student) if len(alike) == 1 else arm.student
    return f"{name} {'+ skill' if arm.kind == 'skill' else 'bare'}"


def _short(student: str) -> str:
    return PurePath(student.partition(":")[2] or student).name


def _sentence(report: EvalReport, arm: ArmReport, versus: Comparison) -> str:
    sure = f"{1 - report.decision.alpha:.0%} sure"
    low, high = versus.bounds.low, versus.bounds.high
    if versus.reason:
        return versus.reason
    if versus.verdict == "pass":
        worse = f"at most {_points(-low)} points worse" if low < 0 else "not worse"
        return f"{sure}: {worse} (you allow {_points(report.decision.margin)})"
    if versus.verdict == "fail":
        return f"{sure}: at least {_points(-high)} points worse{_lift(report, arm)}"
    more = (
        f"about {versus.cases_needed:,} more cases would settle it"
        if versus.cases_needed
        else "no sensible number of cases would settle it: the gap is too near what you allow"
        if versus.n >= 50
        else "far too few cases to plan with"
    )
    return f"may be up to {_points(-low)} points worse; {more}"


def _lift(report: EvalReport, arm: ArmReport) -> str:
    """What the skill added for this student, told on its skill arm."""
    if arm.kind != "skill" or arm.quality is None:
        return ""
    bare = next((item for item in report.arms if item.kind == "bare" and item.student == arm.student), None)
    if bare is None or bare.quality is None:
        return ""
    gain = arm.quality - bare.quality
    return f"; the skill {'adds' if gain >= 0 else 'costs'} {_points(abs(gain))} points"


def _figures(report: EvalReport) -> list[list[str]]:
    fields = list(report.teacher.fields)
    rows = [["arm", "right", "95% interval", *fields, "checks", "repaired", "tokens", "p50", "p95", "errors"]]
    for arm in (report.teacher, *report.arms):
        rows.append(
            [
                _label(report, arm),
                _percent(arm.quality),
                f"{100 * arm.bounds.low:.1f}–{100 * arm.bounds.high:.1f}",
                *[_percent(arm.fields.get(name)) for name in fields],
                _percent(arm.checks_passed),
                str(arm.repaired),
                f"{_count(arm.input_tokens)}+{_count(arm.output_tokens)}",
                _seconds(arm.p50_s),
                _seconds(arm.p95_s),
                str(arm.errors),
            ]
        )
    return rows


def _footer(report: EvalReport) -> list[str]:
    lines = []
    first = next((arm for arm in report.arms if arm.kind == "skill"), None)
    versus = first.versus_teacher if first else None
    if versus is not None and (versus.lost or versus.gained):
        see = f"`skillforge show {report.skill} --lost`"
        lines.append(f" {len(versus.lost)} cases got worse, {len(versus.gained)} better: {see}")
    lines.extend(_against_today(report))
    lines.extend(_floor(report))
    if report.reference == "labels" and report.teacher.quality is not None:
        lines.extend(_noise(report.teacher))
    for arm in (report.teacher, *report.arms):
        lines.extend(f" {count} errors of {_label(report, arm)}: {reason}" for reason, count in arm.error_reasons)
    errors = sum(arm.errors for arm in (report.teacher, *report.arms))
    estimated = " est." if any(arm.cost_estimated for arm in (report.teacher, *report.arms)) else ""
    cost = "unknown" if report.cost_usd is None else f"${report.cost_usd:.4g}{estimated}"
    spent = "unknown" if report.spent_usd is None else f"${report.spent_usd:.4g}"
    reused = f" ({report.reused} from an earlier run)" if report.reused else ""
    share = f"{errors / max(1, report.samples):.1%}"
    seconds = f"{report.seconds:.0f} s"
    lines.append(
        f" {report.samples} samples{reused} · errors {share} (not scored) · cost {cost}, now paid {spent} · {seconds}"
    )
    return lines


def _against_today(report: EvalReport) -> list[str]:
    """What the skill saves against the program's own prompt: at the list price, and as it was really paid."""
    if report.today is None:
        return []
    today = report.arm(report.today)
    real, listed = (_dollars(usd, today.cost_estimated) for usd in (today.usd_per_1000, today.list_usd_per_1000))
    lines = [f" {today.student}: {listed} per 1,000 at the list price, {real} really paid with its cache hits"]
    for arm in report.arms:
        versus = arm.versus_today
        if arm.kind != "skill" or versus is None:
            continue
        says = [f"{_saved(versus.saving_list)} at the list price, {_saved(versus.saving_real)} really paid"]
        if versus.difference is not None:
            says.append(_gap(versus.difference))
        says.append(_repaid(report, arm))
        lines.append(f" {_label(report, arm)} against it: {'; '.join(part for part in says if part)}")
    return lines


def _gap(difference: float) -> str:
    points = _points(abs(difference))
    return "as often right" if points == "0" else f"{points} points {'better' if difference > 0 else 'worse'}"


def _repaid(report: EvalReport, arm: ArmReport) -> str:
    """When making the skill is paid back; said where it is known, and where it never is."""
    versus = arm.versus_today
    if arm.name in report.repaid_after:
        return f"making it took ${report.made_usd:.4g}, repaid after {report.repaid_after[arm.name]:,} calls"
    saved = None if versus is None else versus.saved_usd_per_1000
    if saved is not None and saved <= 0:
        return "never repaid: it costs no less"
    return "what making it took is unknown, so when it is repaid is too" if report.made_usd is None else ""


def _saved(share: float | None) -> str:
    from skillforge.evals.versus_today import saving_text

    return "an unknown share" if share is None else saving_text(share)


def _floor(report: EvalReport) -> list[str]:
    """Said plainly: a student below the vote of its own examples adds nothing but cost."""
    floor = next((arm.quality for arm in report.arms if arm.kind == "no-model"), None)
    below = [arm for arm in report.arms if arm.kind == "skill" and None not in (arm.quality, floor)]
    return [
        f" no-model is better than {_label(report, arm)}:"
        " a vote of the nearest examples answers these labels without a model"
        for arm in below
        if (arm.quality or 0.0) < (floor or 0.0)
    ]


def _noise(teacher: ArmReport) -> list[str]:
    """How far teacher and labels differ, by the metric and by field: no student can be measured finer than that."""
    wrong = round((1 - (teacher.quality or 0.0)) * teacher.n)
    apart = [f"{name} {round((1 - share) * teacher.n)}" for name, share in teacher.fields.items() if share < 1]
    if not wrong and not apart:
        return []
    by_field = f"; by field: {', '.join(apart)}" if apart else ""
    return [f" teacher and labels differ on {wrong} of {teacher.n} cases{by_field}: that is the teacher's own noise"]


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}%"


def _points(value: float) -> str:
    return f"{100 * value:.1f}".removesuffix(".0")


def _dollars(value: float | None, estimated: bool) -> str:
    if value is None:
        return "$ unknown"
    if value == 0:
        return "$0"
    return f"${value:.2f}{' est.' if estimated else ''}"


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f} s" if value < 10 else f"{value:.0f} s"


def _count(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}"
