"""What became of every call of a trace in a plan, and which steps of the plan no call stands behind."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

from skillforge.canonical import compact
from skillforge.engine.compiling.effects import tools_of
from skillforge.engine.compiling.events import ToolEvent, segment, tool_events
from skillforge.engine.compiling.prune import prune
from skillforge.engine.compiling.values import same
from skillforge.messages import Value
from skillforge.references import MissingReference, Scope, paths, resolve
from skillforge.skill import Skill
from skillforge.step import Step
from skillforge.trace import Trace

_SHOWN = 120  # characters of a call

Fate = Literal["step", "dropped", "new"]


class PlanRow(Value):
    """One line of a diff. ``step``: call ``n`` of the trace is that step. ``dropped``: it is none, and ``why``.
    ``new``: no call stands behind the step (``why`` says what it does). ``folded`` are the arguments that became
    constants.
    """

    fate: Fate
    n: int | None = None
    call: str = ""
    step: str = ""
    why: str = ""
    folded: tuple[str, ...] = ()


def plan_diff(trace: Trace, skill: Skill) -> tuple[PlanRow, ...]:
    """The calls of a trace in their order, then the steps that none of them became.

    A call is matched to a step of its tool whose constants it has, and whose references give its arguments, as far as
    that is known: of the language steps by what they answered in this trace, which their examples say. Where several
    calls may be the step, the first is taken and the row says so. A step with ``each`` takes all that are left. Raises
    ``UsageError`` for a trace of more than 40 calls in one request.
    """
    trace = segment(trace)
    events = tool_events(trace)
    dropped = prune(trace, tools_of([trace])).dropped
    told = {"steps": _answered(trace, skill)}
    taken = _matched([event for event in events if event.n not in dropped], skill.steps, told)
    # a plan may make a call that pruning one trace alone finds idle: others needed it
    left = [step for step in skill.steps if step.id not in taken.values()]
    taken |= _matched([event for event in events if event.n in dropped and not event.failed], left, told)
    guessed = _guessed(events, skill.steps, taken, told)
    by_id = {step.id: step for step in skill.steps}
    rows = [_row(event, by_id.get(taken.get(event.n, "")), dropped, guessed) for event in events]
    behind = set(taken.values())
    rows += [PlanRow(fate="new", step=step.id, why=_does(step)) for step in skill.steps if step.id not in behind]
    return tuple(rows)


def _answered(trace: Trace, skill: Skill) -> dict[str, Any]:
    """What the language steps answered in this trace, where an example tells."""
    return {
        step.id: example.output
        for step in skill.steps
        for example in step.examples.items
        if example.id == trace.case_id
    }


def _matched(events: Sequence[ToolEvent], steps: Sequence[Step], told: Scope) -> dict[int, str]:
    taken: dict[int, str] = {}
    for step in steps:
        mine = [event for event in events if event.name == step.tool and event.n not in taken]
        mine = [event for event in mine if _fits(event, step, told)]
        taken |= {event.n: step.id for event in (mine if step.each is not None else mine[:1])}
    return taken


def _guessed(
    events: Sequence[ToolEvent], steps: Sequence[Step], taken: Mapping[int, str], told: Scope
) -> frozenset[str]:
    """The steps that another call than the one taken may be, which is none of the plan's."""
    left = [event for event in events if event.n not in taken and not event.failed]
    single = [step for step in steps if step.each is None and step.id in taken.values()]
    return frozenset(
        step.id for step in single if any(event.name == step.tool and _fits(event, step, told) for event in left)
    )


def _fits(event: ToolEvent, step: Step, told: Scope) -> bool:
    """Whether no argument of the step is known to be another than the call's."""
    for name, value in step.args.items():
        if not any(True for _ in paths(value)):
            known = _literal(value)
        elif not all(path.startswith("steps.") for path in paths(value)):
            continue
        else:
            try:
                known = resolve(value, told)
            except MissingReference:
                continue
        if name not in event.arguments or same(event.arguments[name]) != same(known):
            return False
    return True


def _literal(value: Any) -> Any:
    return value["value"] if isinstance(value, dict) and value.keys() == {"value"} else value


def _row(event: ToolEvent, step: Step | None, dropped: Mapping[int, str], guessed: Collection[str]) -> PlanRow:
    text = f"{event.name}({compact(event.arguments)})"
    call = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    if step is None:
        return PlanRow(fate="dropped", n=event.n, call=call, why=dropped.get(event.n, "no step of the plan makes it"))
    folded = tuple(name for name, value in step.args.items() if not any(True for _ in paths(value)))
    why = "for each" if step.each else "or another call: its arguments come from a model" if step.id in guessed else ""
    return PlanRow(fate="step", n=event.n, call=call, step=step.id, why=why, folded=folded)


def _does(step: Step) -> str:
    match step.kind:
        case "prompt":
            return "asks a model"
        case "agent":
            return "a bounded loop of a model with tools"
        case "escalate":
            return "ends the run"
        case _:
            return f"calls {step.tool}{' where its condition holds' if step.when else ''}: not in this trace"
