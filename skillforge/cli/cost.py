"""``skillforge cost``: what was asked, what it cost, what the skills saved."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from skillforge.cli._shared import aligned, as_json, note, open_forge, print_json
from skillforge.errors import UsageError

if TYPE_CHECKING:
    from skillforge.forge.making.costs import CostReport, Payback

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}(T[\d:.]+Z?)?")


def cost(
    by: Annotated[str, typer.Option(help="What is summed up: skill, tag, student or day.")] = "skill",
    tag: Annotated[str, typer.Option(help="Only this tag, with --by tag: --tag customer.")] = "",
    since: Annotated[str, typer.Option(help="From this day on (UTC): 2026-11-01.")] = "",
    json_out: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Show what calls cost, and what skills saved.

    Runs of skills and recorded calls, and whether making the skills is paid back. A saving is against what the same
    calls cost before: the recorded calls of the arm today, else the teacher's price in the newest eval. What is not
    known is said, never taken for zero.

    Examples:

    \b
      skillforge cost
      skillforge cost --by tag --tag customer
      skillforge cost --by day --since 2026-11-01 --json
    """
    from skillforge.store.spending import By

    if by not in get_args(By):
        raise UsageError(f"--by {by}: nothing to sum by", hint=f"one of {', '.join(get_args(By))}")
    if since and not _DAY.fullmatch(since):
        raise UsageError(f"--since {since}: not a day", hint="write it as 2026-11-01")
    with open_forge() as forge:
        report = forge.repository.cost(by=cast(By, by), tag=tag, since=since)
    if json_out:
        print_json(as_json(report))
        return
    _render(report, tag)


def _render(report: CostReport, tag: str) -> None:
    if not report.lines and report.tags:
        since = f" since {report.since}" if report.since else ""
        note(f"no call has the tag {tag}{since}; there are: {', '.join(report.tags)}")
    elif not report.lines:
        note("nothing was run or recorded yet: skillforge run, forge.wrap(client), or skillforge log import FILE")
    else:
        table = [[report.by.upper(), "SERVED BY", "CALLS", "COST", "SAVED", "COST UNKNOWN"]]
        for line in report.lines:
            who = "a skill" if line.served else "a model"
            saved = "" if line.saved_usd is None else dollars(line.saved_usd)
            known = dollars(line.usd) if line.unknown < line.runs else "unknown"
            table.append(
                [line.key or "-", who, f"{line.runs:,}", known, saved, f"{line.unknown:,}" if line.unknown else ""]
            )
        for text in aligned(table, left={0, 1}):
            typer.echo(text)
    for payback in report.paybacks:
        typer.echo(payback_line(payback))


def payback_line(payback: Payback) -> str:
    """Whether a skill is paid back, in one sentence."""
    made = "an unknown sum" if payback.made_usd is None else dollars(payback.made_usd)
    start = f"{payback.skill}: making and measuring it took {made}"
    if not payback.runs:
        return f"{start}; nothing was run yet"
    if payback.saved_usd is None:
        return f"{start}; what a call cost before is not known: measure it with a suite from your log"
    verb = "saved" if payback.saved_usd >= 0 else "cost more by"
    runs = "1 run" if payback.runs == 1 else f"{payback.runs:,} runs"
    told = f"{start}; {runs} {verb} {dollars(abs(payback.saved_usd))} against {payback.basis}"
    if payback.reached:
        return f"{told}: paid back"
    if payback.calls_left is not None:
        return f"{told}: paid back after {payback.calls_left:,} more"
    return told if payback.reached is None else f"{told}: not paid back"


def dollars(usd: float) -> str:
    """US dollars with as many digits as it takes to see something: $12.30, $0.0041."""
    if usd and abs(usd) < 0.01:
        return f"${usd:.2g}" if abs(usd) >= 1e-4 else f"${usd:.1e}"
    return f"${usd:,.2f}"
