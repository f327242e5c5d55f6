"""``skillforge suite``: frozen cases from what programs asked models for, and from what went up a ladder."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skillforge.cli._asking import visible
from skillforge.cli._shared import aligned, as_json, help_when_bare, note, open_forge, print_json
from skillforge.errors import UsageError
from skillforge.evals.wording.words import many

if TYPE_CHECKING:
    from skillforge.forge.ladders import Taken
    from skillforge.forge.suites.from_log import SuiteMade
    from skillforge.store.candidates import Candidate

app = typer.Typer(
    help="Make suites: the cases that students are measured on.",
    epilog="Example: skillforge suite from-log GROUP",
    invoke_without_command=True,
    rich_markup_mode=None,
)
_MOST_STRATA = 12
_LONGEST_VALUE = 160  # characters of a value on a terminal


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


@app.command("candidates")
def candidates(
    ref: Annotated[str, typer.Argument(metavar="NAME", help="The skill.")],
    take: Annotated[
        str | None, typer.Option(metavar="N|all", help="Add the oldest N, or all, to the suite's train split.")
    ] = None,
    suite: Annotated[Path | None, typer.Option(metavar="FILE", help="The suite (default: the skill's own).")] = None,
    json_out: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Show the inputs that went up a ladder of the skill, with what every rung said, or make cases of them.

    Runs of a ladder, named or deployed, leave them. A case that is taken is labelled with what the last rung answered;
    what says the same as a case of the suite is left out. store_io = none keeps none; purge erases them like runs.

    Examples:

    \b
      skillforge suite candidates ticket-triage
      skillforge suite candidates ticket-triage --take 50
      skillforge suite candidates ticket-triage --take all --json
    """
    with open_forge() as forge:
        if take is not None:
            taken = forge.students.take(ref, _count(take), suite=suite)
        else:
            waiting = forge.students.candidates(ref)
    if take is not None:
        if json_out:
            print_json(as_json(taken))
        else:
            _print_taken(taken)
        if taken.added:
            note(f"the suite is another one now; measure again (known answers are kept): skillforge eval {ref}")
        return
    if json_out:
        print_json([as_json(item) for item in waiting])
        return
    for item in waiting:
        _print_candidate(item)
    note(
        f"{many(len(waiting), 'candidate')} of {ref}"
        + (f"; make cases of them: skillforge suite candidates {ref} --take all" if waiting else "")
    )


def _count(take: str) -> int | None:
    if take == "all":
        return None
    if not take.isascii() or not take.isdigit() or len(take) > 9 or int(take) < 1:
        raise UsageError(f"--take {visible(take)} is no number", hint="--take 50, or --take all")
    return int(take)


def _print_candidate(item: Candidate) -> None:
    typer.echo(f"{item.id[:12]} {item.created_at[:10]} {_shown(item.input)}")
    for said in item.said:
        typer.echo(f"  {visible(said.student)}: {_shown(said.output)} ({visible(said.reason)})")
    typer.echo(f"  {visible(item.answered_by)}: {_shown(item.output)}")


def _shown(value: Any) -> str:
    """A value on one line, cut: inputs may be long, and hold anything."""
    from skillforge.canonical import compact

    text = visible(compact(value))
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"


def _print_taken(taken: Taken) -> None:
    typer.echo(f"{visible(taken.suite)}: {many(len(taken.added), 'case')} added to train, in {visible(taken.cases)}")
    for name, why in taken.left_out[:_MOST_STRATA]:
        typer.echo(f"  {name[:12]} left out: {why}")
    if len(taken.left_out) > _MOST_STRATA:
        typer.echo(f"  and {len(taken.left_out) - _MOST_STRATA} more left out")
    if taken.waiting:
        typer.echo(f"  {many(taken.waiting, 'candidate')} still waiting")


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
