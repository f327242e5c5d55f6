"""``skillforge run``: one skill, one input, one student."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from skillforge.cli._asking import visible
from skillforge.cli._shared import as_json, note, open_forge, print_json, read_input, resumable, typed_fields
from skillforge.cli._terms import RecordOption, ReplayOption, terms_of
from skillforge.cli._tool_options import (
    McpOption,
    RecordToolsOption,
    ToolRecordingOption,
    ToolsOption,
    YesOption,
    asker,
    tools_given,
)
from skillforge.errors import NotPromoted, UsageError

if TYPE_CHECKING:
    from skillforge.forge.forge import BoundSkill, Forge
    from skillforge.run import Run
    from skillforge.skill import Skill
    from skillforge.tools.opening import ToolsGiven


PlanOption = Annotated[
    bool, typer.Option("--plan", help="Print what a workflow would call with this input, and call nothing.")
]
StudentOption = Annotated[
    str | None,
    typer.Option(help="Who runs it, for example local:smollm2-135m; not needed where no step asks a model."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the whole run as JSON.")]
NoVariantOption = Annotated[
    bool, typer.Option("--no-variant", help="Run the skill itself where the student has a variant of it.")
]
FreshOption = Annotated[
    bool, typer.Option("--fresh", help="Begin anew where the same call of a workflow was left unfinished.")
]


def run(
    ref: Annotated[
        str,
        typer.Argument(metavar="NAME|PATH[@REF]", help="The skill: a name (the deployed version), name@3, or a path."),
    ],
    source: Annotated[str | None, typer.Argument(metavar="-", help="- reads the input from stdin as JSON.")] = None,
    student: StudentOption = None,
    no_variant: NoVariantOption = False,
    inputs: Annotated[list[str] | None, typer.Option("--input", "-i", help="field=value; repeat per field.")] = None,
    file: Annotated[str | None, typer.Option("--file", "-f", help="A JSON file with the input; - for stdin.")] = None,
    record: RecordOption = None,
    replay: ReplayOption = None,
    tools: ToolsOption = None,
    mcp: McpOption = None,
    tool_recording: ToolRecordingOption = None,
    record_tools: RecordToolsOption = None,
    yes: YesOption = False,
    plan: PlanOption = False,
    fresh: FreshOption = False,
    json_out: JsonOption = False,
) -> None:
    """Run a skill on one input and print its output.

    A name alone is what was promoted to production, with its models; where nothing was, it is the newest version.

    A workflow calls the tools of --tools and --mcp, and says on stderr what each step did. Where it is killed or ends
    in an error, the same command goes on after the last finished step and makes no write twice.

    Examples:

    \b
      skillforge run ticket-triage -i ticket="I was charged twice"
      skillforge run ticket-triage@3 --student local:smollm2-135m -f ticket.json
      echo '{"ticket": "Where is my parcel?"}' \\
        | skillforge run ticket-triage - --student local:smollm2-135m
      skillforge run refund-request -f request.json --tools shop:tools --plan

    Exit code: 0 when the output fits and every check passed, 1 when it does not, 2 usage, 4 no answer, 130 interrupted.
    """
    if source not in (None, "-"):
        raise UsageError(f"unexpected argument {source!r}", hint="give inputs as -i field=value, -f FILE or -")
    files = [name for name in (file, source) if name]
    if len(files) + bool(inputs) != 1:
        raise UsageError("give the input in exactly one way", hint="-i field=value, -f FILE, or - for stdin")
    terms = terms_of(None, record, replay)
    with resumable(lambda: "before the answer was whole"), open_forge() as forge:
        if plan:
            _plan(forge.show(ref).skill, inputs, files, json_out=json_out)
            return
        ref, bound = _bound(forge, ref, student)
        skill, box = bound.version.skill, tools_given(tools, mcp, tool_recording, record_tools)
        ask = partial(
            forge.run, ref, _given(skill, inputs, files), student=student, variant=not no_variant, terms=terms
        )
        show = partial(_show, json_out=json_out, out=sys.stdout)
        with redirect_stdout(sys.stderr):  # what a tool or a check of one's own prints is no part of the result
            result = _ran(ask, skill, box, show, yes=yes, fresh=fresh)
    raise typer.Exit(0 if result.ok else 1)


def _ran(
    ask: Callable[..., Run], skill: Skill, box: ToolsGiven, show: Callable[[Run], None], *, yes: bool, fresh: bool
) -> Run:
    """The run, shown. Raises ``UsageError`` where a skill without steps is given tools."""
    if skill.is_workflow:
        from skillforge.cli._workflow_run import StepLines

        return ask(tools=box, ask=asker(yes), fresh=fresh, watch=StepLines(show, yes=yes))
    if box is not None or fresh:
        hint = "leave out --tools, --mcp, --tool-recording and --fresh"
        raise UsageError(f"{skill.name} has no steps: it calls no tools", hint=hint)
    result = ask()
    show(result)
    return result


def _plan(skill: Skill, inputs: list[str] | None, files: list[str], *, json_out: bool) -> None:
    from skillforge.cli._workflow_plan import show_plan

    show_plan(skill, _given(skill, inputs, files), json_out=json_out)


def _given(skill: Skill, inputs: list[str] | None, files: list[str]) -> dict[str, Any]:
    return typed_fields(skill.input, inputs) if inputs else read_input(files[0])


def _show(result: Run, *, json_out: bool, out: TextIO) -> None:
    with redirect_stdout(out):
        if json_out:
            print_json(as_json(result))
        else:
            _render(result)


def _bound(forge: Forge, ref: str, student: str | None) -> tuple[str, BoundSkill]:
    """The skill, and the reference that names it: a name that was never promoted is the newest version."""
    try:
        return ref, forge.skill(ref, student=student)
    except NotPromoted:
        if "@" in ref:
            raise
        version = forge.show(ref)
        newest = f"{version.name}@{version.version}"
        bound = forge.skill(newest, student=student)
        note(f"{ref} is not promoted to production: this is the newest version, {newest}")
        return newest, bound


def _rungs(result: Run) -> int:
    """How many rungs the ladder has; at least those that were asked, where another student answered in its place."""
    from skillforge.ladder import parse_ladder

    ladder = parse_ladder(result.student)
    return len(result.rungs) if ladder is None else len(ladder.rungs)


def _render(result: Run) -> None:
    if isinstance(result.output, str):
        typer.echo(result.output)
    elif result.output is not None:
        print_json(result.output)
    if not result.ok:
        note(f"{result.status}: {result.reason}")
    passed = sum(check.passed for check in result.checks)
    latency = "latency unknown" if result.latency_s is None else f"{result.latency_s:.2f} s"
    cost = "cost unknown" if result.cost.usd is None else f"${result.cost.usd:.6g}"
    parts = [
        f"{result.skill}@{result.version}",
        result.model or result.student,
        f"checks {passed}/{len(result.checks)}",
        latency,
        cost,
        "repaired once" if result.repaired else "",
    ]
    for rung in result.rungs[:-1]:
        note(visible(f"{rung.student}: {rung.reason}"))
    if result.rungs:
        last = result.rungs[-1]
        sure = "" if last.confidence is None else f", {last.confidence:.3g} sure"
        note(f"answered by {last.student}{sure} ({len(result.rungs)} of {_rungs(result)} rungs asked)")
    if result.fallback:
        note(result.fallback)
    note(" · ".join(part for part in parts if part))
