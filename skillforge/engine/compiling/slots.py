"""The calls that several traces share: one slot of the plan each, with the calls of every trace that fill it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from skillforge.engine.compiling.events import ToolEvent, input_text
from skillforge.engine.compiling.prune import Pruned
from skillforge.engine.compiling.values import in_text, is_weak, leaves, same
from skillforge.messages import Tool

MAX_APART = 2  # calls of a tool that are steps of their own; more are one step with `each`

Label = tuple[str, tuple[str, ...], int]


@dataclass(frozen=True)
class Slot:
    """One step of the plan to be. ``runs`` are the calls that fill it, by trace id; a trace without it is missing.
    ``each``: in some trace it is called more than once, for the elements of a list.
    """

    id: str
    tool: str
    keys: tuple[str, ...]
    runs: Mapping[str, tuple[ToolEvent, ...]]
    each: bool = False

    def result(self, trace: str) -> object:
        """Its value in a trace as ``steps.<id>`` will be: ``None`` where it was not called."""
        run = self.runs.get(trace)
        if run is None:
            return None
        return [event.result for event in run] if self.each else run[0].result


def slots_of(pruned: Sequence[Pruned], tools: Mapping[str, Tool]) -> tuple[Slot, ...]:
    """The slots of some traces in an order in which every call comes after those whose results it uses.

    Calls of one tool with the same argument names are the same slot. Where one of them needs what another gave, they
    are two; where traces differ in how often they call, one with ``each``.
    """
    sources = {one.trace.case_id: _sources(one) for one in pruned}
    groups: dict[Label, dict[str, list[ToolEvent]]] = {}
    for one in pruned:
        found = sources[one.trace.case_id]
        waves = _waves(one.kept, found)
        for event in one.kept:
            label = (event.name, tuple(sorted(event.arguments)), waves[event.n])
            groups.setdefault(label, {}).setdefault(one.trace.case_id, []).append(event)
    made = [slot for label, runs in groups.items() for slot in _split(label, runs)]
    return _named(_ordered(made, sources, tools))


def _sources(one: Pruned) -> dict[int, frozenset[int]]:
    """For each call the earlier calls whose results its arguments were first seen in."""
    text = input_text(one.trace)
    first: dict[str, int] = {}
    found: dict[int, frozenset[int]] = {}
    for event in one.kept:
        strong = [leaf for leaf in leaves(event.arguments) if not is_weak(leaf)]
        found[event.n] = frozenset(
            first[same(leaf)] for leaf in strong if same(leaf) in first and not in_text(leaf, text)
        )
        for leaf in leaves(event.result):
            first.setdefault(same(leaf), event.n)
    return found


def _waves(events: Sequence[ToolEvent], sources: Mapping[int, frozenset[int]]) -> dict[int, int]:
    """How many calls of the same tool each call needs to have been made before it."""
    behind: dict[int, set[int]] = {}
    waves: dict[int, int] = {}
    names = {event.n: event.name for event in events}
    for event in events:
        behind[event.n] = {n for source in sources[event.n] for n in (source, *behind.get(source, ()))}
        before = [waves[n] + 1 for n in behind[event.n] if names.get(n) == event.name]
        waves[event.n] = max(before, default=0)
    return waves


def _split(label: Label, runs: Mapping[str, list[ToolEvent]]) -> list[Slot]:
    name, keys, _ = label
    counts = {len(events) for events in runs.values()}
    most = max(counts)
    if len(counts) == 1 and most <= MAX_APART:
        return [
            Slot("", name, keys, {trace: (events[place],) for trace, events in runs.items()}) for place in range(most)
        ]
    return [Slot("", name, keys, {trace: tuple(events) for trace, events in runs.items()}, each=True)]


def _ordered(
    slots: Sequence[Slot], sources: Mapping[str, Mapping[int, frozenset[int]]], tools: Mapping[str, Tool]
) -> list[Slot]:
    """By their mean place, after every slot they need, and writes in the order in which they were made."""
    place = {index: _mean_place(slot) for index, slot in enumerate(slots)}
    needs: dict[int, set[int]] = {index: set() for index in range(len(slots))}
    owner = {
        (trace, event.n): index for index, slot in enumerate(slots) for trace, run in slot.runs.items() for event in run
    }
    for (trace, n), index in owner.items():
        needs[index] |= {owner[trace, source] for source in sources[trace][n] if (trace, source) in owner} - {index}
    for earlier, later in _same_thing(
        owner, slots, {index for index, slot in enumerate(slots) if _writes(slot, tools)}
    ):
        needs[later].add(earlier)
    writing = sorted(
        (index for index, slot in enumerate(slots) if tools[slot.tool].effect == "write"), key=place.__getitem__
    )
    ordered: list[int] = []
    left = set(place)
    while left:
        ready = [index for index in left if not needs[index] & left] or list(left)  # a circle: no order is right
        first_write = next((index for index in writing if index in left), None)
        free = [index for index in ready if index not in writing or index == first_write] or ready
        chosen = min(free, key=place.__getitem__)
        ordered.append(chosen)
        left.remove(chosen)
    return [slots[index] for index in ordered]


def _same_thing(owner: Mapping[tuple[str, int], int], slots: Sequence[Slot], writing: set[int]) -> set[tuple[int, int]]:
    """Slots that wrote to the same thing (an id in the arguments of both), in the order in which they did."""
    told: dict[tuple[str, str], set[int]] = {}
    found: set[tuple[int, int]] = set()
    events = {(trace, event.n): event for slot in slots for trace, run in slot.runs.items() for event in run}
    for (trace, n), index in sorted(owner.items()):
        if index in writing:
            for leaf in leaves(events[trace, n].arguments):
                if not is_weak(leaf) and any(char.isdigit() for char in str(leaf)):
                    found |= {(other, index) for other in told.get((trace, same(leaf)), ()) if other != index}
                    told.setdefault((trace, same(leaf)), set()).add(index)
    return {pair for pair in found if pair[::-1] not in found}


def _writes(slot: Slot, tools: Mapping[str, Tool]) -> bool:
    return tools[slot.tool].effect == "write"


def _mean_place(slot: Slot) -> tuple[float, int]:
    firsts = [run[0].n for run in slot.runs.values()]
    return (sum(firsts) / len(firsts), firsts[0])


def _named(slots: Sequence[Slot]) -> tuple[Slot, ...]:
    counts: Counter[str] = Counter()
    named = []
    for slot in slots:
        base = step_id(slot.tool)
        counts[base] += 1
        name = base if counts[base] == 1 else f"{base}_{counts[base]}"
        named.append(Slot(name, slot.tool, slot.keys, slot.runs, slot.each))
    return tuple(named)


def step_id(name: str) -> str:
    """A tool's name as the id of a step."""
    plain = re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.rsplit("__", 1)[-1]).lower()).strip(
        "_"
    )
    plain = plain[:56]
    return plain if plain[:1].isalpha() else f"step_{plain}".rstrip("_")
