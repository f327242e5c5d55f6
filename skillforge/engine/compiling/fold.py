"""Every argument of every shared call with its origin: what is constant is folded, what moved becomes a reference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from skillforge.engine.compiling.align import Alignment, align
from skillforge.engine.compiling.events import input_text, task_input
from skillforge.engine.compiling.origins import Ask, Column, Origin, Path, Scene, origin, scenes
from skillforge.engine.compiling.slots import Slot
from skillforge.engine.compiling.values import places, same
from skillforge.trace import Trace

MIN_APART = 2  # traces on each side before a value is taken for what tells them apart


@dataclass(frozen=True)
class FoldedCall:
    """A slot with the origin of each argument. ``each`` is the list it runs over (a reference, or ``Ask`` where a model
    names the elements), ``when`` the condition (or ``Ask``), ``None`` where it always runs.
    """

    slot: Slot
    args: Mapping[str, Origin]
    each: Any = None
    when: Any = None

    def asks(self) -> Iterator[Ask]:
        for value in (self.when, self.each, [found.expression for found in self.args.values()]):
            yield from asked_in(value)


@dataclass(frozen=True)
class Folded:
    """The shared calls in the order of the plan, and how the answer comes about: an origin for every field of it, or
    ``None`` where it is text. ``given`` is the input of each trace.
    """

    alignment: Alignment
    calls: tuple[FoldedCall, ...]
    outcome: Mapping[str, Origin] | None = None
    given: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def render(self) -> str:
        """For a reader: one line an argument."""
        lines = []
        for call in self.calls:
            condition = "" if call.when is None else f"  when {_shown(call.when)}"
            lines.append(f"{call.slot.id}: {call.slot.tool}{condition}")
            if call.each is not None:
                lines.append(f"  for each of {_shown(call.each)}")
            lines += [f"  {name} <- {_shown(found.expression)}  ({found.why})" for name, found in call.args.items()]
        for name, found in (self.outcome or {}).items():
            lines.append(f"answer.{name} <- {_shown(found.expression)}  ({found.why})")
        return "\n".join(lines)


def asked_in(value: Any) -> Iterator[Ask]:
    """Every ``Ask`` in an expression."""
    if isinstance(value, Ask):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from asked_in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from asked_in(inner)


def fold(traces: Sequence[Trace]) -> Folded:
    """The origin of every argument of every call that the successful ones of ``traces`` share.

    Raises ``UsageError`` as ``align``.
    """
    return folded(align(traces))


def folded(alignment: Alignment) -> Folded:
    """``fold`` of traces that are aligned already."""
    given = {trace.case_id: task_input(trace) for trace in alignment.traces}
    texts = {trace.case_id: input_text(trace) for trace in alignment.traces}
    calls = _folded_calls(alignment, given, texts)
    if pair := _asked_alike(calls, {name for name, tool in alignment.tools.items() if tool.effect == "write"}):
        return folded(alignment.together(*pair))
    every = scenes(given, texts, alignment.slots, list(given))
    return Folded(alignment, calls, _outcome(alignment, every), given)


def _folded_calls(
    alignment: Alignment, given: Mapping[str, Mapping[str, Any]], texts: Mapping[str, str]
) -> tuple[FoldedCall, ...]:
    calls: list[FoldedCall] = []
    for number, slot in enumerate(alignment.slots):
        every = scenes(given, texts, alignment.slots[:number], list(given))
        calls.append(_folded_call(slot, every))
    return tuple(calls)


def _asked_alike(calls: Sequence[FoldedCall], writing: set[str]) -> tuple[str, str] | None:
    """Two calls of one tool for which a model has to say the same arguments: that is one list of them. What is read
    before and after a write is not.
    """
    told: dict[tuple[str, tuple[str, ...], frozenset[str]], str] = {}
    for call in calls:
        if call.slot.tool in writing:
            told = {key: first for key, first in told.items() if key[0] in writing}
        asked = frozenset(key for key, found in call.args.items() if any(True for _ in asked_in(found.expression)))
        if call.each is None and asked:
            first = told.setdefault((call.slot.tool, call.slot.keys, asked), call.slot.id)
            one = next(other.slot for other in calls if other.slot.id == first)
            if first != call.slot.id and one.runs.keys() == call.slot.runs.keys():
                return first, call.slot.id
    return None


def _outcome(alignment: Alignment, every: Mapping[str, Scene]) -> Mapping[str, Origin] | None:
    answers = alignment.outcomes
    if not all(isinstance(answer, dict) for answer in answers.values()):
        return None
    names = dict.fromkeys(name for answer in answers.values() for name in answer)
    filled = {name: {trace: answer.get(name) for trace, answer in answers.items()} for name in names}
    return {name: origin(name, column, every) for name, column in filled.items()}


def _folded_call(slot: Slot, every: Mapping[str, Scene]) -> FoldedCall:
    here = {trace: every[trace] for trace in slot.runs}
    if not slot.each:
        columns = {key: {trace: run[0].arguments[key] for trace, run in slot.runs.items()} for key in slot.keys}
        args = {key: origin(key, column, here) for key, column in columns.items()}
        return FoldedCall(slot, args, when=_condition(slot, every))
    return _repeated(slot, every, here)


def _repeated(slot: Slot, every: Mapping[str, Scene], here: Mapping[str, Scene]) -> FoldedCall:
    """A call for the elements of a list: one that a result or the input holds, else one that a model writes out."""
    rows = {trace: [event.arguments for event in run] for trace, run in slot.runs.items()}
    fixed: list[str] = []
    varying: list[str] = []
    for key in slot.keys:
        (fixed if all(len({same(row[key]) for row in listed}) == 1 for listed in rows.values()) else varying).append(
            key
        )
    args = {key: origin(key, {trace: listed[0][key] for trace, listed in rows.items()}, here) for key in fixed}
    source = _list_source(varying, rows, here)
    if source is not None:
        path, inner = source
        items = {key: _item(place) for key, place in inner.items()}
        return FoldedCall(slot, _in_order(slot, {**args, **items}), {"from": ".".join(path)}, _condition(slot, every))
    fixed_asks = [key for key in fixed if any(True for _ in asked_in(args[key].expression))]
    told = [key for key in slot.keys if key in varying or key in fixed_asks]
    single = len(told) == 1
    values: dict[str, Any] = {
        trace: [row[told[0]] if single else {key: row[key] for key in told} for row in rows.get(trace, [])]
        for trace in every
    }
    items = {key: _item(() if single else (key,)) for key in told}
    ask = _list_ask(told[0] if single else slot.id, values, here)
    return FoldedCall(slot, _in_order(slot, {**args, **items}), ask)


def _list_ask(name: str, values: Column, here: Mapping[str, Scene]) -> Ask:
    plural = name if name.endswith("s") else f"{name}s"
    found = origin(name, {trace: value for trace, value in values.items() if value}, here)
    seen = next(asked_in(found.expression), None)
    if seen is None:
        return Ask(plural, values, why="for each of them")
    return Ask(plural, values, seen.literal, seen.seen_in, "for each of them")


def _in_order(slot: Slot, args: Mapping[str, Origin]) -> dict[str, Origin]:
    return {key: args[key] for key in slot.keys}


def _item(inner: Path) -> Origin:
    return Origin("result", {"from": ".".join(("item", *inner))}, "of the element")


def _list_source(
    varying: Sequence[str], rows: Mapping[str, list[dict[str, Any]]], here: Mapping[str, Scene]
) -> tuple[Path, dict[str, Path]] | None:
    """A list whose elements hold the varying arguments, call by call in their order, in every trace."""
    if not varying:
        return None
    common: set[Path] | None = None
    for trace, listed in rows.items():
        found = {path for path, value in here[trace].lists.items() if len(value) == len(listed)}
        common = found if common is None else common & found
    for path in sorted(common or (), key=lambda path: (len(path), path)):
        if any(part.isdigit() for part in path[2 if path[0] == "steps" else 1 :]):
            continue
        inner = {key: _place_in_items(key, path, rows, here) for key in varying}
        if all(place is not None for place in inner.values()):
            return path, {key: place for key, place in inner.items() if place is not None}
    return None


def _place_in_items(
    key: str, path: Path, rows: Mapping[str, list[dict[str, Any]]], here: Mapping[str, Scene]
) -> Path | None:
    common: set[Path] | None = None
    for trace, listed in rows.items():
        for element, row in zip(here[trace].at(path), listed, strict=True):
            wanted = same(row[key])
            found = {place for place, value in places(element) if same(value) == wanted}
            common = found if common is None else common & found
            if not common:
                return None
    return min(common or (), key=lambda place: (bool(place) and place[-1] != key, len(place), place), default=None)


def _condition(slot: Slot, every: Mapping[str, Scene]) -> Any:
    """When a call that only some traces make is made: a value that tells them apart, else a model has to say."""
    if len(slot.runs) == len(every):
        return None
    return _separator(slot, every) or Ask(
        f"{slot.id}_needed", {trace: trace in slot.runs for trace in every}, why="not every trace made this call"
    )


def _separator(slot: Slot, every: Mapping[str, Scene]) -> dict[str, Any] | None:
    """A small value (true, a word) that stands at one place in every trace, is the same wherever the call was made, and
    another wherever it was not.
    """
    absent = [trace for trace in every if trace not in slot.runs]
    if len(slot.runs) < MIN_APART or len(absent) < MIN_APART:
        return None
    first, *others = slot.runs
    for path, value in every[first].places():
        if not isinstance(value, bool) and not (isinstance(value, str) and 0 < len(value) <= 40):
            continue
        if any(part.isdigit() for part in path):
            continue
        if all(_is_at(every[trace], path, value) is True for trace in others) and all(
            _is_at(every[trace], path, value) is False for trace in absent
        ):
            return {"from": ".".join(path), "equals": value}
    return None


def _is_at(scene: Scene, path: Path, value: Any) -> bool | None:
    """Whether the value stands at the path; ``None`` where nothing does."""
    try:
        return same(scene.at(path)) == same(value)
    except (KeyError, IndexError, TypeError, ValueError):
        return None


def _shown(expression: Any) -> str:
    if isinstance(expression, Ask):
        return "the request" if expression.literal else "a decision"
    if isinstance(expression, Mapping):
        if isinstance(expression.get("from"), str):
            rest = "".join(f" {key} {value}" for key, value in expression.items() if key != "from")
            return f"{expression['from']}{rest}"
        return "{" + ", ".join(f"{key}: {_shown(value)}" for key, value in expression.items()) + "}"
    if isinstance(expression, list):
        return "[" + ", ".join(map(_shown, expression)) + "]"
    return repr(expression)
