"""``skillforge dataset``: training data out of a teacher's answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skillforge.cli import _dataset_options as options
from skillforge.cli._asking import visible
from skillforge.cli._shared import aligned, as_json, help_when_bare, note, open_forge, print_json

if TYPE_CHECKING:
    from skillforge.students.data.card import DatasetCard

app = typer.Typer(
    help="Build and check training data for small models.",
    epilog="Example: skillforge dataset build ticket-triage",
    invoke_without_command=True,
    rich_markup_mode=None,
)
_SHOWN = 5


@app.callback()
def group(ctx: typer.Context) -> None:
    help_when_bare(ctx)


@app.command("build")
def build(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The skill.")],
    formats: options.Formats = None,
    out: options.Out = None,
    suite: options.SuiteFile = None,
    with_examples: options.WithExamples = False,
    personal: options.Personal = "mask",
    critic: options.Critic = "",
    least: options.Least = 4.0,
    require_label: options.RequireLabel = False,
    without: options.Without = None,
    teacher: options.Teacher = None,
    student: options.Student = None,
    ask: options.Ask = "",
    validation: options.Validation = 0.1,
    seed: options.Seed = 0,
    override: options.Override = "",
    budget: options.Budget = None,
    json_out: Annotated[bool, typer.Option("--json", help="Print the card as JSON.")] = False,
) -> None:
    """Curate a teacher's answers and write them as the files that trainers take.

    Taken are the answers to the train cases of the skill's suite (its recording, evals, logs), the skill's examples,
    and runs that the teacher answered in production. Left out is what fails the skill's checks, holds secrets, is a
    duplicate, or is a dev or test case or reads like one. Nothing is trained; nobody is asked but a critic
    and a student that you name.

    Examples:

    \b
      skillforge dataset build ticket-triage
      skillforge dataset build ticket-triage --format openai --format dpo -o data
      skillforge dataset build ticket-triage --ask-student local:smollm2-135m
      skillforge dataset build ticket-triage --critic anthropic:claude-opus-5-5 --budget 5
    """
    from skillforge.forge.session import Terms

    wishes: dict[str, Any] = {
        "formats": formats or (),
        "folder": out,
        "suite": suite,
        "with_examples": with_examples,
        "personal": personal,
        "critic": critic,
        "least": least,
        "require_label": require_label,
        "without": without or (),
        "teachers": teacher or (),
        "students": student or (),
        "ask_student": ask,
        "validation": validation,
        "seed": seed,
        "override": override,
        "terms": Terms(budget_usd=budget),
    }
    with open_forge() as forge:
        made = forge.datasets.build(name, **wishes)
    _tell(made.card, str(made.folder), {"folder": str(made.folder)} if json_out else None)
    note(f"read {visible(str(made.folder))}/README.md before you train")


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A data set: its folder, or its name in datasets/.")],
    json_out: Annotated[bool, typer.Option("--json", help="Print the card as JSON.")] = False,
) -> None:
    """Show the card of a data set: counts of every step, teachers and their terms, files.

    Examples:

    \b
      skillforge dataset show ticket-triage
      skillforge dataset show data --json
    """
    with open_forge() as forge:
        card = forge.datasets.show(name)
    _tell(card, name, {} if json_out else None)


@app.command("validate")
def validate(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A training file, whoever wrote it.")],
    target: Annotated[
        str, typer.Option("--format", metavar="F", help=f"{options.TARGETS} (default: as the file's name says).")
    ] = "",
    small: Annotated[bool, typer.Option("--validation", help="It is a validation file: it may be small.")] = False,
    json_out: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Check a training file by its target's own rules. Exit code 1 where the target would refuse it.

    Examples:

    \b
      skillforge dataset validate datasets/ticket-triage/train.openai.jsonl
      skillforge dataset validate mine.jsonl --format bedrock
    """
    from dataclasses import asdict

    from skillforge.formats.finetune.formats import format_named, format_of

    known = format_named(target) if target else format_of(file)
    found = known.check(file, "validation" if small else "train")
    if json_out:
        problems = [asdict(problem) for problem in found.problems]
        print_json({"format": known.name, "rows": found.rows, "fits": not found.errors, "problems": problems})
    else:
        for problem in found.problems:
            mark = "" if problem.level == "error" else "warning: "
            typer.echo(f"{mark}{visible(problem.describe(str(file)))}")
        typer.echo(f"{found.rows} rows, {'refused' if found.errors else 'accepted'} by the rules of {known.about}")
    raise typer.Exit(1 if found.errors else 0)


def _tell(card: DatasetCard, folder: str, more: dict[str, str] | None) -> None:
    """As JSON with ``more`` in front of it, or for a person (``None``)."""
    if more is not None:
        print_json({**more, **as_json(card)})
    else:
        _print(card, folder)


def _print(card: DatasetCard, folder: str) -> None:
    typer.echo(f"{visible(folder)}: {card.rows:,} rows ({card.train:,} train, {card.validation:,} validation)")
    found = ", ".join(f"{count:,} {source}" for source, count in card.sources.items())
    typer.echo(f" found: {found}{f' ({card.merged:,} of them to an input that has one)' if card.merged else ''}")
    table = [
        (step.name, f"{step.came:,}", "->", f"{step.kept:,}", _reasons(step.dropped) or _reasons(step.noted, "noted: "))
        for step in card.steps
    ]
    for line in aligned(table, left={0, 4}):
        typer.echo(f"  {line}")
    for field, counts in card.labels.items():
        typer.echo(f" {visible(field)}: {visible(', '.join(f'{label} {count:,}' for label, count in counts.items()))}")
    for line in (*card.diversity, *(style.line() for style in card.styles)):
        typer.echo(f" {visible(line)}")
    typer.echo(f" about {card.tokens.train:,} tokens an epoch, the longest row {card.tokens.longest:,} (estimated)")
    _print_suspects(card)
    for share in card.teachers:
        typer.echo(f" {visible(share.teacher)}: {share.rows:,} rows; {share.policy.maker}: {share.policy.stance}")
    rows = [(item.file, f"{item.rows:,} rows", f"{item.bytes:,} bytes", _reasons(item.left_out)) for item in card.files]
    for line in aligned(rows, left={0, 3}) if rows else []:
        typer.echo(f"  {line}")
    for name, why in card.left_formats.items():
        typer.echo(f"  not written: {name}, {visible(why)}")


def _print_suspects(card: DatasetCard) -> None:
    if not card.suspects:
        return
    worth = ", ".join(f"{share:.0%} of {visible(field)}" for field, share in card.neighbours.items())
    typer.echo(f" {len(card.suspects):,} labels to look at (noise.jsonl; --without ID leaves a row out); the nearest")
    typer.echo(f" inputs would give {worth} too:")
    table = [
        (item.id, item.field, item.label, f"neighbours say {item.other} ({item.share:.0%})", _suite(item.suite))
        for item in card.suspects[:_SHOWN]
    ]
    for line in aligned([[visible(cell) for cell in row] for row in table], left={0, 1, 2, 3, 4}):
        typer.echo(f"  {line}")


def _suite(label: str) -> str:
    return f"suite: {label}" if label else ""


def _reasons(counts: dict[str, int], lead: str = "") -> str:
    return lead + visible(", ".join(f"{count:,} {reason}" for reason, count in counts.items())) if counts else ""
