"""ToolTalk's conversations: what both said, and with each answer the API calls that led to it, with their results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from skillforge.formats import fields
from skillforge.formats.parts import NotACall, tool_call
from skillforge.formats.trajectories.building import build, rest, text_message, tool_result
from skillforge.formats.trajectories.lines import Item, Line, Lines, each
from skillforge.formats.trajectories.openai_chat import case_id
from skillforge.messages import Message, Tool
from skillforge.providers.wires import reading
from skillforge.trace import Trace, Turn

NAME = "tooltalk"
_KNOWN = ("id", "name", "conversation", "apis", "apis_used")


def knows(record: Mapping[str, Any]) -> bool:
    told = [reading.mapping(turn) for turn in reading.items(record.get("conversation"))[:5]]
    return bool(told) and all("role" in turn and "text" in turn for turn in told)


def read(lines: Lines) -> Iterator[Item]:
    """A trace a conversation. Calls were made before the answer that they stand with was given."""
    return each(lines, _conversation)


def _conversation(line: Line) -> Iterator[Trace]:
    row = line.value
    messages: list[Message] = []
    turns: list[Turn] = []
    for told in map(reading.mapping, reading.items(row.get("conversation"))):
        role = told.get("role")
        if role not in ("user", "assistant"):
            raise NotACall(f"a turn has the role {str(role)[:40]!r}")
        for called in map(reading.mapping, reading.items(told.get("apis"))):
            turns.append(Turn(message=len(messages), stop="tool_calls"))
            messages += _called(called, f"call-{sum(len(message.tool_calls) for message in messages) + 1}")
        if role == "assistant":
            turns.append(Turn(message=len(messages), stop="stop"))
        messages.append(text_message(role, reading.text(told.get("text"))))
    if not messages:
        raise NotACall("there is no conversation in it")
    names = [reading.text(name) for name in reading.items(row.get("apis") or row.get("apis_used"))]
    yield build(
        line,
        NAME,
        messages,
        case_id=case_id(line, row) if fields.text(row, "id") else fields.text(row, "name") or case_id(line, row),
        turns=turns,
        tools=[Tool(name=name) for name in names if name],
        extra=rest(row, *_KNOWN),
    )


def _called(told: Mapping[str, Any], call_id: str) -> list[Message]:
    request = reading.mapping(told.get("request"))
    call = tool_call(0, call_id, request.get("api_name"), request.get("parameters") or {})
    made = Message(role="assistant", content=(call,))
    if call.type != "tool_call":
        return [made]
    failed = told.get("exception")
    content: Any = failed if failed is not None else told.get("response")
    return [made, tool_result(call_id, content, is_error=failed is not None)]
