"""Conversations in the words of Anthropic's Messages API: ``{system?, messages, tools?, usage?}``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from skillforge.formats import fields
from skillforge.formats.bodies import api_of, read_tool, read_turns
from skillforge.formats.parts import NotACall, parts
from skillforge.formats.trajectories.building import answer_turns, build, rest, reward_of, text_message
from skillforge.formats.trajectories.lines import Item, Line, Lines, each
from skillforge.formats.trajectories.openai_chat import case_id, is_message, joined
from skillforge.messages import Message, Text, Usage
from skillforge.providers.wires import messages_format, reading
from skillforge.trace import Trace

NAME = "anthropic-messages"
_KNOWN = ("system", "messages", "tools", "model", "reward", "score", "success", "task_id", "usage", "max_tokens")
_BLOCKS = frozenset({"tool_use", "tool_result", "thinking", "redacted_thinking", "server_tool_use"})


def knows(record: Mapping[str, Any]) -> bool:
    """A row whose messages hold Anthropic's blocks, or that asks in Anthropic's way; or one such message."""
    if is_message(record):
        return _is_ours(record)
    if not isinstance(record.get("messages"), list):
        return False
    return any(map(_is_ours, map(reading.mapping, record["messages"]))) or api_of(record) == "anthropic"


def read(lines: Lines) -> Iterator[Item]:
    """A trace a row. A file that is one bare list of messages is one trace."""
    return each(joined(lines), _row)


def _row(line: Line) -> Iterator[Trace]:
    row = line.value
    told = read_turns(row.get("messages"))
    if not told:
        raise NotACall("there are no messages in it")
    system = "\n\n".join(part.text for part in parts(row.get("system")) if isinstance(part, Text))
    messages: list[Message] = [*([text_message("system", system)] if system else []), *told]
    model = reading.text(row.get("model"))
    yield build(
        line,
        NAME,
        messages,
        case_id=case_id(line, row),
        turns=answer_turns(messages, model),
        usage=messages_format.usage_of(row["usage"]) if isinstance(row.get("usage"), Mapping) else Usage(),
        model=model,
        tools=[tool for tool in map(read_tool, reading.items(row.get("tools"))) if tool],
        group=fields.text(row, "task_id", "group"),
        reward=reward_of(row),
        extra=rest(row, *_KNOWN),
    )


def _is_ours(message: Mapping[str, Any]) -> bool:
    blocks = map(reading.mapping, reading.items(message.get("content")))
    return any(reading.text(block.get("type")) in _BLOCKS for block in blocks)
