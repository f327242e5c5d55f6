"""What each turn of a loop asks, as a function of the conversation so far: so a finished loop can be told again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast, get_args

from skillforge.canonical import compact, digest_bytes
from skillforge.engine.agent.calling import shown_tool
from skillforge.engine.agent.jsonprotocol import json_request, spoken
from skillforge.messages import Completion, Message, Request, StopReason, Tool, ToolResult
from skillforge.trace import Turn

CLOSING = Message.of("user", "No more tools can be called. Answer now, with what you know.")


def turn_request(
    request: Request, messages: Sequence[Message], tools: Sequence[Tool], turn: int, *, native: bool
) -> Request:
    """What turn ``turn`` (from 1) asks: all of the conversation. The next turn sends it again, so it is worth caching.

    A later turn is another question than the first: its key also says what was seen until then.
    """
    key = request.key
    if turn > 1:
        given = {"given": key.input, "seen": digest_bytes(compact(list(_seen(messages))).encode())}
        key = key.model_copy(update={"role": f"{key.role}-turn{turn}", "input": given})
    asked = request.model_copy(
        update={
            "messages": tuple(messages),
            "key": key,
            "tools": tuple(tools),
            "tool_choice": "none" if tools and messages[-1] == CLOSING else "auto",
            "fixed": len(messages),
        }
    )
    return asked if native else json_request(asked)


def loop_calls(
    request: Request, messages: Sequence[Message], tools: Sequence[Tool], turns: Sequence[Turn], *, native: bool
) -> Iterator[tuple[Request, Completion]]:
    """The requests of a finished loop and their answers, from what its trace keeps. ``tools`` are those of the box."""
    shown = [shown_tool(tool) for tool in tools]
    native = native or not shown
    for number, turn in enumerate(turns, start=1):
        if turn.stop not in get_args(StopReason) or turn.message >= len(messages):
            return
        said = messages[turn.message]
        completion = Completion(
            message=said if native else spoken(said, answers=turn.message == len(messages) - 1),
            stop=cast(StopReason, turn.stop) if native else "stop",
            model=turn.model,
            usage=turn.usage,
            cost=turn.cost,
            latency_s=turn.latency_s,
        )
        yield turn_request(request, messages[: turn.message], shown, number, native=native), completion


def _seen(messages: Sequence[Message]) -> Iterator[list[Any]]:
    """The results so far, as the model sees them."""
    names: dict[str, str] = {}
    for message in messages:
        names.update((call.id, call.name) for call in message.tool_calls)
        for part in message.content:
            if isinstance(part, ToolResult):
                yield [names.get(part.id, ""), part.content, part.is_error]
