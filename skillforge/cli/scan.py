"""``skillforge scan``: which calls recur, what they cost, which of them are worth a skill."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skillforge.canonical import compact
from skillforge.cli._asking import visible
from skillforge.cli._shared import aligned, as_json, note, open_forge, print_json
from skillforge.cli.cost import dollars
from skillforge.cli.log import CallCounter
from skillforge.errors import UsageError

if TYPE_CHECKING:
    from skillforge.traffic.groups import CallGroup, Span
    from skillforge.traffic.scan import ScanReport
    from skillforge.traffic.skeleton import Skeleton, Turn

_MOST_CHARACTERS = 4_000  # of one constant that --show prints


def scan(
    logs: Annotated[
        list[Path] | None, typer.Argument(metavar="LOGS", help="Log files (default: the stored calls).")
    ] = None,
    limit: Annotated[int, typer.Option(help="At most so many groups.")] = 20,
    show: Annotated[
        str | None, typer.Option(metavar="GROUP", help="Show one group: what is constant, what varies, a contract.")
    ] = None,
    json_out: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Show which model calls recur and what they cost.

    And which of them are worth a skill. Calls are grouped by what is constant in their prompts. The groups are kept:
    suites and skills are made of them by name. VARIES is 0% where every answer is the same and 100% where no two are.
    Calls of unknown cost are counted apart and never taken for free.

    Examples:

    \b
      skillforge scan calls.jsonl
      skillforge scan --show route-support-tickets
      skillforge scan 2026-11-*.jsonl.gz --json
    """
    if limit < 1:
        raise UsageError("--limit must be at least 1", hint="leave it out to see up to 20 groups")
    shown = CallCounter()
    with open_forge() as forge:
        report = None
        if logs or show is None:
            try:
                report = forge.traffic.scan(logs or (), on_calls=shown)
            finally:
                shown.clear()
        group = forge.traffic.group(show) if show is not None else None
    if group is not None:
        _show(group, json_out=json_out)
    elif report is not None:
        _report(report, limit, json_out=json_out)


def _report(report: ScanReport, limit: int, *, json_out: bool) -> None:
    if json_out:
        told = as_json(report)
        print_json({**told, "groups": told["groups"][:limit], "summary": report.summary})
        return
    if not report.calls:
        note("no calls: skillforge log import FILE, forge.wrap(client), or skillforge scan FILE")
        return
    if report.groups:
        per_month = all(group.monthly_usd is not None for group in report.groups)
        money = "A MONTH" if per_month else "IN THE LOG"
        bill = {"usd": "OF BILL", "tokens": "OF TOKENS", "calls": ""}[report.by]
        table = [["NAME", "ID", "KIND", "CALLS", "OF CALLS", money, bill, "VARIES", "WORTH A SKILL"]]
        table += [_row(group, per_month=per_month, by=report.by) for group in report.groups[:limit]]
        shown = [[cell for cell, head in zip(row, table[0], strict=True) if head] for row in table]
        for line in aligned(shown, left={0, 1, 2, len(shown[0]) - 1}):
            typer.echo(line)
        if len(report.groups) > limit:
            typer.echo(f"… and {len(report.groups) - limit} more (--limit)")
        typer.echo("")
    rest = f"; {report.rest.calls:,} of {report.calls:,} calls do not recur" if report.groups else ""
    typer.echo(f"{report.summary}{rest}")
    _say_what_is_unknown(report)
    first = next(iter(report.worth), None)
    if first is not None:
        note(f"next: skillforge suite from-log {first.name}")


def _say_what_is_unknown(report: ScanReport) -> None:
    if report.span is not None and report.groups and report.groups[0].span is not None:
        known = report.groups[0].monthly_usd is not None
        short = "" if report.total.unknown else ": too short to say what a month costs"
        note(f"the log spans {_length(report.span)}{': put to 30 days' if known else short}")
    if unknown := report.total.unknown:
        left = "they are left out of the bill" if report.by == "usd" else f"shares are of the {report.by}"
        note(f"the cost of {unknown:,} of {report.calls:,} calls is unknown: {left}")
        if report.total.uncounted:
            note("  -> where no tokens are told, ask for them: stream_options.include_usage in OpenAI's chat streams")
        if unknown > report.total.uncounted:
            note('  -> where no price is known, give it in skillforge.toml: a price under [models."SERVER:MODEL"]')
    if report.sampled < 1:
        note(f"a large log: groups were looked for in {report.sampled:.0%} of its different prompts")


def _row(group: CallGroup, *, per_month: bool, by: str) -> list[str]:
    usd = group.monthly_usd if per_month else group.usd
    money = "unknown" if group.unknown == group.calls or usd is None else dollars(usd)
    return [
        group.name,
        group.id,
        group.kind,
        f"{group.calls:,}",
        f"{group.share:.1%}",
        money + ("+" if 0 < group.unknown < group.calls else ""),
        "-" if by == "usd" and group.unknown == group.calls else f"{group.cost_share:.1%}",
        "-" if group.variability is None else f"{group.variability:.0%}",
        f"{'yes' if group.worth else 'no'}: {group.why}",
    ]


def _length(span: Span) -> str:
    if span.hours < 1:
        return "less than an hour"
    return f"{span.hours / 24:.1f} days" if span.hours >= 48 else f"{span.hours:.1f} hours"


def _show(group: CallGroup, *, json_out: bool) -> None:
    if json_out:
        print_json(as_json(group))
        return
    models = ", ".join(f"{visible(model)} ({count:,})" for model, count in group.models.items())
    typer.echo(f"{group.name} ({group.id}): {group.calls:,} calls, {group.kind}, {models}")
    typer.echo(f"{'worth a skill' if group.worth else 'not worth a skill yet'}: {group.why}")
    typer.echo("\nThe prompt, with what varies in [[brackets]]:")
    for line in _skeleton(group.skeleton):
        typer.echo(f"  {line}")
    if group.draft is None:
        typer.echo("\nNo contract can be made of it.")
        return
    draft = group.draft
    typer.echo("\nDraft contract:")
    typer.echo(f"  task    {visible(draft.task)}")
    for side, fields in (("input", draft.input), ("output", draft.output)):
        for name, schema in fields.items() if isinstance(fields, dict) else [("text", {})]:
            typer.echo(f"  {side:<7} {visible(name)}{': ' + visible(compact(schema)) if schema else ''}")
    note(f"next: skillforge suite from-log {group.name}")


def _skeleton(skeleton: Skeleton) -> list[str]:
    lines: list[str] = []
    for turn in skeleton.turns:
        if text := _turn(turn):
            lines.append(f"{turn.role}:")
            lines += [f"  {line}" for line in text.split("\n")]
    lines += ["[[history]]", "[[message]]"] if skeleton.open else []
    tools = "[[tools]]" if skeleton.tools is None else ", ".join(map(visible, skeleton.tools))
    return [*lines, f"tools: {tools}"] if tools else lines


def _turn(turn: Turn) -> str:
    texts = [text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]} …" for text in turn.texts]
    shown = turn.model_copy(update={"texts": tuple(map(visible, texts))})
    return shown.render({gap: f"[[{gap}]]" for gap in turn.gaps}).strip()
