"""What a trace holds for a plan: its tool calls with their results, the input, the outcome, whether it went well."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from skillforge.errors import UsageError
from skillforge.messages import Message, Text, ToolCall, ToolResult, Value
from skillforge.template import RESERVED_NAMES
from skillforge.tools.plain import from_text
from skillforge.trace import Trace

REQUEST = "request"  # the input field that a conversation's own words become
MAX_CALLS = 40
_ERROR = re.compile(r"\s*(error|exception|traceback)\b", re.IGNORECASE)


class ToolEvent(Value):
    """One call of a tool and what it gave. ``n`` counts from 0, ``message`` is the place of the call in the trace's
    messages. ``answered`` is false where the trace ends before the result. ``failed``: it is marked as an error, or
    says that it is one.
    """

    n: int
    name: str
    arguments: dict[str, Any]
    result: Any = None
    is_error: bool = False
    failed: bool = False
    answered: bool = True
    message: int = 0


def tool_events(trace: Trace) -> tuple[ToolEvent, ...]:
    """The calls of a trace in their order. A result belongs to the oldest call of its id that has none yet: some
    programs use an id again.
    """
    calls: list[tuple[int, ToolCall]] = []
    results: dict[int, ToolResult] = {}
    for number, message in enumerate(trace.messages):
        for part in message.content:
            if isinstance(part, ToolCall):
                calls.append((number, part))
            elif isinstance(part, ToolResult):
                open_calls = (n for n, (_, call) in enumerate(calls) if n not in results and call.id == part.id)
                if (n := next(open_calls, None)) is not None:
                    results[n] = part
    return tuple(_event(n, number, call, results.get(n)) for n, (number, call) in enumerate(calls))


def _event(n: int, message: int, call: ToolCall, found: ToolResult | None) -> ToolEvent:
    content = found.content if found is not None else None
    result = from_text(content) if isinstance(content, str) else content
    is_error = found is not None and found.is_error
    return ToolEvent(
        n=n,
        name=call.name,
        arguments=call.arguments,
        result=result,
        is_error=is_error,
        failed=is_error or says_error(result),
        answered=found is not None,
        message=message,
    )


def says_error(result: Any) -> bool:
    """Whether a result that is not marked as an error says that it is one."""
    if isinstance(result, dict):
        return set(result) == {"error"}
    return isinstance(result, str) and _ERROR.match(result) is not None


def is_conversation(trace: Trace) -> bool:
    """Whether the input of a trace is what its user said: so it is where no program gave it one of its own."""
    return not trace.input or (bool(trace.format) and trace.input.keys() == {REQUEST})


def task_input(trace: Trace) -> dict[str, Any]:
    """The input of the workflow to be: the trace's own, or of a conversation all that the user said."""
    return {REQUEST: user_text(trace)} if is_conversation(trace) else dict(trace.input)


def input_text(trace: Trace) -> str:
    """All text of the input, to look literal values up in."""
    given = task_input(trace)
    return "\n".join(value if isinstance(value, str) else json.dumps(value, default=str) for value in given.values())


def user_text(trace: Trace) -> str:
    """What the user said, turn by turn, or what stands for it in a trace that holds no user's messages."""
    said = [text for message in trace.messages if message.role == "user" and (text := message.text.strip())]
    return "\n\n".join(said) or "\n".join(str(value) for value in trace.input.values()) or trace.task


def final_text(trace: Trace) -> str:
    """The last text the agent wrote, "" where it wrote none."""
    said = (message.text.strip() for message in reversed(trace.messages) if message.role == "assistant")
    return next((text for text in said if text), "")


def outcome(trace: Trace) -> Any:
    """The answer: the trace's own where it is an object, else its text (of a conversation the agent's last)."""
    if isinstance(trace.output, dict) and trace.output and not is_conversation(trace):
        return trace.output
    return trace.output if isinstance(trace.output, str) and trace.output else final_text(trace)


def said_after(trace: Trace, event: ToolEvent) -> str:
    """What the agent wrote after a call, its outcome too."""
    later = [message.text for message in trace.messages[event.message + 1 :] if message.role == "assistant"]
    answer = outcome(trace)
    return "\n".join([*later, answer if isinstance(answer, str) else json.dumps(answer, default=str)])


def succeeded(trace: Trace) -> bool:
    """Whether a plan should do what this trace did: it was rewarded in full, or, unrewarded, ended without error."""
    return not trace.error and (trace.reward is None or trace.reward >= 1)


def segment(trace: Trace, turn: int | None = None) -> Trace:
    """A trace cut to one request of its user: from the ``turn``-th message of the user (from 1) to the next. Without
    ``turn`` a conversation of at most 40 calls stays whole, and a longer one is cut to its last request with calls.

    Raises ``UsageError`` for a turn that is not there, or where even the one request took more than 40 calls.
    """
    starts = [n for n, message in enumerate(trace.messages) if is_request(message)]
    if turn is None and len(tool_events(trace)) <= MAX_CALLS:
        return trace
    if turn is not None and not 1 <= turn <= len(starts):
        raise UsageError(
            f"{trace.case_id}: there is no turn {turn}: its user asked {len(starts)} times",
            hint=f"skillforge trace show {trace.case_id}",
        )
    parts = [_cut(trace, starts, n) for n in range(len(starts))] or [trace]
    chosen = parts[turn - 1] if turn is not None else _last_with_calls(parts)
    count = len(tool_events(chosen))
    if count > MAX_CALLS:
        asked = f"request {parts.index(chosen) + 1} of {len(parts)}" if starts else "it"
        raise UsageError(
            f"{trace.case_id}: {asked} took {count} tool calls, a plan is made of at most {MAX_CALLS}",
            hint="name a shorter one with --turn N, or record the part that matters as a trace of its own",
        )
    return chosen


def is_request(message: Message) -> bool:
    """Whether the user asks for something with it."""
    return message.role == "user" and any(isinstance(part, Text) and part.text.strip() for part in message.content)


def _last_with_calls(parts: Sequence[Trace]) -> Trace:
    return next((part for part in reversed(parts) if tool_events(part)), parts[-1])


def _cut(trace: Trace, starts: Sequence[int], turn: int) -> Trace:
    end = starts[turn + 1] if turn + 1 < len(starts) else len(trace.messages)
    head = tuple(message for message in trace.messages[: starts[0]] if message.role == "system")
    messages = (*head, *trace.messages[starts[turn] : end])
    output = trace.output if turn + 1 == len(starts) else None
    return trace.model_copy(update={"messages": messages, "turns": (), "output": output})


def input_problems(traces: Sequence[Trace]) -> tuple[str, ...]:
    """Why the inputs of these traces cannot be one contract."""
    fields = {tuple(sorted(task_input(trace))) for trace in traces}
    reserved = sorted({name for names in fields for name in names} & RESERVED_NAMES)
    return (f"the input fields {', '.join(reserved)} have reserved names",) if reserved else ()
