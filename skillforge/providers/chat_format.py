"""The chat-completions wire format, both ways: a request as its body, a stream of chunks as a completion."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from skillforge.canonical import compact
from skillforge.errors import ContextOverflow, ProviderError
from skillforge.messages import (
    Completion,
    Cost,
    Media,
    Message,
    Part,
    Request,
    StopReason,
    Text,
    TokenLogprob,
    ToolCall,
    ToolResult,
    Usage,
)

_STOPS: Mapping[str, StopReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
}

# What llama.cpp's grammar takes: anchored at both ends, no escaped classes (\d, \w), no look-around.
_GRAMMAR_PATTERN = re.compile(r"\^(?:[^\\(]|\\[^\w]|\((?!\?))*\$")
_LITERALS = frozenset({"const", "enum", "default", "examples"})  # hold values, not schemas


def request_body(request: Request) -> dict[str, Any]:
    """The body for ``request``, without model and sampling settings.

    Raises ``ProviderError`` for a part that cannot be sent as text.
    """
    body: dict[str, Any] = {
        "messages": [sent for message in request.messages for sent in _chat_messages(message)],
        "max_tokens": request.max_output_tokens,
    }
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if request.output_schema is not None:
        schema = {"name": "output", "schema": grammar_schema(request.output_schema), "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    if request.tools:
        body["tools"] = [
            {
                "type": "function",
                "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
            }
            for tool in request.tools
        ]
    if request.logprobs:
        body["logprobs"] = True
        body["top_logprobs"] = 1  # with none, a stream carries no logprobs at all
    return body


def grammar_schema(schema: Any) -> Any:
    """``schema`` without the patterns that a grammar cannot hold.

    llama.cpp accepts any string for those and says so on the process's own stderr, past every log setting. Every answer
    is validated against the full schema afterwards, so nothing is lost by not sending them.
    """
    if isinstance(schema, list):
        return [grammar_schema(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: value if key in _LITERALS else grammar_schema(value)
        for key, value in schema.items()
        if not (key == "pattern" and isinstance(value, str) and not _GRAMMAR_PATTERN.fullmatch(value))
    }


def completion_of(chunks: Sequence[Mapping[str, Any]], *, model: str, cost: Cost, latency_s: float) -> Completion:
    """Put a finished stream together.

    Raises ``ContextOverflow`` or ``ProviderError`` for an error chunk, and ``ProviderError`` when no chunk says why the
    model stopped: such an answer was cut off on its way.
    """
    for chunk in chunks:
        if "error" in chunk:
            raise _error(chunk["error"])
    choices = [chunk["choices"][0] for chunk in chunks if chunk.get("choices")]
    reason = next((choice["finish_reason"] for choice in reversed(choices) if choice.get("finish_reason")), None)
    stop = _STOPS.get(str(reason))
    if stop is None:
        raise ProviderError(f"{model} was cut off mid-answer (finish reason: {reason})")
    deltas = [choice.get("delta") or {} for choice in choices]
    text = "".join(delta.get("content") or "" for delta in deltas)
    parts: list[Part] = [Text(text=text)] if text else []
    parts += _tool_calls(deltas)
    return Completion(
        message=Message(role="assistant", content=tuple(parts)),
        stop=stop,
        model=model,
        usage=_usage(chunks),
        cost=cost,
        latency_s=latency_s,
        logprobs=_logprobs(choices),
    )


def _chat_messages(message: Message) -> Iterator[dict[str, Any]]:
    """One message as chat messages: every tool result stands on its own there."""
    for part in message.content:
        if isinstance(part, Media):
            raise ProviderError(
                f"this model takes text only, and the request holds an {part.type} ({part.media_type})",
                hint="extract its text first",
            )
        if isinstance(part, ToolResult):
            content = part.content if isinstance(part.content, str) else compact(part.content)
            text = f"error: {content}" if part.is_error else content
            yield {"role": "tool", "tool_call_id": part.id, "content": text}
    calls = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": compact(call.arguments)}}
        for call in message.tool_calls
    ]
    if calls:
        yield {"role": message.role, "content": message.text, "tool_calls": calls}
    elif not all(isinstance(part, ToolResult) for part in message.content):
        yield {"role": message.role, "content": message.text}


def _error(error: Any) -> ProviderError:
    detail = error if isinstance(error, dict) else {"message": str(error)}
    message = str(detail.get("message", "unknown error"))
    if detail.get("type") == "exceed_context_size_error":
        return ContextOverflow(
            f"the request is {detail.get('n_prompt_tokens', '?')} tokens long, the model's context holds "
            f"{detail.get('n_ctx', '?')}",
            hint="shorten the input, show fewer examples, or use a model with a longer context",
        )
    if "grammar" in message:
        return ProviderError(f"the output schema cannot be enforced: {message}", hint=SCHEMA_HINT)
    return ProviderError(f"the model answered with an error: {message}")


SCHEMA_HINT = "simplify the output schema: no external $ref, no true/false as a schema, list bounds below 1000"


def _tool_calls(deltas: Sequence[Mapping[str, Any]]) -> Iterator[Part]:
    """Tool calls arrive in pieces: the first names id and function, later ones add to the arguments."""
    calls: dict[int, dict[str, str]] = {}
    for delta in deltas:
        for piece in delta.get("tool_calls") or ():
            call = calls.setdefault(int(piece.get("index", 0)), {"id": "", "name": "", "arguments": ""})
            function = piece.get("function") or {}
            call["id"] = call["id"] or piece.get("id") or ""
            call["name"] = call["name"] or function.get("name") or ""
            call["arguments"] += function.get("arguments") or ""
    for number, call in sorted(calls.items()):
        yield _tool_call(number, call["id"], call["name"], call["arguments"])


def _tool_call(number: int, call_id: str, name: str, arguments: str) -> Part:
    try:
        value = json.loads(arguments or "{}")
    except (ValueError, RecursionError):
        value = None
    if not name or not isinstance(value, dict):
        return Text(text=f"{name}{arguments}")  # a call that nobody can make is what the model said, not a call
    return ToolCall(id=call_id or f"call-{number}", name=name, arguments=value)


def _usage(chunks: Sequence[Mapping[str, Any]]) -> Usage:
    usage = next((chunk["usage"] for chunk in reversed(chunks) if chunk.get("usage")), None)
    if usage is None:
        return Usage()
    return Usage(
        input_tokens=usage.get("prompt_tokens"),
        cached_tokens=(usage.get("prompt_tokens_details") or {}).get("cached_tokens"),
        output_tokens=usage.get("completion_tokens"),
    )


def _logprobs(choices: Sequence[Mapping[str, Any]]) -> tuple[TokenLogprob, ...] | None:
    found = [
        TokenLogprob(token=item["token"], logprob=item["logprob"])
        for choice in choices
        for item in (choice.get("logprobs") or {}).get("content") or ()
    ]
    return tuple(found) or None
