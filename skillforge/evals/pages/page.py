"""A report as one HTML page that loads nothing: verdict, pictures, tables, and every case to be looked at."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from skillforge.evals.pages.besides import GROUP_HEAD, Besides
from skillforge.evals.pages.charts import intervals, scatter
from skillforge.evals.pages.data import page_arms, page_cases, script_json
from skillforge.evals.pages.groups import Group, lost_groups
from skillforge.evals.pages.rows import CaseRow
from skillforge.evals.pages.values import Clean
from skillforge.evals.report import ArmReport, EvalReport
from skillforge.evals.wording import remarks
from skillforge.evals.wording.differences import behaviour_notes, behaviour_pairs, soft_notes, soft_tables
from skillforge.evals.wording.reading import (
    arm_lines,
    badge,
    best,
    dollars,
    headline,
    label,
    measured_in,
    percent,
    seconds,
    signed,
    word,
)
from skillforge.evals.wording.rungs import RUNG_HEAD, ladders, rung_rows
from skillforge.version import __version__


@dataclass(frozen=True, slots=True)
class Table:
    name: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def html_page(report: EvalReport, rows: Callable[[], Iterator[CaseRow]], clean: Clean, besides: Besides) -> str:
    """One HTML document. Texts stand in it as text only: the template escapes, the script sets text nodes, and a
    content security policy lets nothing else run or load.
    """
    line = best(report)
    groups = [] if line is None else lost_groups(rows(), line.arm.name, line.versus.lost, clean)
    arms = page_arms(report, rows())
    cases = page_cases(report, rows(), [arm["name"] for arm in arms], clean)
    style, script = _asset("page.css"), _asset("page.js")
    values: dict[str, Any] = {
        "report": report,
        "best": line,
        "lines": arm_lines(report),
        "title": f"{report.skill}: {badge(report)}",
        "over": _over(report, besides),
        "headline": headline(report),
        "rule": remarks.rule(report),
        "measured": [*besides.notes, *remarks.measured(report)],
        "helped": remarks.helped(report),
        "chart": intervals(report),
        "dots": scatter(report),
        "unit": measured_in(report),
        "words": {verdict: word(report, verdict) for verdict in ("pass", "fail")},
        "tables": _tables(report, besides),
        "groups": groups,
        "cases": cases,
        "soft": [] if besides.soft is None else soft_tables(report, besides.soft),
        "soft_notes": [] if besides.soft is None else soft_notes(report, besides.soft),
        "pairs": [] if besides.behaviour is None else behaviour_pairs(report, besides.behaviour),
        "pair_notes": [] if besides.behaviour is None else behaviour_notes(besides.behaviour),
        "judges": remarks.judges(report),
        "spend": _spend(report),
        "footer": _footer(report, besides),
        "data": _safe(script_json(_head(report, arms, groups), cases.items)),
    }
    page: str = _template().render(
        **values,
        sections=_sections(values),
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
    )
    return page


def _over(report: EvalReport, besides: Besides) -> str:
    suite = [f"suite {report.suite}", f"split {report.split}"] if report.suite_digest else []
    return " · ".join([f"skillforge {besides.command}", *suite])


def _footer(report: EvalReport, besides: Besides) -> str:
    """By what it was made and of what; of lines that were given, and of recorded outputs, not all is known."""
    what = "outputs" if besides.command == "compare" else "skill"
    digests = {what: report.digest[:19], "suite": report.suite_digest[:19]}
    return " · ".join(
        [f"skillforge {__version__}", *(f"{name} {digest}" for name, digest in digests.items() if digest)]
    )


@cache
def _template() -> Any:
    import jinja2

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters["sentence"] = _sentence
    return environment.from_string(_asset("page.html"))


def _asset(name: str) -> Any:
    """A file of the page, written for it: the only texts that are markup, style or script."""
    text = files("skillforge.evals.pages").joinpath(name).read_text("utf-8")
    return text if name.endswith(".html") else _safe(text)


def _safe(text: str) -> Any:
    """A text that the template takes as it is."""
    from markupsafe import Markup

    return Markup(text)


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _head(report: EvalReport, arms: Sequence[dict[str, str]], groups: Sequence[Group]) -> dict[str, Any]:
    """What the script knows besides the cases. ``first`` is the arm shown beside the teacher."""
    line = best(report) or next(iter(arm_lines(report)), None)
    names = [arm["name"] for arm in arms]
    return {
        "arms": [{"label": arm["label"]} for arm in arms],
        "groups": [{"what": group.what, "lost": group.lost} for group in groups],
        "first": names.index(line.arm.name) if line is not None else min(1, len(names) - 1),
        "reference": "Label",
    }


def _sections(values: dict[str, Any]) -> list[tuple[str, str]]:
    named = [
        ("verdict", "Verdict", True),
        ("helped", "What helped", values["helped"]),
        ("difference", "Difference", values["chart"]),
        ("cost", "Cost", values["dots"]),
        ("arms", "Arms", True),
        ("groups", "Where it got worse", values["groups"]),
        ("soft", "Probabilities", values["soft"] or values["soft_notes"]),
        ("behaviour", "Behaviour", values["pairs"]),
        ("cases", "Cases", True),
        ("judges", "Judges", values["judges"]),
        ("spend", "Spend", True),
    ]
    return [(place, name) for place, name, there in named if there]


def _tables(report: EvalReport, besides: Besides) -> list[Table]:
    arms = (report.teacher, *report.arms)
    tables = [_quality_table(report, arms), _cost_table(report, arms)]
    tables += [Table(f"Who answered: {label(report, arm)}", RUNG_HEAD, rung_rows(arm)) for arm in ladders(report)]
    fields = list(dict.fromkeys(name for arm in arms for name in arm.fields))
    if fields:
        rows = [[label(report, arm), *(percent(arm.fields.get(name)) for name in fields)] for arm in arms]
        tables.append(Table("By field", ["arm", *fields], rows))
    others = list(dict.fromkeys(name for arm in arms for name in arm.scores))
    if len(others) > 1:
        rows = [[label(report, arm), *(_score(arm, name) for name in others)] for arm in arms]
        tables.append(Table("By scorer (mean, cases)", ["arm", *others], rows))
    if besides.groups:
        tables.append(Table("By group", GROUP_HEAD, besides.group_rows()))
    return tables


def _score(arm: ArmReport, name: str) -> str:
    figures = arm.scores.get(name)
    if figures is None:
        return "–"
    failed = f", {figures.errors} failed" if figures.errors else ""
    return f"{percent(figures.mean)} ({figures.n:,}{failed})"


def _quality_table(report: EvalReport, arms: Sequence[ArmReport]) -> Table:
    head = ["arm", "cases", measured_in(report), "95% interval", "difference", "interval", "worse", "better"]
    rows = []
    for arm in arms:
        versus = arm.versus_teacher
        whole = [label(report, arm), f"{arm.n:,}", percent(arm.quality)]
        whole.append(f"{100 * arm.bounds.low:.1f} to {100 * arm.bounds.high:.1f}" if arm.n else "–")
        if versus is None:
            whole += ["–"] * 4
        else:
            whole += [signed(versus.difference), f"{signed(versus.bounds.low)} to {signed(versus.bounds.high)}"]
            whole += [f"{len(versus.lost):,}", f"{len(versus.gained):,}"]
        rows.append(whole)
    return Table("Quality, and the difference to the teacher in points", head, rows)


def _cost_table(report: EvalReport, arms: Sequence[ArmReport]) -> Table:
    head = ["arm", "$ per 1,000", "list price", "tokens in", "out", "p50", "p95", "checks passed", "repaired", "errors"]
    flows = any(arm.model_calls is not None for arm in arms)
    head += ["model calls", "tool calls"] if flows else []
    rows = [
        [
            label(report, arm),
            dollars(arm.usd_per_1000, arm.cost_estimated),
            dollars(arm.list_usd_per_1000, arm.cost_estimated),
            _count(arm.input_tokens),
            _count(arm.output_tokens),
            seconds(arm.p50_s),
            seconds(arm.p95_s),
            percent(arm.checks_passed),
            f"{arm.repaired:,}",
            f"{arm.errors:,}",
            *([_mean_of(arm.model_calls), _mean_of(arm.tool_calls)] if flows else []),
        ]
        for arm in arms
    ]
    return Table("Cost, speed, reliability", head, rows)


def _mean_of(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def _count(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def _spend(report: EvalReport) -> list[str]:
    told = [remarks.spent(report), *remarks.against_today(report)]
    return [*told, *remarks.teachers_noise(report), *remarks.errors(report)]


def _sentence(text: str) -> str:
    """With a capital at its beginning, unless a name stands there (``no-model``, ``smollm2-135m``)."""
    first = text.partition(" ")[0]
    return text[:1].upper() + text[1:] if first.isalpha() else text
