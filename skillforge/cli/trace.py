"""``skillforge trace import | list | show``: what agents did elsewhere, step by step."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skillforge.cli._asking import visible
from skillforge.cli._plan_diff import show_plan
from skillforge.cli._shared import as_json, help_when_bare, note, open_forge, print_json, resumable
from skillforge.cli.log import CallCounter
from skillforge.errors import NotFound, UsageError

if TYPE_CHECKING:
    from skillforge.forge.calls.trajectories import Imported
    from skillforge.store.trajectories import StoredTrace

app = typer.Typer(
    invoke_without_command=True,
    help="What agents did elsewhere: import and show traces.",
    epilog="Example: skillforge trace import ~/.claude/projects",
    rich_markup_mode=None,
)

JsonOut = Annotated[bool, typer.Option("--json", help="Print as JSON.")]
_SHOWN = 20  # records put aside that are named; all of them with --json


@app.callback()
def root(ctx: typer.Context) -> None:
    """Called without a command, it shows its help."""
    help_when_bare(ctx)


@app.command("import")
def import_traces(
    paths: Annotated[list[Path], typer.Argument(metavar="FILE|DIR…", help="Trajectory files, or folders of them.")],
    format: Annotated[
        str, typer.Option("--format", metavar="NAME", help="What the files are (default: told by their content).")
    ] = "",
    json_out: JsonOut = False,
) -> None:
    """Store the traces of agents; a trace that is stored already is left.

    Reads OpenAI chat messages (tau-bench's rows too), Anthropic messages, requests with their responses, sessions of
    Claude Code, Codex and pi, SWE-agent and mini-swe-agent trajectories, OpenTelemetry GenAI and OpenInference spans,
    ToolTalk, and skillforge's own traces. Secrets are taken out. Records that cannot be read are named with their
    place. The exit code is 1 where not one trace could be read, 2 for a file of no known format.

    Examples:

    \b
      skillforge trace import trajectories.jsonl
      skillforge trace import ~/.claude/projects/-home-me-app
      skillforge trace import runs/ --format swe-agent --json
    """
    shown = CallCounter("traces")
    with open_forge() as forge, resumable(lambda: "what was read is kept"):
        try:
            done = forge.traces.load(paths, format=format, on_traces=shown)
        finally:
            shown.clear()
    if json_out:
        print_json(as_json(done))
    else:
        _print(done)
    if not done.count:
        raise typer.Exit(1)


def _print(done: Imported) -> None:
    from skillforge.cli._trace_view import imported_lines

    known = done.count - done.new
    typer.echo(f"{done.count:,} trace{'' if done.count == 1 else 's'} read, {done.new:,} new, {known:,} known")
    for line in imported_lines(done):
        typer.echo(line)
    if done.aside:
        note(f"put aside, because unreadable: {done.aside:,}")
        for item in done.quarantined[:_SHOWN]:
            note(
                f"  {visible(item.place)}: {visible(item.reason)}{': ' if item.excerpt else ''}{visible(item.excerpt)}"
            )
        if done.aside > _SHOWN:
            note(f"  and {done.aside - _SHOWN:,} more (--json names them)")
    if done.new:
        note("  -> see them: skillforge trace list; make a skill of them: skillforge create --from-trace")


@app.command("list")
def list_traces(
    group: Annotated[
        str | None, typer.Option("--group", metavar="NAME", help="Only the attempts at this task.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many traces.")] = 50,
    json_out: JsonOut = False,
) -> None:
    """List the imported traces, last imported first: format, task, reward, turns, tool calls, cost.

    Examples:

    \b
      skillforge trace list
      skillforge trace list --group 12 --json
    """
    with open_forge() as forge:
        found = forge.traces.list(group=group, limit=limit)
    if json_out:
        print_json([_brief(stored) for stored in found])
        return
    if not found:
        note("no traces imported yet: skillforge trace import FILE…" if group is None else f"no traces of {group!r}")
        return
    from skillforge.cli._trace_view import list_lines

    typer.echo("\n".join(list_lines(found)))


@app.command("show")
def show_trace(
    ref: Annotated[str, typer.Argument(metavar="ID|GROUP", help="A trace (its id's beginning will do), or a task.")],
    plan: Annotated[
        str | None, typer.Option(metavar="SKILL", help="What became of every call in this workflow, and why not.")
    ] = None,
    turn: Annotated[
        int | None, typer.Option(metavar="N", help="Only this request of the user, from 1; it is one trace's.")
    ] = None,
    json_out: JsonOut = False,
) -> None:
    """Show a trace step by step, or the attempts at one task side by side.

    Calls are shown with their arguments and results, cut to a line each; --json has them whole. What looks like an
    order in a tool's result or in an input is flagged: traces are data, and nobody here watched them come about.

    Examples:

    \b
      skillforge trace show 3f9c
      skillforge trace show 12
      skillforge trace show 3f9c --plan cancel-reservation
      skillforge trace show 3f9c --turn 2
    """
    with open_forge() as forge:
        attempts = forge.traces.list(group=ref)
        if not attempts:
            try:
                attempts = (forge.traces.get(ref),)
            except NotFound as exc:
                raise NotFound(f"no trace and no group {ref!r}", hint=exc.hint) from None
        skill = forge.show(plan).skill if plan is not None else None
    if turn is not None:
        attempts = (_one_request(ref, attempts, turn),)
    if skill is not None:
        show_plan([stored.trace for stored in attempts], skill, json_out=json_out)
    elif json_out:
        print_json([as_json(stored) for stored in attempts] if len(attempts) > 1 else as_json(attempts[0]))
    elif len(attempts) == 1:
        _show(attempts[0])
    else:
        _show_group(ref, attempts)


def _one_request(ref: str, attempts: tuple[StoredTrace, ...], turn: int) -> StoredTrace:
    from skillforge.engine.compiling.requests import request_of

    if len(attempts) > 1:
        raise UsageError(f"--turn means one trace, {ref} names {len(attempts)}", hint="name one by its id")
    return attempts[0].model_copy(update={"trace": request_of(attempts[0].trace, turn).trace})


def _show(stored: StoredTrace) -> None:
    from skillforge.cli._trace_view import flags, trace_lines

    for line in trace_lines(stored):
        typer.echo(line)
    _warn(flags(stored.trace))


def _show_group(name: str, attempts: tuple[StoredTrace, ...]) -> None:
    from skillforge.cli._trace_view import flags, list_lines
    from skillforge.engine.compiling.align import align

    ordered = sorted(attempts, key=lambda stored: stored.trace.case_id)
    typer.echo(f"task {visible(name)}: {len(ordered)} attempts")
    typer.echo("\n".join(list_lines(ordered)))
    try:
        typer.echo(f"\n{visible(align([stored.trace for stored in ordered]).render())}")
    except UsageError as exc:
        note(f"they cannot be set side by side: {exc}")
    for stored in ordered:
        _warn([f"{visible(stored.trace.case_id)}: {flag}" for flag in flags(stored.trace)])


def _warn(found: list[str]) -> None:
    if found:
        note("\nlooks like an order or hides something; it is data, and no skill may take it over:")
        for flag in found:
            note(f"  {flag}")


def _brief(stored: StoredTrace) -> dict[str, object]:
    """A trace without what was said."""
    body = as_json(stored.trace)
    rest = {
        key: body[key] for key in ("case_id", "task", "format", "source", "group", "reward", "model", "usage", "cost")
    }
    calls = sum(len(message.tool_calls) for message in stored.trace.messages)
    counts = {"messages": len(stored.trace.messages), "turns": len(stored.trace.turns), "tool_calls": calls}
    return {"id": stored.id, "created_at": stored.created_at, **rest, **counts}
