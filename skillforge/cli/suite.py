"""``skillforge suite from-log``: frozen cases from what programs asked models for."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skillforge.cli._asking import visible
from skillforge.cli._shared import aligned, as_json, help_when_bare, note, open_forge, print_json
from skillforge.errors import UsageError

if TYPE_CHECKING:
    from skillforge.forge.suites.from_log import SuiteMade

app = typer.Typer(
    help="Make suites: the cases that students are measured on.",
    epilog="Example: skillforge suite from-log GROUP",
    invoke_without_command=True,
    rich_markup_mode=None,
)
_MOST_STRATA = 12


@app.callback()
def group(ctx: typer.Context) -> None:
    help_when_bare(ctx)


@app.command("from-log")
def from_log(
    group: Annotated[str, typer.Argument(metavar="GROUP", help="A group that scan found: its id or its name.")],
    logs: Annotated[
        list[Path] | None, typer.Argument(metavar="LOGS", help="Log files (default: the stored calls).")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The suite's name (default: the group's).")] = None,
    limit: Annotated[int, typer.Option(help="At most so many cases.")] = 300,
    cases: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Where the cases go instead: file:///…/x.jsonl, s3://…, gs://…, az://…"),
    ] = None,
    mask: Annotated[
        str | None, typer.Option(metavar="MODULE:FUNCTION", help="Your function from text to text, for personal data.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Another random choice and other splits.")] = 0,
    json_out: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Make a frozen suite from the recorded calls of a group.

    Calls without an answer and calls that ask the same are left out; every kind of answer is in it; calls of one
    conversation or subject stay in one split. Secrets are taken out, and what --mask takes out. The cases hold no
    labels: skillforge review gives them.

    Examples:

    \b
      skillforge suite from-log ticket-triage
      skillforge suite from-log g-4f1c calls.jsonl --name triage --limit 400
      skillforge suite from-log triage --cases s3://bucket/evals/triage.jsonl \\
        --mask privacy:without_names
    """
    masked = _function(mask) if mask else None
    with open_forge() as forge:
        made = forge.traffic.suite(group, paths=logs or (), name=name, limit=limit, cases=cases, seed=seed, mask=masked)
    if json_out:
        print_json(as_json(made))
    else:
        _print(made)
    note(made.next_step)


def _print(made: SuiteMade) -> None:
    splits = ", ".join(f"{count} {split}" for split, count in made.splits.items() if count)
    typer.echo(f"{made.path}: {made.cases} cases ({splits}), metric {made.metric}")
    typer.echo(f" cases in {visible(made.cases_at)}")
    left = [
        f"{count} {why}"
        for count, why in (
            (made.unanswered, "without an answer that ended normally"),
            (made.unfit, "with an input that does not fit the contract"),
            (made.duplicates, "with the same input as another"),
            (made.alike, "that read almost like another"),
        )
        if count
    ]
    typer.echo(f" from {made.calls} calls{'; left out: ' if left else ''}{', '.join(left)}")
    ranked = sorted(made.strata.items(), key=lambda item: (-item[1], item[0]))
    for line in aligned([[visible(name), str(count)] for name, count in ranked[:_MOST_STRATA]], left={0}):
        typer.echo(f"  {line}")
    if len(ranked) > _MOST_STRATA:
        typer.echo(f"  and {len(ranked) - _MOST_STRATA} more kinds of answer")


def _function(named: str) -> Callable[[str], str]:
    """The person's own function. What it raises, or anything but text that it returns, ends the command: nothing may
    be written unmasked.
    """
    from importlib import import_module

    module, colon, attribute = named.partition(":")
    hint = "name a function of a module here: --mask privacy:without_names is without_names in privacy.py"
    if not colon or not module or not attribute:
        raise UsageError(f"--mask {named}: must be module:function", hint=hint)
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        function = getattr(import_module(module), attribute)
    except Exception as exc:  # whatever their module raises
        raise UsageError(f"--mask {named}: {type(exc).__name__}: {exc}", hint=hint) from exc

    def masked(text: str) -> str:
        try:
            clean = function(text)
        except Exception as exc:
            raise UsageError(f"--mask {named} raised {type(exc).__name__}: {exc}", hint="nothing was written") from exc
        if not isinstance(clean, str):
            raise UsageError(f"--mask {named} returned {type(clean).__name__}, not text", hint="nothing was written")
        return clean

    return masked
