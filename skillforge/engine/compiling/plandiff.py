"""What became of every call of a trace in a plan, and which steps of the plan no call stands behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from skillforge.canonical import compact
from skillforge.engine.compiling.effects import tools_of
from skillforge.engine.compiling.events import ToolEvent, segment, tool_events
from skillforge.engine.compiling.prune import prune
from skillforge.engine.compiling.values import same
from skillforge.messages import Value
from skillforge.references import paths
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

    Calls are matched to the steps of their tool in the order of the file, those with equal constants first. A step with
    ``each`` takes all that are left. Raises ``UsageError`` for a trace of more than 40 calls in one request.
    """
    trace = segment(trace)
    events = tool_events(trace)
    dropped = prune(trace, tools_of([trace])).dropped
    taken = _matched([event for event in events if event.n not in dropped], skill.steps)
    # a plan may make a call that pruning one trace alone finds idle: others needed it
    left = [step for step in skill.steps if step.id not in taken.values()]
    taken |= _matched([event for event in events if event.n in dropped and not event.failed], left)
    by_id = {step.id: step for step in skill.steps}
    rows = [_row(event, by_id.get(taken.get(event.n, "")), dropped) for event in events]
    behind = set(taken.values())
    rows += [PlanRow(fate="new", step=step.id, why=_does(step)) for step in skill.steps if step.id not in behind]
    return tuple(rows)


def _matched(events: Sequence[ToolEvent], steps: Sequence[Step]) -> dict[int, str]:
    taken: dict[int, str] = {}
    for step in steps:
        mine = [event for event in events if event.name == step.tool and event.n not in taken and _fits(event, step)]
        taken |= {event.n: step.id for event in (mine if step.each is not None else mine[:1])}
    return taken


def _fits(event: ToolEvent, step: Step) -> bool:
    constants = {name: value for name, value in step.args.items() if not any(True for _ in paths(value))}
    return all(
        name in event.arguments and same(event.arguments[name]) == same(_literal(value))
        for name, value in constants.items()
    )


def _literal(value: Any) -> Any:
    return value["value"] if isinstance(value, dict) and value.keys() == {"value"} else value


def _row(event: ToolEvent, step: Step | None, dropped: Mapping[int, str]) -> PlanRow:
    text = f"{event.name}({compact(event.arguments)})"
    call = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    if step is None:
        return PlanRow(fate="dropped", n=event.n, call=call, why=dropped.get(event.n, "no step of the plan makes it"))
    folded = tuple(name for name, value in step.args.items() if not any(True for _ in paths(value)))
    return PlanRow(fate="step", n=event.n, call=call, step=step.id, why="for each" if step.each else "", folded=folded)


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
