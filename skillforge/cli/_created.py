"""``forge.create`` as a command shows it: progress while it works, then what was made."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from skillforge.cli._asking import visible
from skillforge.cli._progress import Progress
from skillforge.cli._shared import note, resumable
from skillforge.evals.wording.words import many

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from skillforge.case import Case
    from skillforge.engine.agent.limits import LoopLimits
    from skillforge.forge.forge import Forge
    from skillforge.forge.making.create import Created
    from skillforge.forge.session import Terms
    from skillforge.messages import Tool
    from skillforge.tools.guard import Ask
    from skillforge.tools.opening import ToolsGiven

_SHOWN = 10
STAGES = {"author": "the teacher writes the skill", "prove": "the draft runs on its own inputs"}
DOING = {"author": "writing the skill", "prove": "proving the draft"}


def created_with_progress(
    forge: Forge,
    task: str,
    cases: Sequence[Case] = (),
    *,
    teacher: str | None,
    from_log: str = "",
    logs: Sequence[Path] = (),
    name: str | None = None,
    folder: Path | None = None,
    suite: str | None = None,
    terms: Terms | None = None,
    tools: ToolsGiven = None,
    ask: Ask | None = None,
    limits: LoopLimits | None = None,
    fresh: bool = False,
) -> Created:
    """``forge.create`` with progress on stderr; an interrupt names what was under way and how to go on."""
    from skillforge.forge.session import Terms

    stage = "solve"
    with Progress("solving", len(cases)) as progress, resumable(lambda: _interrupted(stage, progress)):

        def on_progress(now: str, done: int, total: int) -> None:
            nonlocal stage
            if now == "turn":
                progress.step(f"{done} {'turn' if done == 1 else 'turns'}")
                return
            stage = now
            if now == "solve":
                progress.advance()
            else:
                progress.clear()
                note(STAGES[now])

        def asked(tool: Tool, arguments: Mapping[str, Any]) -> bool:
            progress.clear()
            return ask is None or ask(tool, arguments)

        return forge.create(
            task,
            cases=cases,
            from_log=from_log,
            logs=logs,
            teacher=teacher,
            name=name,
            folder=folder,
            suite=suite,
            terms=terms or Terms(),
            tools=tools,
            ask=asked if ask is not None else None,
            limits=limits,
            fresh=fresh,
            on_progress=on_progress,
        )


def _interrupted(stage: str, progress: Progress) -> str:
    if not progress.total:  # a log brought them
        return f"while {DOING.get(stage, 'reading the log')}: what the teacher answered is kept"
    solved = f"{progress.done} of {progress.total} inputs are solved and kept"
    if stage == "solve":
        return f"while solving: {solved}"
    return f"while {DOING[stage]}: {solved}, and so is what the teacher answered since"


def render_created(created: Created) -> None:
    """What was made, for a person."""
    paid = f" ({created.reused} of them already paid for)" if created.reused else ""
    cost = created.cost
    dollars = "cost unknown" if cost.usd is None else f"${cost.usd:.4g}{' est.' if cost.estimated else ''}"
    if created.spent_usd is not None and not math.isclose(created.spent_usd, cost.usd or 0.0, abs_tol=1e-6):
        dollars += f" (${created.spent_usd:.4g} of it now)"
    solved, examples, checks = (
        many(count, noun)
        for count, noun in ((created.solved, "input"), (created.examples, "example"), (created.checks, "check"))
    )
    typer.echo(f"{created.name}@{created.version}  {created.path}  {'new draft' if created.new else 'unchanged'}")
    if created.from_log:
        typer.echo(f"  {solved} answered in the log{_apart(created)}; {examples}, {checks}")
    else:
        typer.echo(f"  solved {solved}{paid}; {examples}, {checks}")
    if created.steps:
        typer.echo(
            f"  a workflow of {many(created.steps, 'step')}, {created.asking} of which ask a model;"
            f" the teacher took {created.turns:.1f} turns an input"
        )
    typer.echo(
        f"  on {created.proved} of its own inputs: {created.proved_ok} fit, {created.agreed} equal the solved answer"
    )
    typer.echo(f"  teacher {created.teacher}, {dollars}{', repaired once' if created.repaired else ''}")
    render_from_tools(created.from_tools, created.examples_from)


def render_from_tools(told: Sequence[str], examples: Mapping[str, int]) -> None:
    """What of a new skill stands in a tool result, for whoever reviews it."""
    if examples:
        counts = ", ".join(f"{count} from {visible(tool)}" for tool, count in examples.items())
        typer.echo(f"  its examples hold texts out of tool results: {counts}")
    if told:
        typer.echo("  what else of it stands in a tool result:")
        for taint in told[:_SHOWN]:
            typer.echo(f"    {visible(taint)}")
        if len(told) > _SHOWN:
            typer.echo(f"    … and {len(told) - _SHOWN} more (--json names them)")


def _apart(created: Created) -> str:
    """What of the log was not taken as it stands."""
    told = [f"{created.labelled} of them labelled by people"] if created.labelled else []
    if created.left_out:
        told.append("left out: " + ", ".join(f"{count} {reason}" for reason, count in created.left_out.items()))
    return f" ({'; '.join(told)})" if told else ""
