"""``skillforge judge align``: how far a judge agrees with people, and whether examples help it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skillforge.cli._shared import aligned, as_json, help_when_bare, note, open_forge, print_json, resumable
from skillforge.cli._terms import BudgetOption, RecordOption, ReplayOption, terms_of

if TYPE_CHECKING:
    from skillforge.evals.judges.align import Agreement, Alignment

app = typer.Typer(
    help="Judges: models that grade answers.",
    epilog="Example: skillforge judge align labels.jsonl --judge MODEL",
    invoke_without_command=True,
    rich_markup_mode=None,
)


@app.callback()
def group(ctx: typer.Context) -> None:
    help_when_bare(ctx)


@app.command("align")
def align(
    labels: Annotated[
        Path,
        typer.Argument(
            metavar="LABELS", help="JSON Lines: input, output and label (pass, fail or 1 to 5); or output_a, output_b."
        ),
    ],
    judge: Annotated[
        str | None, typer.Option(metavar="MODEL", help="The model that grades (default: the scorer's).")
    ] = None,
    rubric: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What a good answer is (default: right and complete).")
    ] = None,
    suite: Annotated[Path | None, typer.Option(metavar="FILE", help="The suite whose --scorer is measured.")] = None,
    scorer: Annotated[str | None, typer.Option(metavar="NAME", help="A rubric or pairwise scorer of --suite.")] = None,
    examples_out: Annotated[
        Path | None, typer.Option("--examples-out", metavar="FILE", help="Where the examples go if they help.")
    ] = None,
    budget: BudgetOption = None,
    record: RecordOption = None,
    replay: ReplayOption = None,
    json_out: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Measure a judge against people's labels, and try whether showing it some of them helps.

    The labels are split in two fixed halves. Examples come from one half, agreement is measured on the other:
    without examples, then with them. They are written only where they helped; name them in the suite with
    examples: file://FILE. What the judge says is kept, so the same command goes on after an interruption.

    Examples:

    \b
      skillforge judge align labels.jsonl --judge anthropic:MODEL --rubric "Polite, and right"
      skillforge judge align labels.jsonl --suite evals/mood.yaml --scorer tone \\
        --examples-out evals/tone.examples.jsonl
      skillforge judge align pairs.jsonl --judge openai:MODEL --json
    """
    terms = terms_of(budget, record, replay)
    with resumable(lambda: "(what the judge said is kept)"), open_forge() as forge:
        found = forge.judges.align(
            labels, judge, rubric=rubric, suite=suite, scorer=scorer, examples_out=examples_out, terms=terms
        )
    if json_out:
        print_json(as_json(found))
    else:
        _print(found)
    note(_advice(found))
    if found.before.n == 0 and found.before.errors:
        raise typer.Exit(4)


def _print(found: Alignment) -> None:
    typer.echo(f"judge {found.judge}, {found.labels} labels, measured on {found.measured} of them")
    rows = [["", "agreement", "kappa", "95% interval", "labels", "unreadable", "errors"]]
    rows.append(_row("without examples", found.before))
    if found.after is not None:
        rows.append(_row(f"with {found.examples} examples", found.after))
    if found.kind == "pairwise":
        flips = [item.flip_rate for item in (found.before, found.after) if item is not None]
        rows = [
            [*row, head if head else _percent(flip)]
            for row, head, flip in zip(rows, ("changed by order", "", ""), (None, *flips), strict=False)
        ]
    for line in aligned(rows, left={0}):
        typer.echo(line)
    cost = "unknown" if found.usd is None else f"${found.usd:.4f}"
    typer.echo(f"{found.calls} calls, {found.paid} of them now, {cost} in all")


def _row(name: str, item: Agreement) -> list[str]:
    bounds = item.kappa_bounds
    kappa = "unknown" if item.kappa is None else f"{item.kappa:.2f}"
    return [
        name,
        _percent(item.agreement),
        kappa,
        f"{bounds.low:.2f} to {bounds.high:.2f}",
        str(item.n),
        str(item.unreadable),
        str(item.errors),
    ]


def _percent(share: float | None) -> str:
    return "unknown" if share is None else f"{share:.1%}"


def _advice(found: Alignment) -> str:
    """What follows, as honestly as the figures allow."""
    before, after = found.before, found.after
    if before.n == 0:
        return "no reply held a grade: this model cannot judge here. Try a stronger one"
    if not found.kept or after is None:
        return "the examples did not help: nothing was written"
    within = before.kappa is not None and after.kappa is not None and after.kappa <= before.kappa_bounds.high
    said = "they helped, by less than chance may do (the intervals overlap)" if within else "the examples helped"
    if found.examples_file:
        return f"{said}. In the suite's scorer: examples: file://{Path(found.examples_file).name}"
    return f"{said}. Keep them: the same command with --examples-out FILE"
