"""The flags of commands that ask models: a budget, a recording, a look at the cost first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skillforge.cli._shared import aligned, as_json, note, print_json

if TYPE_CHECKING:
    from skillforge.forge.making.estimate import Estimate, Expense
    from skillforge.forge.session import Terms

BudgetOption = Annotated[
    float | None,
    typer.Option("--budget", metavar="DOLLARS", help="Stop before a call that could cost more than is left of this."),
]
RecordOption = Annotated[
    Path | None, typer.Option("--record", metavar="DIR", help="Write every answer to a recording in this folder.")
]
ReplayOption = Annotated[
    Path | None, typer.Option("--replay", metavar="DIR", help="Take every answer from such a recording: no network.")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Print calls, tokens and dollars, and ask nothing.")]


def terms_of(budget: float | None, record: Path | None, replay: Path | None) -> Terms:
    """Raises ``UsageError`` for flags that contradict each other."""
    from skillforge.forge.session import Terms

    return Terms(budget_usd=budget, record=record, replay=replay)


def render_estimate(estimate: Estimate, *, json_out: bool) -> None:
    """What would be asked, a line for each kind of call, and the sum."""
    if json_out:
        sums = {"calls": estimate.calls, "about_usd": estimate.about_usd, "at_most_usd": estimate.at_most_usd}
        print_json({**as_json(estimate), **sums})
        return
    head = ["", "model", "calls", "known", "input tokens", "output tokens", "about", "at most"]
    total = ["in all", "", f"{estimate.calls:,}", "", "", "", *_dollars(estimate.about_usd, estimate.at_most_usd)]
    for line in aligned([head, *map(_row, estimate.expenses), total], left=(0, 1)):
        typer.echo(line)
    note("nothing was asked. Tokens are estimates, four characters each; what a model thinks unseen comes on top.")
    loops = [each for each in estimate.expenses if each.bounds and each.calls]
    for loop in loops:
        note(f"{loop.what}: {loop.calls:,} loops with tools; how many turns each takes is unknown before it has run.")
        note(f"Each loop is bounded by {loop.bounds} (--max-turns, --max-tokens, --max-usd, --time-limit).")
    unpriced = sorted(
        {each.model for each in estimate.expenses if each.calls and each.at_most_usd is None and not each.bounds}
    )
    if not unpriced:
        note("At most: every answer as long as allowed, every call repaired once. --budget DOLLARS stops before more.")
    for model in unpriced:
        note(f'the price of {model} is unknown: set price = {{input = …, output = …}} under [models."{model}"]')
    if not unpriced and estimate.about_usd is None and not loops:
        note("about: unknown where cases have no expected answer to take the length from")


def _row(expense: Expense) -> list[str]:
    output = "unknown" if expense.output_tokens is None else f"{expense.output_tokens:,}"
    counts = [f"{expense.calls:,}", f"{expense.known:,}", f"{expense.input_tokens:,}", output]
    return [expense.what, expense.model, *counts, *_dollars(expense.about_usd, expense.at_most_usd)]


def _dollars(*amounts: float | None) -> list[str]:
    return [
        "unknown" if amount is None else f"${amount:,.4f}" if amount < 1 else f"${amount:,.2f}" for amount in amounts
    ]
