"""From what a file says to a ``Trace``: sums that leave unknown figures unknown, and the rest of it, within bounds."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from typing import Any

from skillforge.formats import fields
from skillforge.formats.trajectories.lines import Line, printable
from skillforge.messages import Cost, Message, Text, Tool, ToolResult, Usage
from skillforge.trace import Trace, Turn

RECORDED = "the log"  # what a cost is based on that the file itself states
LEFT_OUT = "left_out"
_MOST_TASK = 300  # characters
_MOST_ID = 200
_MOST_VALUE = 65_536  # characters of JSON of one field that is kept in ``extra``
_MOST_EXTRA = 262_144  # of all of them together
_NO_REQUEST = re.compile(
    r"\s*(?:</?(?:command|local-command|system-reminder|environment_context|user_instructions)|/\w+\s*$)"
)


def build(
    line: Line,
    format: str,
    messages: Sequence[Message],
    *,
    case_id: str,
    turns: Sequence[Turn] = (),
    usage: Usage | None = None,
    cost: Cost | None = None,
    latency_s: float | None = None,
    model: str = "",
    tools: Iterable[Tool] = (),
    group: str = "",
    reward: float | None = None,
    task: str = "",
    given: Mapping[str, Any] | None = None,
    output: Any = None,
    error: str = "",
    extra: Mapping[str, Any] | None = None,
) -> Trace:
    """A trace that another program wrote. ``usage`` and ``cost`` are the turns' together, where not given.

    ``given`` is the input, else the first request of the user. ``output`` is the answer, else the last text of the
    assistant. ``task`` is the beginning of that request where the file names none.
    """
    request = request_of(messages)
    said = next((message.text for message in reversed(messages) if message.role == "assistant" and message.text), None)
    return Trace(
        case_id=case_id[:_MOST_ID] or f"line-{line.number}",
        task=printable(task or request, _MOST_TASK),
        input=dict(given) if given is not None else {"request": request},
        output=said if output is None else output,
        messages=tuple(messages),
        model=model or next((turn.model for turn in reversed(turns) if turn.model), ""),
        usage=usage if usage is not None else total_usage(turn.usage for turn in turns),
        cost=cost if cost is not None else total_cost(turn.cost for turn in turns),
        latency_s=latency_s,
        error=error,
        calls=len(turns),
        tools=tuple(tools),
        turns=tuple(turns),
        format=format,
        source=line.place,
        group=group[:_MOST_ID],
        reward=reward,
        untrusted=True,
        extra=bounded(extra or {}),
    )


def request_of(messages: Iterable[Message]) -> str:
    """The first text of the user that asks for something: neither a slash command nor what a program put in."""
    said = [message.text for message in messages if message.role == "user" and message.text.strip()]
    return next((text for text in said if not _NO_REQUEST.match(text)), said[0] if said else "")


def total_usage(parts: Iterable[Usage]) -> Usage:
    """All of them together; unknown where one of them is, or where there are none."""
    found = list(parts)
    return reduce(lambda left, right: left + right, found) if found else Usage()


def total_cost(parts: Iterable[Cost]) -> Cost:
    found = list(parts)
    return reduce(lambda left, right: left + right, found) if found else Cost()


def told_cost(value: Any) -> Cost:
    """Dollars as the file states them; unknown for what is no sum of money."""
    usd = fields.dollars(value)
    return Cost() if usd is None else Cost(usd=usd, basis=RECORDED)


def reward_of(record: Mapping[str, Any]) -> float | None:
    """``reward``, ``score`` or ``success`` of a record as a number; true is 1."""
    value = fields.first(record, "reward", "score", "success", "resolved")
    return float(value) if isinstance(value, bool) else fields.number(value)


def bounded(extra: Mapping[str, Any]) -> dict[str, Any]:
    """Fields to keep, without those that say nothing (an empty list says that there is none).

    Those that are too large are only named, under ``left_out``.
    """
    kept: dict[str, Any] = {}
    dropped: list[str] = []
    room = _MOST_EXTRA
    for key, value in extra.items():
        if value is None or value in ("", {}):
            continue
        size = len(json.dumps(value, ensure_ascii=False))
        if size > min(_MOST_VALUE, room):
            dropped.append(key[:_MOST_ID])
        else:
            kept[key] = value
            room -= size
    return {**kept, LEFT_OUT: dropped[:100]} if dropped else kept


def rest(record: Mapping[str, Any], *known: str) -> dict[str, Any]:
    """The fields of a record that have no place of their own."""
    return {key: value for key, value in record.items() if key not in known}


def answer_turns(messages: Sequence[Message], model: str = "") -> list[Turn]:
    """A turn of unknown cost for every message of the assistant."""
    return [Turn(message=n, model=model) for n, message in enumerate(messages) if message.role == "assistant"]


def tool_result(call_id: str, content: Any, *, is_error: bool = False) -> Message:
    return Message(role="tool", content=(ToolResult(id=call_id, content=content, is_error=is_error),))


def text_message(role: Any, text: str) -> Message:
    return Message(role=role, content=(Text(text=text),) if text else ())
