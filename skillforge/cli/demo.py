"""``skillforge demo``: the whole loop on a real small model, without a key."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from skillforge.cli._created import created_with_progress, render_created
from skillforge.cli._eval_options import wishes_of
from skillforge.cli._progress import download
from skillforge.cli._repository import make_repository
from skillforge.cli._shared import command_name, note, open_forge_at
from skillforge.cli._terms import terms_of
from skillforge.cli.evaluate import measured

STUDENT = "local:smollm2-135m"
SKILL = "ticket-triage"
CASES = 60
ARMS = "no-model,bare,skill"  # what the table of the README compares: five minutes, not seven

CLOSING = """
A 135M-parameter model stands here because it runs on your machine without a key. KEEP is the honest verdict for a model
of that size: compare its two lines to see what the skill did, and the teacher's to see what is missing. Which model may
replace yours is what eval tells you.

The same on your own task:
  {command} init .
  {command} create "what to do, in a sentence" --teacher MODEL --cases inputs.jsonl
  {command} eval NAME --students local:smollm2-135m --teacher MODEL --suite evals/NAME.yaml
"""


def demo(
    folder: Annotated[Path, typer.Option(help="Where the demo repository is made.")] = Path("skillforge-demo"),
    cases: Annotated[int, typer.Option(min=10, help="How many unseen cases are measured.")] = CASES,
) -> None:
    """The whole loop on a real 135M model, without a key.

    A recorded teacher's answers become a skill, and the model is measured with and without it. Only the model's weights
    are fetched, once (downloads 93 MB, 98 MB on disk). Interrupt it when you like: it goes on where it stopped.

    Examples:

    \b
      skillforge demo
      skillforge demo --folder /tmp/demo --cases 20

    Exit code: 0 whatever the verdict.
    """
    from skillforge.cli._report import render_report
    from skillforge.demo_data import copy_demo, demo_task
    from skillforge.evals.sampling import training_cases
    from skillforge.providers.models_cache import pull
    from skillforge.suitefile import read_suite

    note("1/3  the student: SmolLM2-135M-Instruct, in this process, on your CPU")
    pull("smollm2-135m", progress=download("smollm2-135m"))
    make_repository(folder)
    suite = copy_demo(folder)
    read = read_suite(suite)
    train, _ = training_cases(read.cases)
    with open_forge_at(folder) as forge:
        note(f"2/3  the teacher (recorded) solves {len(train)} support messages and writes down how")
        created = created_with_progress(
            forge,
            demo_task(),
            train,
            teacher=f"replay:{read.recorded}",
            name=SKILL,
            suite=f"evals/{suite.name}",
        )
        render_created(created)
        note(f"3/3  teacher, no model, bare model and model + skill on {cases} messages nobody trained on")
        wishes = wishes_of(
            {"students": STUDENT, "teacher": "recorded", "limit": cases, "arms": ARMS}, terms_of(None, None, None)
        )
        report = measured(forge, SKILL, wishes).report
    typer.echo("")
    render_report(report)
    typer.echo(CLOSING.format(command=command_name()))
