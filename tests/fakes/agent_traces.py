"""Traces of agents, made by hand: calls with results between what was said."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from skillforge.messages import Message, Text, Tool, ToolCall, ToolResult
from skillforge.trace import Trace

Call = tuple[str, dict[str, Any], Any]


def agent_trace(
    name: str,
    calls: Sequence[Call | str],
    *,
    said: str = "",
    answer: Any = "Done.",
    given: dict[str, Any] | None = None,
    task: str = "",
    reward: float | None = None,
    tools: Sequence[Tool] = (),
    errors: Sequence[int] = (),
    as_text: bool = False,
) -> Trace:
    """A trace of ``calls`` (tool, arguments, result; a text in between is the user's next request). Without ``given``
    it is a conversation of another program. ``errors`` are the calls (from 0) that failed.
    """
    messages: list[Message] = [Message.of("user", said)] if said else []
    number = 0
    for call in calls:
        if isinstance(call, str):
            messages.append(Message.of("user", call))
            continue
        tool, arguments, result = call
        asked = ToolCall(id=f"c{number}", name=tool, arguments=arguments)
        content = json.dumps(result) if as_text and not isinstance(result, str) else result
        told = ToolResult(id=f"c{number}", content=content, is_error=number in errors)
        messages += [Message(role="assistant", content=(asked,)), Message(role="tool", content=(told,))]
        number += 1
    text = answer if isinstance(answer, str) else json.dumps(answer)
    messages.append(Message(role="assistant", content=(Text(text=text),)))
    return Trace(
        case_id=name,
        task=task,
        input=given if given is not None else {"request": said},
        output=answer,
        messages=tuple(messages),
        tools=tuple(tools),
        format="" if given is not None else "openai-chat",
        reward=reward,
        untrusted=given is None,
    )
