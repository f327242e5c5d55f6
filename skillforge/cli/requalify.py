"""``skillforge requalify``: what a new model means for the skills there are."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skillforge.cli._progress import Progress
from skillforge.cli._shared import aligned, note, open_forge, print_json, resumable
from skillforge.cli._tool_options import McpOption, ToolsOption, tools_given
from skillforge.errors import UsageError

if TYPE_CHECKING:
    from skillforge.case import Case
    from skillforge.evals.answer import Answer
    from skillforge.evals.running.arms import Arm
    from skillforge.forge.forge import Forge
    from skillforge.forge.requalify import RequalifyPlan
    from skillforge.students.requalified import Requalified


def requalify(
    student: Annotated[str, typer.Option(help="The new model: PROVIDER:MODEL, encoder:NAME, or a ladder.")],
    skill: Annotated[
        list[str] | None, typer.Option(help="Only this skill; again for more (default: all that are promoted).")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also skills that were never promoted.")] = False,
    teacher: Annotated[str, typer.Option(help="The teacher (default: as eval has it).")] = "",
    limit: Annotated[int | None, typer.Option(help="At most so many cases of each suite: a first look only.")] = None,
    budget: Annotated[float | None, typer.Option(help="US dollars that all of it may cost.")] = None,
    move: Annotated[
        bool, typer.Option("--move", help="Promote the student where it may replace what answers.")
    ] = False,
    tools: ToolsOption = None,
    mcp: McpOption = None,
    sandbox: Annotated[str | None, typer.Option(help="Tools of its own for every execution of a workflow.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the pull request's text, .md.")] = None,
    json_out: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Measure all deployed skills on a new student.

    One after the other, the cheapest first, within the budget. Each is told apart: may move, gains nothing, would get
    worse, not sure. What was measured before costs nothing again: an interrupted command goes on.

    Examples:

    \b
      skillforge requalify --student anthropic:claude-haiku-6 --budget 5
      skillforge requalify --student local:smollm2-135m --all -o requalified.md
      skillforge requalify --student openai:gpt-6-luna --move -o pr.md

    Exit code: 0 where a skill may move, 1 where none may, 4 where none could be measured.
    """
    from skillforge.forge.requalify import RequalifyPlan

    if output is not None and (output.suffix != ".md" or not output.parent.is_dir()):
        raise UsageError(f"{output}: the text is written to a .md file of a folder that is there")
    given = tools_given(tools, mcp, None)
    plan = RequalifyPlan(student, tuple(skill or ()), everything, teacher, limit, budget, move, given, sandbox)
    with open_forge() as forge:
        found = _measured(forge, plan)
    _tell(found, output, json_out=json_out)
    measured = [outcome for outcome in found.outcomes if outcome.advice != "unmeasured"]
    raise typer.Exit(0 if found.of("move") else 1 if measured else 4)


def _measured(forge: Forge, plan: RequalifyPlan) -> Requalified:
    bar: Progress | None = None

    def end() -> None:
        nonlocal bar
        if bar is not None:
            bar.__exit__(None, None, None)
            bar = None

    def on_skill(name: str, number: int, count: int) -> None:
        end()
        note(f"{number}/{count}  {name}")

    def on_start(arms: Sequence[Arm], cases: Sequence[Case], repeat: int) -> None:
        nonlocal bar
        bar = Progress("measuring", sum(len(arm.epochs(repeat)) * arm.covers(case) for arm in arms for case in cases))
        bar.__enter__()

    def on_sample(arm: Arm, case_id: str, answer: Answer, reused: bool) -> None:
        if bar is not None:
            bar.advance(arm.name, instant=reused or not answer.latency_s)

    try:
        with resumable(lambda: "(what was measured is kept)"), redirect_stdout(sys.stderr):
            return forge.students.requalify(plan, on_skill=on_skill, on_start=on_start, on_sample=on_sample)
    finally:
        end()


def _tell(found: Requalified, output: Path | None, *, json_out: bool) -> None:
    from skillforge.atomicfile import replace_file
    from skillforge.evals.wording.reading import dollars
    from skillforge.students.requalified import HEAD, cells, markdown, title

    if output is not None:
        replace_file(output, markdown(found).encode("utf-8", "backslashreplace"))
        note(f"written: {output}")
    if json_out:
        print_json(found.model_dump(mode="json"))
        return
    for line in aligned([list(HEAD), *(cells(outcome) for outcome in found.outcomes)], left={0, 1, 2, 7}):
        typer.echo(line)
    typer.echo(f"{title(found)} · spent {dollars(found.spent_usd)}")
    if any(outcome.moved for outcome in found.outcomes):
        typer.echo("moved: commit skillforge.lock and skills/ as one pull request; skillforge rollback NAME undoes one")
    elif found.of("move"):
        typer.echo(f"move them: skillforge requalify --student {shlex.quote(found.student)} --move")
