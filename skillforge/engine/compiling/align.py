"""Several traces of one task side by side: what all successful ones called, what differed, what the failed ones did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from skillforge.canonical import compact
from skillforge.engine.compiling.effects import is_calculator, tools_of
from skillforge.engine.compiling.events import ToolEvent, outcome, segment, succeeded
from skillforge.engine.compiling.prune import UNUSED, Pruned, prune
from skillforge.engine.compiling.slots import Slot, slots_of
from skillforge.engine.compiling.values import leaves, same
from skillforge.errors import UsageError
from skillforge.messages import Tool
from skillforge.trace import Trace

_SHOWN = 160  # characters of one line's arguments


@dataclass(frozen=True)
class Failure:
    """An unsuccessful trace against the shared calls: which it lacked, which it made beside them, what it says of
    itself.
    """

    trace: str
    lacked: tuple[str, ...]
    extra: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class Alignment:
    """``traces`` are the successful ones, ``slots`` their shared calls in order, ``dropped`` why a call is in none, by
    trace and number. ``failed`` are the others.
    """

    traces: tuple[Trace, ...]
    slots: tuple[Slot, ...]
    tools: Mapping[str, Tool]
    dropped: Mapping[str, Mapping[int, str]]
    failed: tuple[Failure, ...] = ()

    @property
    def outcomes(self) -> dict[str, Any]:
        """The answer of every successful trace."""
        return {trace.case_id: outcome(trace) for trace in self.traces}

    def together(self, first: str, second: str) -> Alignment:
        """The same with two slots of one tool as one that runs for the elements of a list."""
        one, two = (next(slot for slot in self.slots if slot.id == name) for name in (first, second))
        runs = {trace: (*run, *two.runs.get(trace, ())) for trace, run in one.runs.items()}
        both = Slot(one.id, one.tool, one.keys, runs, each=True)
        return replace(self, slots=tuple(both if slot is one else slot for slot in self.slots if slot is not two))

    def render(self) -> str:
        """For a reader: the shared calls, how many traces made them, whether their arguments differed."""
        total = len(self.traces)
        lines = [f"{total} successful trace{'' if total == 1 else 's'}: {', '.join(t.case_id for t in self.traces)}"]
        for slot in self.slots:
            made = "in all" if len(slot.runs) == total else f"in {len(slot.runs)} of {total}"
            often = f", {_counts(slot)} calls" if slot.each else ""
            lines.append(f"  {slot.id}: {slot.tool}({', '.join(slot.keys)})  {made}{often}; {_differences(slot)}")
        reasons = Counter(why.split(" as call ")[0] for found in self.dropped.values() for why in found.values())
        lines += [f"  dropped {count}: {why}" for why, count in reasons.most_common()]
        for failure in self.failed:
            parts = [failure.why]
            parts += [f"lacked {', '.join(failure.lacked)}"] if failure.lacked else []
            parts += [f"also called {', '.join(failure.extra)}"] if failure.extra else []
            lines.append(f"failed {failure.trace}: {'; '.join(parts)}")
        return "\n".join(lines)


def align(traces: Sequence[Trace]) -> Alignment:
    """Set traces side by side. Their ids have to differ.

    Raises ``UsageError`` where none of them went well, or an id stands twice.
    """
    twice = [name for name, count in Counter(trace.case_id for trace in traces).items() if count > 1]
    if twice:
        raise UsageError(f"several traces have the id {twice[0]}", hint="give each a case_id of its own")
    good = tuple(segment(trace) for trace in traces if succeeded(trace))
    if not good:
        raise UsageError(_no_success(traces), hint="a plan is made of what went well: record or import such a trace")
    tools = tools_of(traces)
    pruned = _with_common([prune(trace, tools) for trace in good])
    slots = slots_of(pruned, tools)
    lone = _lone_reads(slots, len(good), tools)
    if lone:
        pruned = [_without(one, lone) for one in pruned]
        slots = slots_of(pruned, tools)
    dropped = {one.trace.case_id: dict(one.dropped) for one in pruned}
    bad = [trace for trace in traces if not succeeded(trace)]
    return Alignment(good, slots, tools, dropped, tuple(_failure(trace, slots, tools) for trace in bad))


def _no_success(traces: Sequence[Trace]) -> str:
    if not traces:
        return "there are no traces"
    rewards = [trace.reward for trace in traces if trace.reward is not None]
    best = f"; the best reward is {max(rewards):g}" if rewards else ""
    return f"none of the {len(traces)} traces went well{best}"


def _with_common(pruned: list[Pruned]) -> list[Pruned]:
    """What most traces looked at is no looking around, even where nobody quoted it: a rule may hang on it."""
    looked: Counter[tuple[str, tuple[str, ...]]] = Counter()
    for one in pruned:
        looked.update({_kind(event) for event in one.events if _mattered(event, one)})
    common = {kind for kind, count in looked.items() if count > 1 and 2 * count > len(pruned)}
    return [_restored(one, common) for one in pruned]


def _restored(one: Pruned, common: set[tuple[str, tuple[str, ...]]]) -> Pruned:
    kept = tuple(
        event
        for event in one.events
        if _mattered(event, one)
        and (event.n not in one.dropped or (_kind(event) in common and not is_calculator(event.name)))
    )
    again = {event.n for event in kept}
    return Pruned(one.trace, one.events, kept, {n: why for n, why in one.dropped.items() if n not in again})


def _mattered(event: ToolEvent, one: Pruned) -> bool:
    return one.dropped.get(event.n, UNUSED) == UNUSED


def _kind(event: ToolEvent) -> tuple[str, tuple[str, ...]]:
    return event.name, tuple(sorted(event.arguments))


def _lone_reads(slots: Sequence[Slot], total: int, tools: Mapping[str, Tool]) -> dict[tuple[str, int], str]:
    """Reads of fewer than half of the traces that no other shared call needed: an agent looking around."""
    found: dict[tuple[str, int], str] = {}
    for slot in slots:
        if tools[slot.tool].effect == "write" or 2 * len(slot.runs) >= total:
            continue
        others = [event for other in slots if other is not slot for run in other.runs.values() for event in run]
        if not _needed(slot, others):
            why = f"only {len(slot.runs)} of {total} traces looked, and no other call needed it"
            found |= {(trace, event.n): why for trace, run in slot.runs.items() for event in run}
    return found


def _needed(slot: Slot, others: Sequence[ToolEvent]) -> bool:
    asked = {same(leaf) for event in others for leaf in leaves(event.arguments)}
    own = {same(leaf) for run in slot.runs.values() for event in run for leaf in leaves(event.arguments)}
    given = {same(leaf) for run in slot.runs.values() for event in run for leaf in leaves(event.result)}
    return bool((given - own) & asked)


def _without(one: Pruned, lone: Mapping[tuple[str, int], str]) -> Pruned:
    mine = {n: why for (trace, n), why in lone.items() if trace == one.trace.case_id}
    kept = tuple(event for event in one.kept if event.n not in mine)
    return Pruned(one.trace, one.events, kept, {**one.dropped, **mine})


def _failure(trace: Trace, slots: Sequence[Slot], tools: Mapping[str, Tool]) -> Failure:
    pruned = prune(trace, tools)
    made = Counter(event.name for event in pruned.events if _mattered(event, pruned))  # whatever came of it
    left = Counter(event.name for event in pruned.kept)
    lacked = []
    for slot in slots:
        if made[slot.tool]:
            made[slot.tool] = 0 if slot.each else made[slot.tool] - 1
            left[slot.tool] = 0 if slot.each else max(0, left[slot.tool] - 1)
        else:
            lacked.append(slot.id)
    extra = tuple(name if count == 1 else f"{name} ({count} times)" for name, count in left.items() if count)
    why = trace.error or ("" if trace.reward is None else f"reward {trace.reward:g}")
    return Failure(trace.case_id, tuple(lacked), extra, why[:_SHOWN])


def _counts(slot: Slot) -> str:
    counts = sorted({len(run) for run in slot.runs.values()})
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"


def _differences(slot: Slot) -> str:
    firsts = [run[0].arguments for run in slot.runs.values()]
    differ = [key for key in slot.keys if len({same(arguments[key]) for arguments in firsts}) > 1]
    if not slot.keys:
        return "no arguments"
    if slot.each or differ:
        return f"differing: {', '.join(differ) or 'from call to call'}"
    return f"always {compact(firsts[0])[:_SHOWN]}"
