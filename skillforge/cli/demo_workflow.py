"""``skillforge demo-workflow``: three workflows on a small shop, run by a real small model, without a key."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skillforge.cli._eval_options import wishes_of
from skillforge.cli._progress import download
from skillforge.cli._repository import make_repository
from skillforge.cli._shared import command_name, note, open_forge_at
from skillforge.cli._terms import terms_of
from skillforge.cli._workflow_table import workflow_table
from skillforge.cli.demo import STUDENT
from skillforge.cli.evaluate import measured

if TYPE_CHECKING:
    from skillforge.evals.report import EvalReport
    from skillforge.forge.forge import Forge
    from skillforge.run import Run

SANDBOX = "skillforge.shop:sandbox"
CASES = 8  # of each skill: three minutes
SHOP = "shop.db"

INPUTS: dict[str, dict[str, Any]] = {
    "refund-request": {
        "sender": "tom.whitfield@example.com",
        "message": "Hello, the door camera from L-70325 arrived with a cracked lens. Please give me my money back. Tom",
    },
    "order-status-reply": {
        "sender": "priya.nair@example.com",
        "message": "Hi, where is my parcel L-70347? It should have come two weeks ago.",
    },
    "invoice-to-ledger": {
        "invoice": "INVOICE NC-558601\nNordcloud Systems AB, VAT SE556703148501\nDate: 2026-11-19\n"
        "Virtual servers, November     1,240.00\nSubtotal 1,240.00\nVAT 20% 248.00\nTotal EUR 1,488.00\n"
        "IBAN: SE45 5000 0000 0583 9825 7466"
    },
}

CLOSING = """
A workflow asks a model only where a step needs language; everything else are calls of tools. The recorded loops were
written by the model that wrote the labels: that they are right says nothing, what they take does. To look at one:
  {command} show refund-request
  {command} run refund-request --plan -i sender=ANYBODY -i message="…"
All cases: {command} demo-workflow --cases 0
"""


def demo_workflow(
    folder: Annotated[Path, typer.Option(help="Where the demo repository and its shop are made.")] = Path(
        "skillforge-demo-workflow"
    ),
    cases: Annotated[
        int, typer.Option(min=0, help="How many unseen cases of each skill are measured; 0: all.")
    ] = CASES,
) -> None:
    """Three workflows on a small shop, run without a key.

    A refund request, a question about an order and a supplier's invoice are worked off for real; then each workflow is
    measured beside the tool loop of a strong model that it replaces (recorded). Only the model's weights are fetched,
    once (downloads 93 MB, 98 MB on disk).

    Examples:

    \b
      skillforge demo-workflow
      skillforge demo-workflow --folder /tmp/demo --cases 0

    Exit code: 0 whatever the figures.
    """
    from skillforge.demo_data import copy_workflow_demo
    from skillforge.providers.models_cache import pull

    note("1/3  the student: SmolLM2-135M-Instruct, in this process, on your CPU")
    pull("smollm2-135m", progress=download("smollm2-135m"))
    make_repository(folder)
    copy_workflow_demo(folder)
    with open_forge_at(folder) as forge:
        note(f"2/3  one input each, for real, on the shop {folder / SHOP}")
        for name, given in INPUTS.items():
            _show(_worked_off(forge, folder, name, given))
        many = f"{cases} unseen cases" if cases else "all unseen cases"
        note(
            f"3/3  the workflows and the loops that they replace on {many} each; every execution has a shop of its own"
        )
        reports = [measured_workflow(forge, name, cases) for name in INPUTS]
    typer.echo("")
    typer.echo("\n".join(workflow_table(reports)))
    typer.echo(CLOSING.format(command=command_name()))


def measured_workflow(forge: Forge, name: str, cases: int) -> EvalReport:
    """The eval of one shipped workflow on the local model beside its recorded loop; ``cases`` of 0 are all."""
    asked = {"students": STUDENT, "teacher": "recorded", "arms": "skill", "sandbox": SANDBOX, "limit": cases or None}
    return measured(forge, name, wishes_of(asked, terms_of(None, None, None))).report


def _worked_off(forge: Forge, folder: Path, name: str, given: dict[str, Any]) -> Run:
    from skillforge.shop.database import Database, create
    from skillforge.shop.functions import tools_of

    path = folder / SHOP
    if not path.exists():
        create(path)
    return forge.run(str(folder / "skills" / name), given, student=STUDENT, tools=tools_of(Database(path)))


def _show(run: Run) -> None:
    """What a run did, a line for each step that was not skipped, and its answer."""
    from skillforge.canonical import compact

    typer.echo(f"\n{run.skill}: {run.status}{f' ({run.reason})' if run.reason else ''}")
    for step in run.steps:
        if step.status != "skipped":
            typer.echo(f"  {step.key:<10} {step.tool or step.kind:<20} {compact(step.output)[:90]}")
    if run.output is not None:
        for field, value in run.output.items():
            typer.echo(f"  -> {field}: {value if isinstance(value, str) else compact(value)}")
