"""A report as Markdown for a pull request: a line to be seen from afar, the verdicts, and the rest folded away."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from skillforge.evals.pages.besides import GROUP_HEAD, Besides
from skillforge.evals.pages.groups import lost_groups
from skillforge.evals.pages.rows import CaseRow
from skillforge.evals.pages.values import Clean
from skillforge.evals.report import EvalReport
from skillforge.evals.wording import remarks
from skillforge.evals.wording.differences import (
    ToldTable,
    behaviour_notes,
    behaviour_pairs,
    soft_notes,
    soft_tables,
)
from skillforge.evals.wording.reading import (
    ArmLine,
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
)
from skillforge.evals.wording.rungs import RUNG_HEAD, ladders, rung_rows
from skillforge.markdowntext import code, plain

_CASES = 20  # lost cases named
_PAIRS = 3  # of arms whose behaviour is told; a page tells more
_SENTENCE = 1000  # characters of one


def markdown(report: EvalReport, rows: Callable[[], Iterator[CaseRow]], clean: Clean, besides: Besides) -> str:
    """Badge, headline, a table of verdicts, what helped and what to beware of; groups, figures, lost cases,
    judges and spend folded.

    Every text is escaped: nothing in it is Markdown, HTML, a mention or a link.
    """
    line = best(report)
    told = f"### {line.word}: {plain(badge(report))}" if line else f"### {plain(badge(report))}"
    parts = [told, plain(headline(report)), _verdicts(report), _list([*remarks.helped(report), *besides.notes])]
    parts.append(_folded("By group", [_groups(besides)]))
    parts.append(_folded("Who answered", _rungs(report)))
    parts.append(_folded("Figures", [_figures(report), _list(remarks.measured(report)), _rule(report)]))
    parts.append(_folded("Cases that got worse", _lost(report, line, rows, clean)))
    parts.append(_folded("Probabilities", _soft(report, besides)))
    parts.append(_folded("Behaviour", _behaviour(report, besides)))
    parts.append(_folded("Judges", [_list(remarks.judges(report))]))
    money = [*remarks.against_today(report), *remarks.errors(report), remarks.spent(report)]
    parts.append(_folded("Spend", [_list(money)]))
    return "\n\n".join(part for part in parts if part) + "\n"


def _verdicts(report: EvalReport) -> str:
    lines = arm_lines(report)
    if not lines:
        return ""
    share = measured_in(report)
    level = f"{100 * lines[0].versus.bounds.level:.4g}%"
    head = ["verdict", "arm", share, f"difference in points ({level})", "$ per 1,000", "p95", ""]
    rows = []
    for line in lines:
        bounds = line.versus.bounds
        gap = f"{signed(line.versus.difference)} ({signed(bounds.low)} to {signed(bounds.high)})"
        verdict = f"**{line.word}**"
        quality = percent(line.arm.quality)
        rows.append(
            [
                verdict,
                code(line.label),
                quality,
                gap,
                plain(line.cost),
                seconds(line.arm.p95_s),
                plain(line.says, _SENTENCE),
            ]
        )
    return _table(head, rows)


def _figures(report: EvalReport) -> str:
    head = [
        "arm",
        "n",
        measured_in(report),
        "95% interval",
        "checks",
        "p50",
        "p95",
        "$ per 1,000",
        "list price",
        "errors",
    ]
    arms = (report.teacher, *report.arms)
    flows = any(arm.model_calls is not None for arm in arms)
    head += ["model calls", "tool calls"] if flows else []
    rows = []
    for arm in arms:
        bounds = f"{100 * arm.bounds.low:.1f} to {100 * arm.bounds.high:.1f}"
        listed = dollars(arm.list_usd_per_1000, arm.cost_estimated)
        paid = dollars(arm.usd_per_1000, arm.cost_estimated)
        times = [seconds(arm.p50_s), seconds(arm.p95_s)]
        shares = [percent(arm.quality), bounds, percent(arm.checks_passed)]
        calls = [_mean_of(arm.model_calls), _mean_of(arm.tool_calls)] if flows else []
        rows.append([code(label(report, arm)), str(arm.n), *shares, *times, paid, listed, str(arm.errors), *calls])
    return _table(head, rows)


def _rungs(report: EvalReport) -> Iterator[str]:
    for arm in ladders(report):
        rows = [[code(name), *map(plain, rest)] for name, *rest in rung_rows(arm)]
        yield code(label(report, arm))
        yield _table(RUNG_HEAD, rows)


def _mean_of(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def _rule(report: EvalReport) -> str:
    suite = f" Suite {report.suite}, {report.suite_digest[:19]}." if report.suite_digest else ""  # outputs are no suite
    return plain(f"Rule: {remarks.rule(report)}.{suite}")


def _groups(besides: Besides) -> str:
    rows = [[plain(cell, _SENTENCE) for cell in row] for row in besides.group_rows()]
    return _table(GROUP_HEAD, rows) if rows else ""


def _lost(
    report: EvalReport, line: ArmLine | None, rows: Callable[[], Iterator[CaseRow]], clean: Clean
) -> Sequence[str]:
    if line is None or not line.versus.lost:
        return []
    lost, gained = line.versus.lost, line.versus.gained
    named = ", ".join(code(case) for case in lost[:_CASES])
    more = f" and {len(lost) - _CASES:,} more" if len(lost) > _CASES else ""
    told = f"{code(line.label)}: {len(lost):,} got worse, {len(gained):,} better: {named}{more}"
    groups = lost_groups(rows(), line.arm.name, lost, clean)
    return [told, _list([f"{group.what}: {_share(len(group.lost), group.total)}" for group in groups])]


def _soft(report: EvalReport, besides: Besides) -> list[str]:
    if besides.soft is None:
        return []
    tables = [_told(table) for table in soft_tables(report, besides.soft)]
    return [*tables, _list(soft_notes(report, besides.soft))]


def _behaviour(report: EvalReport, besides: Besides) -> list[str]:
    if besides.behaviour is None:
        return []
    parts = []
    for pair in behaviour_pairs(report, besides.behaviour)[:_PAIRS]:
        parts += [f"**{plain(pair.title)}**: {plain(pair.lead, _SENTENCE)}", _list(pair.notes)]
        parts += [_told(table) for table in pair.tables]
        if pair.worst:
            parts.append("Look at " + ", ".join(f"{code(case)} ({plain(why)})" for case, why in pair.worst))
    return [*parts, _list(behaviour_notes(besides.behaviour))]


def _told(table: ToldTable) -> str:
    return _table(list(map(plain, table.head)), [[plain(cell) for cell in row] for row in table.rows])


def _share(lost: int, total: int) -> str:
    return f"{lost:,} of {total:,} lost" if total else f"{lost:,} lost"


def _list(lines: Sequence[str]) -> str:
    return "\n".join(f"- {plain(line, _SENTENCE)}" for line in lines)


def _folded(title: str, parts: Iterable[str]) -> str:
    body = "\n\n".join(part for part in parts if part)
    return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>" if body else ""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
