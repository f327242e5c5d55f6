"""``skillforge create``: a teacher solves inputs and writes the skill down."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skillforge.cli._progress import Progress
from skillforge.cli._shared import as_json, note, open_forge, print_json, split_pairs
from skillforge.errors import UsageError

if TYPE_CHECKING:
    from skillforge.case import Case
    from skillforge.forge.create import Created


def create(
    task: Annotated[str, typer.Argument(metavar="TASK", help="The task in a sentence, or @FILE to read it from.")],
    teacher: Annotated[str | None, typer.Option(help="The strong model, for example replay:answers.jsonl.")] = None,
    cases: Annotated[Path | None, typer.Option(help='JSONL of inputs, one {"input": {…}} a line.')] = None,
    inputs: Annotated[list[str] | None, typer.Option("--input", "-i", help="field=value of one input.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for <name>/skill.yaml (skills/).")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the skill; the teacher picks one otherwise.")] = None,
    suite: Annotated[str | None, typer.Option(help="The suite that will measure it, for example evals/x.yaml.")] = None,
    json_out: Annotated[bool, typer.Option("--json", help="Print what was made as JSON.")] = False,
) -> None:
    """Let a strong model solve a task on real inputs and write down how, as a draft skill.

    Cases that carry splits are used from the train split only. Solved inputs are kept: after an interruption or a
    failed draft the same command asks only for what is missing.

    Examples:

      skillforge create "Route one support message to a queue" --teacher replay:answers.jsonl --cases messages.jsonl

      skillforge create @task.txt --teacher replay:answers.jsonl -i ticket="I was charged twice" -o skills
    """
    listed = _inputs(cases, inputs)
    from skillforge.config import STATE_FOLDER, find_root

    if find_root(Path.cwd()) is None:
        Path(STATE_FOLDER).mkdir()
        note(f"made {STATE_FOLDER}/ here: this folder is the repository root now")
    with open_forge() as forge, Progress("solving", len(listed)) as progress:

        def on_progress(stage: str, done: int, total: int) -> None:
            if stage == "solve":
                progress.advance()
            else:
                note({"author": "the teacher writes the skill", "prove": "the draft runs on its own inputs"}[stage])

        created = forge.create(
            _task(task), cases=listed, teacher=teacher, name=name, folder=out, suite=suite, on_progress=on_progress
        )
    if json_out:
        print_json(as_json(created))
    else:
        render_created(created)


def render_created(created: Created) -> None:
    """What was made, for a person."""
    paid = f" ({created.reused} of them already paid for)" if created.reused else ""
    cost = created.cost
    dollars = "unknown" if cost.usd is None else f"${cost.usd:.4g}{' est.' if cost.estimated else ''}"
    typer.echo(f"{created.name}@{created.version}  {created.path}  {'new draft' if created.new else 'unchanged'}")
    typer.echo(f"  solved {created.solved} inputs{paid}; {created.examples} examples, {created.checks} checks")
    typer.echo(
        f"  on {created.proved} of its own inputs: {created.proved_ok} fit, {created.agreed} equal the solved answer"
    )
    typer.echo(f"  teacher {created.teacher}, {dollars}{', repaired once' if created.repaired else ''}")


def _task(task: str) -> str:
    if not task.startswith("@"):
        return task
    try:
        return Path(task[1:]).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise UsageError(f"{task[1:]}: the task cannot be read ({exc})") from exc


def _inputs(cases: Path | None, pairs: list[str] | None) -> list[Case]:
    from skillforge.case import Case
    from skillforge.evals.sampling import training_cases
    from skillforge.suitefile import read_cases

    if (cases is None) == (not pairs):
        raise UsageError("give the inputs in exactly one way", hint="--cases FILE.jsonl or -i field=value")
    if cases is None:
        return [Case(id="input-1", input=dict(split_pairs(pairs or [])))]
    found = list(read_cases(cases))
    listed, split = training_cases(found)
    if split is not None:
        note(f"{cases}: using the {len(listed)} cases of the {split} split, {len(found) - len(listed)} stay unseen")
    if not listed:
        raise UsageError(f"{cases}: no cases to solve", hint='a line is {"input": {"field": "value"}}')
    return listed
