"""An eval report on a terminal: one line of verdict an arm, then the figures, then what to do next."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from skillforge.cli._shared import aligned
from skillforge.evals.wording.words import many

if TYPE_CHECKING:
    from skillforge.evals.report import ArmReport, EvalReport
    from skillforge.evals.soft import Soft

STYLES = {"pass": "bold green", "fail": "bold red", "inconclusive": "bold yellow"}
_WIDE = 80  # columns: figures that are wider have their fields in a table of their own


def render_report(report: EvalReport, soft: Soft | None = None) -> None:
    """Print the report on stdout: colours on a terminal only (and not with NO_COLOR), no line ever cut. ``soft`` is how
    sure the arms were.
    """
    from skillforge.evals.wording.reading import arm_lines, headline

    plain = bool(os.environ.get("NO_COLOR"))  # rich alone would still write bold and dim
    console = Console(highlight=False, soft_wrap=True, color_system=None if plain else "auto")
    console.print(Text(headline(report), style="bold"))
    read = arm_lines(report)
    rows = [[line.word, line.label, line.quality, f"· {line.cost} · {line.p95}", line.says] for line in read]
    for line, shown in zip(read, aligned(rows, left=range(5)), strict=True):
        text = Text(" " + shown)
        text.stylize(STYLES[line.versus.verdict], 1, 1 + len(line.word))
        console.print(text)
    for table in _figures(report):
        for number, shown in enumerate(table):
            console.print(Text(" " + shown, style="dim" if number == 0 else ""))
    for number, shown in enumerate(_rungs(report)):
        console.print(Text(" " + shown, style="dim" if number == 0 else ""))
    if soft is not None:
        from skillforge.evals.wording.differences import soft_lines

        for told in soft_lines(report, soft):
            console.print(Text(" " + told))
    for note in _footer(report):
        console.print(Text(" " + note))


def _figures(report: EvalReport) -> list[list[str]]:
    """The figures as lines: one table, or two where fields would make it wider than a terminal."""
    from skillforge.evals.wording.reading import label, measured_in, one_line, percent

    arms = (report.teacher, *report.arms)
    names = [label(report, arm) for arm in arms]
    head = ["arm", measured_in(report), "95% interval"]
    flows = any(arm.model_calls is not None for arm in arms)  # asked how often, and what did they call
    rest = [*(["model+tool calls"] if flows else []), "checks", "repaired", "tokens", "p50", "p95", "errors"]
    fields = list(dict.fromkeys(name for arm in arms for name in arm.fields))
    first = [[name, *_quality(report, arm)] for name, arm in zip(names, arms, strict=True)]
    middle = [[percent(arm.fields.get(field)) for field in fields] for arm in arms]
    last = [[*([_calls(arm)] if flows else []), *_costs(arm)] for arm in arms]
    shown = [one_line(field) for field in fields]
    whole = [[*head, *shown, *rest], *([*a, *b, *c] for a, b, c in zip(first, middle, last, strict=True))]
    lines = aligned(whole, left=range(1))
    if not fields or max(map(len, lines)) < _WIDE:
        return [lines]
    apart = [["by field", *shown], *([name, *row] for name, row in zip(names, middle, strict=True))]
    rows = [[*head, *rest], *([*a, *c] for a, c in zip(first, last, strict=True))]
    return [aligned(rows, left=range(1)), aligned(apart, left=range(1))]


def _rungs(report: EvalReport) -> list[str]:
    """Who answered on the ladders, as one table: above the rungs of each stands its name."""
    from skillforge.evals.wording.reading import label
    from skillforge.evals.wording.rungs import RUNG_HEAD, ladders, rung_rows

    found = ladders(report)
    if not found:
        return []
    head, *lines = aligned([list(RUNG_HEAD), *(row for arm in found for row in rung_rows(arm))], left=range(1))
    shown = [head]
    for arm in found:
        shown += [f"{label(report, arm)}:"] if len(found) > 1 else []
        shown += [lines.pop(0) for _ in arm.rungs]
    return shown


def _quality(report: EvalReport, arm: ArmReport) -> list[str]:
    from skillforge.evals.wording.reading import percent

    if arm.quality is None or (report.reference == "teacher" and arm == report.teacher and not report.second_pass):
        return ["–", "–"]
    return [percent(arm.quality), f"{100 * arm.bounds.low:.1f}–{100 * arm.bounds.high:.1f}"]


def _costs(arm: ArmReport) -> list[str]:
    from skillforge.evals.wording.reading import percent, seconds

    return [
        percent(arm.checks_passed),
        str(arm.repaired),
        f"{_count(arm.input_tokens)}+{_count(arm.output_tokens)}",
        seconds(arm.p50_s),
        seconds(arm.p95_s),
        str(arm.errors),
    ]


def _calls(arm: ArmReport) -> str:
    return "–" if arm.model_calls is None else f"{arm.model_calls:.1f}+{arm.tool_calls or 0:.1f}"


def _footer(report: EvalReport) -> list[str]:
    from skillforge.evals.running.arms import DEPLOYABLE
    from skillforge.evals.wording import remarks

    lines = list(remarks.measured(report))
    lines.extend(remarks.helped(report))
    first = next((arm for arm in report.arms if arm.kind in DEPLOYABLE), None)
    versus = first.versus_teacher if first else None
    if versus is not None and (versus.lost or versus.gained) and not report.against_itself:
        see = f": `skillforge show {report.skill} --lost`" if versus.lost else ""
        lines.append(f"{many(len(versus.lost), 'case')} got worse, {len(versus.gained):,} better{see}")
    lines.extend(remarks.against_today(report))
    lines.extend(remarks.judges(report))
    lines.extend(remarks.teachers_noise(report))
    lines.extend(remarks.errors(report))
    return [*lines, remarks.spent(report)]


def _count(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}"
