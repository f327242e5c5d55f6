"""A trace for a reader: who said what, which tools were called with what, what came back, and what it cost."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from skillforge.cli._asking import visible
from skillforge.cli._shared import aligned

if TYPE_CHECKING:
    from skillforge.forge.calls.trajectories import Imported, Tally
    from skillforge.messages import Cost, Message, Part, Usage
    from skillforge.store.trajectories import StoredTrace
    from skillforge.trace import Trace, Turn

ID = 12  # characters of an id that are shown
_TEXT = 400  # characters of a text
_ARGUMENTS = 200
_RESULT = 240
_MOST_FLAGS = 40


def imported_lines(done: Imported) -> Iterator[str]:
    """A line a format, and what the attempts at named tasks come to."""
    rows: list[tuple[str, ...]] = [("format", "traces", "messages", "tool calls", "tokens in", "out", "$", "solved")]
    rows += [_tally(name, tally) for name, tally in sorted(done.formats.items())]
    if done.formats:
        yield from aligned(rows, left={0})
    if done.groups:
        most = max(done.groups.values())
        tasks = "1 task" if len(done.groups) == 1 else f"{len(done.groups):,} tasks"
        yield f"{tasks} with up to {most:,} attempt{'' if most == 1 else 's'}"


def list_lines(found: Sequence[StoredTrace]) -> list[str]:
    rows: list[tuple[str, ...]] = [("id", "format", "group", "case", "reward", "turns", "calls", "$", "says")]
    for stored in found:
        trace = stored.trace
        calls = sum(len(message.tool_calls) for message in trace.messages)
        reward = "-" if trace.reward is None else f"{trace.reward:g}"
        cells = (stored.id[:ID], trace.format, trace.group[:16] or "-", trace.case_id[:24], reward)
        numbers = (f"{len(trace.turns):,}", f"{calls:,}", usd(trace.cost))
        rows.append(tuple(line(cell, 60) for cell in (*cells, *numbers, trace.task[:48])))
    return aligned(rows, left={0, 1, 2, 3, 8})


def trace_lines(stored: StoredTrace) -> Iterator[str]:
    """The trace turn by turn. Long texts are cut: ``--json`` has them whole."""
    trace = stored.trace
    yield f"{stored.id[:ID]}  {line(trace.format, 40)}  {line(trace.case_id, 80)}"
    reward = "" if trace.reward is None else f", reward {trace.reward:g}"
    group = f", group {line(trace.group, 40)}" if trace.group else ""
    yield f"from {line(trace.source, 200)}{group}{reward}"
    model = line(trace.model, 60) or "an unknown model"
    yield f"{len(trace.turns):,} answers by {model}, {cost_words(trace.usage, trace.cost)}"
    turns = {turn.message: turn for turn in trace.turns}
    names = {call.id: call.name for message in trace.messages for call in message.tool_calls}
    for number, message in enumerate(trace.messages):
        yield from _message(number, message, turns.get(number), names)
    if trace.error:
        yield f"error: {line(trace.error, _TEXT)}"


def flags(trace: Trace) -> list[str]:
    """The places where a tool or a person said what looks like an order to the model, or hides something."""
    from skillforge.injection import findings

    found: list[str] = []
    for number, message in enumerate(trace.messages):
        if message.role in ("system", "assistant"):
            continue
        for part in message.content:
            for each in findings(_said(part)):
                if each.is_order:
                    found.append(f"message {number} ({message.role}): {each.kind}: {line(each.excerpt, 100)}")
    distinct = list(dict.fromkeys(found))
    more = len(distinct) - _MOST_FLAGS
    return distinct if more <= 0 else [*distinct[:_MOST_FLAGS], f"and {more:,} more"]


def _message(number: int, message: Message, turn: Turn | None, names: Mapping[str, str]) -> Iterator[str]:
    cost = "" if turn is None else f"  ({cost_words(turn.usage, turn.cost)})"
    yield f"\n[{number}] {message.role}{cost if 'unknown' not in cost else ''}"
    for part in message.content:
        if part.type == "text":
            yield from (f"  {row}" for row in _cut(part.text, _TEXT).split("\n"))
        elif part.type == "tool_call":
            yield f"  -> {line(part.name, 80)}({line(_json(part.arguments), _ARGUMENTS)})"
        elif part.type == "tool_result":
            failed = " failed" if part.is_error else ""
            said = part.content if isinstance(part.content, str) else _json(part.content)
            yield f"  <- {line(names.get(part.id, 'a tool'), 80)}{failed}: {line(said, _RESULT)}"
        elif part.type == "reasoning":
            yield f"  (reasoning, {len(_json(part.data)):,} characters)"
        else:
            yield f"  ({part.type}, {line(part.media_type, 60)})"


def cost_words(usage: Usage, cost: Cost) -> str:
    known = usage.input_tokens is not None and usage.output_tokens is not None
    tokens = f"{usage.input_tokens:,} tokens in, {usage.output_tokens:,} out" if known else "tokens unknown"
    return f"{tokens}, {'cost unknown' if cost.usd is None else f'${cost.usd:.6f}'}"


def usd(cost: Cost) -> str:
    return "-" if cost.usd is None else f"{cost.usd:.4f}"


def line(text: str, most: int) -> str:
    """One line that no terminal takes for a command."""
    shown = visible(" ".join(text[: most * 4].split()))
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


def _tally(name: str, tally: Tally) -> tuple[str, ...]:
    none, some = tally.uncounted == tally.traces, "+" if tally.uncounted else ""
    unpriced, part = tally.unpriced == tally.traces, "+" if tally.unpriced else ""
    return (
        name,
        f"{tally.traces:,}",
        f"{tally.messages:,}",
        f"{tally.tool_calls:,}",
        "-" if none else f"{tally.input_tokens:,}{some}",
        "-" if none else f"{tally.output_tokens:,}{some}",
        "-" if unpriced else f"{tally.usd:.4f}{part}",
        f"{tally.solved:,} of {tally.rewarded:,}" if tally.rewarded else "-",
    )


def _cut(text: str, most: int) -> str:
    shown = visible(text[:most].strip())
    return shown if len(text) <= most else f"{shown}… ({len(text):,} characters)"


def _said(part: Part) -> str:
    if part.type == "text":
        return part.text
    if part.type == "tool_result":
        return part.content if isinstance(part.content, str) else _json(part.content)
    return ""


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
