"""Calls that never mattered: notes, repeats, failures that were called again, reads that nothing came of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from skillforge.engine.compiling.effects import is_calculator, is_thought
from skillforge.engine.compiling.events import ToolEvent, said_after, tool_events
from skillforge.engine.compiling.values import in_text, is_weak, leaves, same
from skillforge.messages import Tool
from skillforge.trace import Trace

UNUSED = "nothing of its result was used later"
_LOOKED_AT = 600  # leaves of one result that are looked for in what came later


@dataclass(frozen=True)
class Pruned:
    """The calls of a trace that a plan has to make, and why each of the others (of all of its ``events``) is none of
    them, by number.
    """

    trace: Trace
    events: tuple[ToolEvent, ...]
    kept: tuple[ToolEvent, ...]
    dropped: Mapping[int, str]


def prune(trace: Trace, tools: Mapping[str, Tool]) -> Pruned:
    """What mattered in one trace. A call that writes and went through always does."""
    events = tuple(_without_key(event, tools) for event in tool_events(trace))
    dropped: dict[int, str] = {}
    for event in events:
        if why := _plainly_useless(event, events, tools):
            dropped[event.n] = why
    for event in reversed(events):  # from the end: what only a dropped call used was not needed either
        if event.n not in dropped and not writes(event, tools) and not event.failed:
            later = [other for other in events[event.n + 1 :] if other.n not in dropped]
            if not _used(trace, event, later):
                dropped[event.n] = UNUSED
    return Pruned(trace, events, tuple(event for event in events if event.n not in dropped), dropped)


def _without_key(event: ToolEvent, tools: Mapping[str, Tool]) -> ToolEvent:
    """An idempotency key is nobody's argument: it is filled in by whoever runs the plan."""
    key = tools[event.name].idempotency_key
    left = {name: value for name, value in event.arguments.items() if name != key}
    return event if not key or key not in event.arguments else event.model_copy(update={"arguments": left})


def writes(event: ToolEvent, tools: Mapping[str, Tool]) -> bool:
    return tools[event.name].effect == "write"


def _plainly_useless(event: ToolEvent, events: Sequence[ToolEvent], tools: Mapping[str, Tool]) -> str:
    if is_thought(event.name):
        return "a note of the agent to itself"
    later = events[event.n + 1 :]
    if event.failed:
        again = next((other for other in later if other.name == event.name and not other.failed), None)
        return f"failed, and was called again as call {again.n}" if again else ""
    if writes(event, tools):
        return ""
    if not event.answered:
        return "the trace ends before its result"
    return _repeats(event, events, tools)


def _repeats(event: ToolEvent, events: Sequence[ToolEvent], tools: Mapping[str, Tool]) -> str:
    for other in reversed(events[: event.n]):
        if other.name == event.name and not other.failed and same(other.arguments) == same(event.arguments):
            between = events[other.n + 1 : event.n]
            unchanged = same(other.result) == same(event.result)
            if unchanged or not any(writes(each, tools) for each in between):
                return f"the same as call {other.n}"
            return ""
    return ""


def _used(trace: Trace, event: ToolEvent, later: Sequence[ToolEvent]) -> bool:
    own = {same(leaf) for leaf in leaves(event.arguments)}
    found = [leaf for leaf in islice(leaves(event.result), _LOOKED_AT) if not is_weak(leaf) and same(leaf) not in own]
    asked = {same(leaf) for other in later for leaf in leaves(other.arguments)}
    if is_calculator(event.name):  # a model that writes the answer has computed, too
        return same(event.result) in asked or any(same(leaf) in asked for leaf in leaves(event.result))
    if not found:
        return True  # that there is nothing may be what it was called for
    if any(same(leaf) in asked for leaf in found):
        return True
    said = said_after(trace, event)
    return any(in_text(leaf, said) for leaf in found)
