"""An eval report as people read it: one line of verdict an arm, then the figures, then what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from skillforge.evals.report import ArmReport, Comparison, EvalReport

WORDS = {"pass": "REPLACE", "fail": "KEEP", "inconclusive": "NOT SURE"}
STYLES = {"pass": "bold green", "fail": "bold red", "inconclusive": "bold yellow"}


def render_report(report: EvalReport) -> None:
    """Print the report on stdout: plain without a terminal or with NO_COLOR, never cut at the edge."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(_headline(report))
    console.print(_verdicts(report))
    console.print(_figures(report))
    for line in _footer(report):
        console.print(line)


def _headline(report: EvalReport) -> str:
    teacher = report.teacher
    unseen = "unseen " if report.split == "test" else ""
    price = _dollars(teacher.usd_per_1000, teacher.cost_estimated)
    model = teacher.model or teacher.student
    parts = [
        f"{report.skill} v{report.version}",
        f"{report.cases} {unseen}cases ({report.suite}, {report.split})",
        f"teacher {model}: {_percent(teacher.quality)} right, {price} per 1,000, p95 {_seconds(teacher.p95_s)}",
    ]
    return " · ".join(parts)


def _verdicts(report: EvalReport) -> Table:
    table = Table(box=None, pad_edge=True, padding=(0, 1), show_header=False)
    for column in ("verdict", "arm", "quality", "cost", "words"):
        table.add_column(column, no_wrap=True)
    order = {"skill": 0, "no-model": 1, "bare": 2}
    for arm in sorted(report.arms, key=lambda item: order.get(item.kind, 3)):
        versus = arm.versus_teacher
        if versus is None:
            continue
        table.add_row(
            Text(WORDS[versus.verdict], style=STYLES[versus.verdict]),
            arm.name,
            f"{_percent(arm.quality)} right",
            f"{_dollars(arm.usd_per_1000, arm.cost_estimated)}{_saved(versus)}",
            _sentence(report, arm, versus),
        )
    return table


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
        else "more cases will not help: the gap is too near what you allow"
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


def _figures(report: EvalReport) -> Table:
    table = Table(box=None, pad_edge=True, padding=(0, 1), header_style="dim", title_justify="left")
    fields = list(report.teacher.fields)
    table.add_column("arm", no_wrap=True)
    columns = ["right", "95% interval", *fields, "checks", "repaired", "tokens in/out", "p50", "p95", "errors"]
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    for arm in (report.teacher, *report.arms):
        table.add_row(
            arm.name,
            _percent(arm.quality),
            f"{100 * arm.bounds.low:.1f}–{100 * arm.bounds.high:.1f}",
            *[_percent(arm.fields.get(name)) for name in fields],
            _percent(arm.checks_passed),
            str(arm.repaired),
            f"{_count(arm.input_tokens)}/{_count(arm.output_tokens)}",
            _seconds(arm.p50_s),
            _seconds(arm.p95_s),
            str(arm.errors),
        )
    return table


def _footer(report: EvalReport) -> list[str]:
    lines = []
    skills = [arm for arm in report.arms if arm.kind == "skill" and arm.versus_teacher]
    for arm in skills[:1]:
        versus = arm.versus_teacher
        if versus is not None and (versus.lost or versus.gained):
            lines.append(
                f" {len(versus.lost)} cases got worse, {len(versus.gained)} better: "
                f"`skillforge show {report.skill} --lost`"
            )
    if report.reference == "labels" and report.teacher.quality is not None:
        wrong = round((1 - report.teacher.quality) * report.teacher.n)
        lines.append(f" the teacher differs from the labels on {wrong} of {report.teacher.n} cases: its own noise")
    errors = sum(arm.errors for arm in (report.teacher, *report.arms))
    estimated = " est." if any(arm.cost_estimated for arm in (report.teacher, *report.arms)) else ""
    spent = "unknown" if report.spent_usd is None else f"${report.spent_usd:.4g}{estimated}"
    reused = f", {report.reused} of them from an earlier run" if report.reused else ""
    lines.append(
        f" {report.samples} samples{reused} · errors {errors / max(1, report.samples):.1%} (not scored)"
        f" · spent {spent} · {report.seconds:.0f} s"
    )
    return lines


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


def _saved(versus: Comparison) -> str:
    return "" if versus.saving is None else f" ({-100 * versus.saving:+.0f}%)"


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f} s" if value < 10 else f"{value:.0f} s"


def _count(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}"
