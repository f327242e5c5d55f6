"""Trajectories of SWE-agent (``.traj``: history, trajectory, info) and of mini-swe-agent (a list of messages).

Their actions are shell commands in the model's text. Each becomes a call of the tool ``bash``, and what the
environment said next its result; the text stays as it was said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from skillforge.formats import fields
from skillforge.formats.bodies import read_turn
from skillforge.formats.parts import NotACall
from skillforge.formats.trajectories.building import build, rest, reward_of, text_message, told_cost, tool_result
from skillforge.formats.trajectories.lines import Item, Line, Lines, each
from skillforge.formats.trajectories.openai_chat import case_id, is_message, joined
from skillforge.messages import Cost, Message, ToolCall, Usage
from skillforge.providers.wires import chat_response, reading
from skillforge.trace import Trace, Turn

NAME = "swe-agent"
MINI = "mini-swe-agent"
TOOL = "bash"
_BLOCK = re.compile(r"```(?:mswea_bash_command|bash|sh)\s*\n(.*?)\n?```", re.DOTALL)
_RETURNED = re.compile(r"\s*<returncode>\s*(-?\d+)\s*</returncode>")
_KNOWN = ("id", "history", "trajectory", "messages", "model_stats", "info")


def knows(record: Mapping[str, Any]) -> bool:
    """A row with a history of roles, a ``.traj`` document, or a mini-swe-agent's document or message."""
    if reading.text(record.get("trajectory_format")).startswith("mini-swe-agent"):
        return True
    if is_message(record):
        return "mswea_bash_command" in str(record.get("content"))[:4000]
    history = reading.items(record.get("history"))
    steps = reading.items(record.get("trajectory"))
    talks = any("role" in reading.mapping(item) for item in history[:5])
    return talks or any({"action", "observation"} <= set(reading.mapping(step)) for step in steps[:5])


def read(lines: Lines) -> Iterator[Item]:
    """A trace a row or document; a bare list of messages is one."""
    return each(joined(lines), _trajectory)


def _trajectory(line: Line) -> Iterator[Trace]:
    row = line.value
    info = reading.mapping(row.get("info"))
    stats = reading.mapping(row.get("model_stats")) or reading.mapping(info.get("model_stats"))
    mini = isinstance(row.get("messages"), list)
    talk = _Talk()
    if mini:
        for message in row["messages"]:
            talk.add(_object(message), mini=True)
    elif row.get("history"):
        for item in reading.items(row["history"]):
            talk.add(_object(item))
    else:
        for step in reading.items(row.get("trajectory")):
            talk.add_step(_object(step))
    if not talk.messages:
        raise NotACall("there is no history in it")
    usage, cost = _totals(stats, talk.turns)
    yield build(
        line,
        MINI if mini else NAME,
        talk.messages,
        case_id=case_id(line, row) if fields.text(row, "id", "instance_id") else _named(line),
        turns=talk.turns,
        usage=usage,
        cost=cost,
        reward=reward_of({**info, **row}),
        output=reading.text(info.get("submission") or row.get("submission")) or None,
        extra={**rest(row, *_KNOWN), **rest(info, "model_stats", "submission"), "model_stats": dict(stats)},
    )


class _Talk:
    """Messages and turns, and the call that the next observation answers."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.turns: list[Turn] = []
        self._waiting = ""

    def add(self, told: Mapping[str, Any], *, mini: bool = False) -> None:
        """An item of the history. Raises ``NotACall``."""
        role = told.get("role")
        ids = reading.items(told.get("tool_call_ids"))
        if role == "assistant":
            self._answer(told, mini)
        elif role == "tool" and ids:
            self.messages.append(tool_result(reading.text(ids[0]), read_turn({**told, "role": "user"}).text))
        elif role == "user" and self._waiting:
            text = read_turn(told).text
            failed = bool((found := _RETURNED.match(text)) and found[1] != "0")
            self.messages.append(tool_result(self._waiting, text, is_error=failed))
            self._waiting = ""
        elif role == "exit":  # mini-swe-agent's own end of a conversation
            self.messages.append(text_message("user", reading.text(told.get("content"))))
        else:
            self.messages.append(read_turn(told))

    def add_step(self, step: Mapping[str, Any]) -> None:
        """A step of ``trajectory``, where there is no history."""
        self._answer({"content": step.get("response") or step.get("thought"), "action": step.get("action")}, mini=False)
        if self._waiting:
            self.add({"role": "user", "content": reading.text(step.get("observation"))})

    def _answer(self, told: Mapping[str, Any], mini: bool) -> None:
        message = read_turn({**told, "role": "assistant"})
        if message.tool_calls:
            self._waiting = ""
        elif action := self._action(told, message.text, mini):
            self._waiting = f"step-{len(self.turns) + 1}"
            call = ToolCall(id=self._waiting, name=TOOL, arguments={"command": action})
            message = message.model_copy(update={"content": (*message.content, call)})
        else:
            self._waiting = ""
        response = reading.mapping(reading.mapping(told.get("extra")).get("response"))
        usage = reading.mapping(response.get("usage"))
        self.turns.append(
            Turn(
                message=len(self.messages),
                model=reading.text(response.get("model")),
                usage=chat_response.usage_of(usage) if usage else Usage(),
                cost=told_cost(reading.mapping(told.get("extra")).get("cost")),
                stop="tool_calls" if message.tool_calls else "stop",
            )
        )
        self.messages.append(message)

    def _action(self, told: Mapping[str, Any], text: str, mini: bool) -> str:
        if isinstance(told.get("action"), str):
            return str(told["action"]).strip()
        blocks = _BLOCK.findall(text) if mini else []
        return blocks[0].strip() if len(blocks) == 1 else ""


def _totals(stats: Mapping[str, Any], turns: list[Turn]) -> tuple[Usage | None, Cost | None]:
    """What the file says of the whole; a file that counted no request of a model knows nothing of its answers."""
    if not reading.count(stats.get("api_calls")):
        return None, None
    usage = Usage(
        input_tokens=reading.count(stats.get("tokens_sent")), output_tokens=reading.count(stats.get("tokens_received"))
    )
    dollars = fields.first(stats, "instance_cost", "total_cost")
    return (usage if stats.get("tokens_sent") is not None else None), told_cost(dollars)


def _named(line: Line) -> str:
    stem = Path(line.file).name.partition(".traj")[0].partition(".json")[0]
    return f"{stem}-{line.number}" if line.file.endswith(("l", "l.gz")) else stem


def _object(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise NotACall("an item of the history is no object")
    return value
