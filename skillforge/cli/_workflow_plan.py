"""``run --plan``: what a workflow would call with an input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from skillforge.canonical import compact
from skillforge.cli._asking import visible
from skillforge.cli._shared import note, print_json
from skillforge.errors import UsageError

if TYPE_CHECKING:
    from skillforge.engine.workflow.preview import PlannedStep
    from skillforge.skill import Skill

_SHOWN = 60  # characters of an argument


def show_plan(skill: Skill, given: Mapping[str, Any], *, json_out: bool) -> None:
    """Print the steps by group. Raises ``UsageError`` for a skill without steps, ``InvalidInput``."""
    from skillforge.engine.workflow.preview import preview

    if not skill.is_workflow:
        raise UsageError(f"{skill.name} has no steps: it asks a model once", hint="--plan is for workflows")
    planned = preview(skill, given)
    if json_out:
        print_json([asdict(step) for step in planned])
        return
    for step in planned:
        typer.echo(_line(step))
    writes = ", ".join(step.id for step in planned if step.writes and step.runs != "no") or "nothing"
    note(f"nothing was called. It would write: {writes}; {_asked(planned)}. Equal numbers may run at the same time.")


def _line(step: PlannedStep) -> str:
    what = f"{step.kind} {', '.join(map(visible, step.tools))}".rstrip()
    known = [f"{name}={_short(compact(value))}" for name, value in step.known.items()]
    unknown = [f"{name}={' or '.join(f'<{path}>' for path in paths)}" for name, paths in step.open.items()]
    parts = [f"{step.group}. {step.id}", f"{what}({', '.join(known + unknown)})" if known or unknown else what]
    if step.writes:
        parts.append("writes")
    if step.each:
        parts.append(f"for each of {step.each}" + ("" if step.times is None else f" ({step.times})"))
    if step.runs == "no":
        parts.append("skipped")
    elif step.runs == "open" and step.when is not None:
        parts.append(f"if {_short(compact(dict(step.when)))}")
    if step.escalate:
        parts.append(visible(step.escalate))
    return " · ".join(parts)


def _asked(planned: tuple[PlannedStep, ...]) -> str:
    counts = [step.model_calls_at_most for step in planned]
    if None in counts:
        return "how often it asks a model depends on its lists"
    return f"it asks a model at most {sum(count or 0 for count in counts)} times, repairs included"


def _short(text: str) -> str:
    shown = visible(text)
    return shown if len(shown) <= _SHOWN else f"{shown[: _SHOWN - 1]}…"
