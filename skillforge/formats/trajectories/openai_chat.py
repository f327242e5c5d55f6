"""Conversations in the words of OpenAI's chat API: rows of tau-bench, or ``{messages, tools?, reward?}``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from skillforge.formats import fields
from skillforge.formats.bodies import read_tool, read_turns
from skillforge.formats.parts import NotACall
from skillforge.formats.trajectories.building import answer_turns, build, rest, reward_of
from skillforge.formats.trajectories.lines import Item, Line, Lines, Quarantined, each
from skillforge.messages import Message, Usage
from skillforge.providers.wires import chat_response, reading
from skillforge.trace import Trace

NAME = "openai-chat"
_REWARDS = ("reward", "score", "success", "resolved")
_KNOWN = ("id", "messages", "traj", "tools", "functions", "model", "task_id", "usage", *_REWARDS)
_ROLES = frozenset({"system", "developer", "user", "human", "assistant", "ai", "model", "tool", "function"})


def knows(record: Mapping[str, Any]) -> bool:
    """A row with a list of messages (tau-bench's own files call it ``traj``), or one message of a bare list."""
    return is_message(record) or any(_is_talk(record.get(key)) for key in ("messages", "traj"))


def _is_talk(value: Any) -> bool:
    return isinstance(value, list) and any(is_message(reading.mapping(message)) for message in value[:20])


def is_message(record: Mapping[str, Any]) -> bool:
    return (
        reading.text(record.get("role")) in _ROLES
        and ("content" in record or "tool_calls" in record)
        and "message" not in record
    )


def read(lines: Lines) -> Iterator[Item]:
    """A trace a row. A file that is one bare list of messages is one trace."""
    return each(joined(lines), _row)


def joined(lines: Lines) -> Lines:
    """Messages that stand alone, one a record, as one row of all of them."""
    first: Line | None = None
    messages: list[Any] = []
    for line in lines:
        if isinstance(line, Quarantined) or not is_message(line.value):
            yield line
        else:
            first = first or line
            messages.append(line.value)
    if first is not None:
        yield Line(first.file, first.number, {"messages": messages})


def _row(line: Line) -> Iterator[Trace]:
    row = line.value
    told = reading.items(row.get("messages") or row.get("traj"))
    messages = read_turns(told)
    if not messages:
        raise NotACall("there are no messages in it")
    declared = [*reading.items(row.get("tools")), *reading.items(row.get("functions"))]
    tools = [tool for tool in map(read_tool, declared) if tool]
    group = fields.text(row, "task_id", "group")
    model = reading.text(row.get("model"))
    yield build(
        line,
        NAME,
        named_results(messages),
        case_id=case_id(line, row),
        turns=answer_turns(messages, model),
        usage=chat_response.usage_of(reading.mapping(row.get("usage"))) if row.get("usage") else Usage(),
        model=model,
        tools=tools,
        group=group,
        reward=reward_of(row),
        extra=rest(row, *_KNOWN),
    )


def case_id(line: Line, row: Mapping[str, Any]) -> str:
    """A row's own id; of an attempt at a task, the task and which attempt it is; else file and line."""
    if own := fields.text(row, "id", "case_id", "trace_id", "instance_id"):
        return own
    task, trial = fields.text(row, "task_id"), fields.text(row, "trial", "epoch", "attempt")
    if task:
        return f"{task}-{trial}" if trial else task
    return f"{Path(line.file).name.partition('.')[0]}-{line.number}"


def named_results(messages: list[Message]) -> list[Message]:
    """Results that name their function instead of their call, as the oldest API did, get the call's id."""
    waiting: dict[str, list[str]] = {}
    ids: set[str] = set()
    found = []
    for message in messages:
        for call in message.tool_calls:
            ids.add(call.id)
            waiting.setdefault(call.name, []).append(call.id)
        if message.role == "tool":
            parts = tuple(
                part.model_copy(update={"id": waiting[part.id].pop(0)})
                if part.type == "tool_result" and part.id not in ids and waiting.get(part.id)
                else part
                for part in message.content
            )
            message = message if parts == message.content else message.model_copy(update={"content": parts})
        found.append(message)
    return found
