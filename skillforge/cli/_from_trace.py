"""``skillforge create --from-trace``: options, what is asked, what was made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skillforge.cli._asking import visible
from skillforge.cli._created import render_created, render_from_tools
from skillforge.cli._shared import as_json, note, open_forge_at, print_json
from skillforge.errors import NotFound, UsageError

if TYPE_CHECKING:
    from skillforge.forge.making.create import Created
    from skillforge.forge.making.from_trace import Compiled, TraceWishes

MAX_DRAFT = 1_048_576  # bytes
_SHOWN = 10

FromTraceOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|DIR|ID|GROUP|latest",
        help="What agents did already: compile it into a workflow. latest: the newest coding session of this project.",
    ),
]
TurnOption = Annotated[
    int | None, typer.Option(metavar="N", help="With --from-trace: which request of the user is meant, from 1.")
]
DraftOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="With --from-trace: the answer to --author-request, instead of a teacher's."),
]
AuthorRequestOption = Annotated[
    bool, typer.Option("--author-request", help="With --from-trace: print what a teacher would be asked, ask nobody.")
]


def compile_traces(ref: str, wishes: TraceWishes, draft: Path | None, *, request: bool, json_out: bool) -> None:
    """Print the request, or make the workflow and print what was made."""
    with open_forge_at(Path.cwd()) as forge:
        if request:
            typer.echo("\n".join(map(visible, forge.author_request(ref, **wishes).split("\n"))))
            note(f"save the answer, then: skillforge create --from-trace {ref} --draft FILE")
            return
        wishes |= {"draft": draft_text(draft), "on_progress": _told(wishes.get("teacher"))}
        made = forge.create_from_trace(ref, **wishes)
    if json_out:
        print_json(as_json(made))
    else:
        render_made(made)


def _told(teacher: str | None) -> Any:
    def on_progress(stage: str, done: int, total: int) -> None:
        if teacher and stage == "author":
            note("the teacher writes the workflow")

    return on_progress


def require_alone(**given: object) -> None:
    """Raise ``UsageError`` for what says the same in another way."""
    for flag, value in given.items():
        if value:
            raise UsageError(
                f"--{flag.replace('_', '-')} is given beside --from-trace", hint="traces bring their inputs"
            )


def require_trace(**given: object) -> None:
    """Raise ``UsageError`` for a flag that means nothing without traces."""
    for flag, value in given.items():
        if value:
            raise UsageError(f"--{flag.replace('_', '-')} needs traces", hint="add --from-trace FILE")


def draft_text(draft: Path | None) -> str | None:
    """What stands in a draft's file. Raises ``NotFound``, ``UsageError``."""
    if draft is None:
        return None
    try:
        with draft.open("rb") as handle:
            data = handle.read(MAX_DRAFT + 1)
    except OSError as exc:
        raise NotFound(f"{draft}: the draft cannot be read ({exc.strerror})", hint="check the path") from exc
    if len(data) > MAX_DRAFT:
        raise UsageError(f"{draft}: longer than {MAX_DRAFT:,} bytes", hint="a draft is one JSON object")
    try:
        return data.decode()
    except UnicodeDecodeError as exc:
        raise UsageError(f"{draft}: not UTF-8 text", hint="save it as UTF-8") from exc


def render_made(made: Compiled | Created) -> None:
    """What was made, for a person."""
    from skillforge.forge.making.from_trace import Compiled

    if not isinstance(made, Compiled):
        render_created(made)
        return
    typer.echo(f"{made.name}@{made.version}  {made.path}  {'new draft' if made.new else 'unchanged'}")
    failed = f" ({made.failed} failed beside {'it' if len(made.traces) == 1 else 'them'})" if made.failed else ""
    typer.echo(f"  reproduces {_many(len(made.traces), 'trace')}{failed}: the same writes on their recorded results")
    writing = f", writing: {', '.join(made.writing)}" if made.writing else ", none of them writes"
    typer.echo(f"  {_many(made.steps, 'step')}, {made.asking} of them ask a model{writing}")
    typer.echo(f"  the agent took {made.turns:.1f} model calls and {made.calls:.1f} tool calls a task")
    typer.echo(f"  {_by(made)}")
    for warning in made.warnings[:_SHOWN]:
        typer.echo(f"  look at: {visible(warning)}")
    render_from_tools(made.from_tools, made.examples_from)


def _by(made: Compiled) -> str:
    if made.author == "program":
        return "written without any model; a teacher may find fewer steps (--teacher, or --author-request and --draft)"
    if made.author == "hand":
        return "written by hand (--draft)"
    cost = made.cost
    dollars = "cost unknown" if cost.usd is None else f"${cost.usd:.4g}{' est.' if cost.estimated else ''}"
    return f"teacher {made.teacher}, {dollars}{', repaired once' if made.repaired else ''}"


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
