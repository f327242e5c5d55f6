"""The plan of one trace alone: what the agent did, call by call.

One trace does not tell what varies. What stands in the request is taken from it, what a result gave is a reference, and
everything else is a constant: the commands and edits as the agent chose them, for a person to read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from skillforge.engine.compiling.align import align
from skillforge.engine.compiling.events import ToolEvent, input_text, task_input
from skillforge.engine.compiling.fold import Folded, FoldedCall, asked_in
from skillforge.engine.compiling.mechanical import Plan, planned
from skillforge.engine.compiling.origins import Origin, Scene, literal_value, origin, scenes
from skillforge.engine.compiling.slots import Slot, step_id
from skillforge.engine.compiling.values import is_weak
from skillforge.errors import UsageError
from skillforge.trace import Trace

AS_RECORDED = "as the agent chose it"


def routine(task: str, traces: Sequence[Trace], name: str | None = None) -> Plan:
    """The plan of the one trace in ``traces``.

    Raises ``UsageError`` where there are several, where it did not go well, and where none of its calls mattered.
    """
    if len(traces) != 1:
        raise UsageError(f"{len(traces)} traces are given, one is meant", hint="skillforge create --from-trace")
    alignment = align(traces)
    (trace,) = alignment.traces
    kept = [event for slot in alignment.slots for event in slot.runs[trace.case_id]]
    if not kept:
        raise UsageError(
            "none of its tool calls mattered: nothing was changed, and nothing that was read came back",
            hint="name another request: --turn N",
        )
    slots = _slots(trace.case_id, sorted(kept, key=lambda event: event.n))
    given, texts = {trace.case_id: task_input(trace)}, {trace.case_id: input_text(trace)}
    calls = [_call(slot, scenes(given, texts, slots[:place], list(given))) for place, slot in enumerate(slots)]
    alone = alignment.__class__(alignment.traces, slots, alignment.tools, alignment.dropped)
    return planned(Folded(alone, tuple(calls), None, given), task, name)


def _slots(trace: str, events: Sequence[ToolEvent]) -> tuple[Slot, ...]:
    counts: Counter[str] = Counter()
    slots = []
    for event in events:
        base = step_id(event.name)
        counts[base] += 1
        name = base if counts[base] == 1 else f"{base}_{counts[base]}"
        slots.append(Slot(name, event.name, tuple(sorted(event.arguments)), {trace: (event,)}))
    return tuple(slots)


def _call(slot: Slot, at: dict[str, Scene]) -> FoldedCall:
    (trace,) = slot.runs
    arguments = slot.runs[trace][0].arguments
    return FoldedCall(slot, {key: _origin(key, {trace: arguments[key]}, at) for key in slot.keys})


def _origin(key: str, column: dict[str, Any], at: dict[str, Scene]) -> Origin:
    (value,) = column.values()
    found = origin(key, column, at)
    asked = list(asked_in(found.expression))
    if all(ask.literal and not any(is_weak(said) for said in ask.values.values()) for ask in asked):
        return found
    return Origin("constant", literal_value(value), AS_RECORDED)
