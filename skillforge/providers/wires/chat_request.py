"""A request as the body of a chat completions call, for llama.cpp in this process and for servers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from skillforge.canonical import compact
from skillforge.errors import RequestRejected
from skillforge.messages import Media, Message, Request, ToolResult
from skillforge.providers.wires.strict_schema import is_strict, typed
from skillforge.providers.wires.wire import Address, Dialect, options_for, schema_in_prompt

# What llama.cpp's grammar takes: anchored at both ends, no escaped classes (\d, \w), no look-around.
_GRAMMAR_PATTERN = re.compile(r"\^(?:[^\\(]|\\[^\w]|\((?!\?))*\$")
LOCAL_TOP = 100  # alternatives of a token: they are told before the grammar, and most of the likeliest may break it
_ANY_JSON = {"type": "json_object"}
_LITERALS = frozenset({"const", "enum", "default", "examples"})  # hold values, not schemas


def local_body(request: Request) -> dict[str, Any]:
    """The body for llama.cpp in this process, without sampling settings.

    Raises ``RequestRejected`` for a part that cannot be sent as text.
    """
    body = {"messages": _messages(request), "max_tokens": request.max_output_tokens}
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if request.output_schema is not None:
        body["response_format"] = _format(grammar_schema(request.output_schema), strict=True)
    elif request.any_json:
        body["response_format"] = _ANY_JSON
    return body | _tools(request) | (_logprobs(LOCAL_TOP) if request.logprobs else {})


def chat_body(request: Request, address: Address, dialect: Dialect, *, stream: bool) -> dict[str, Any]:
    """The body for a server, in what ``dialect`` says that it takes.

    Patterns stay in the schema, unlike in ``local_body``: most servers enforce them, and where llama.cpp's cannot, it
    complains on its own stderr. Raises ``RequestRejected`` for a part that cannot be sent as text.
    """
    options = options_for(address, request)
    native = dialect.schema and options.structured != "prompt"
    request = request if native else schema_in_prompt(request)
    limit = request.max_output_tokens + (options.thinking_tokens or 0)
    body = {"model": address.model, "messages": _messages(request), dialect.limit_key: limit}
    temperature = options.temperature if request.temperature is None else request.temperature
    if dialect.temperature and temperature is not None:
        body["temperature"] = temperature
    if dialect.effort and options.effort is not None:
        body["reasoning_effort"] = options.effort
    if request.output_schema is not None:
        schema = typed(request.output_schema)
        body["response_format"] = _format(schema, strict=is_strict(schema))
    elif request.any_json and native:
        body["response_format"] = _ANY_JSON
    body |= _tools(request)
    if dialect.logprobs and request.logprobs:
        body |= _logprobs(dialect.top_logprobs)
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return body


def text_only(message: Message) -> None:
    """Raises ``RequestRejected`` for a message with an image or a document in it."""
    for part in message.content:
        if isinstance(part, Media):
            raise RequestRejected(
                f"this model takes text only, and the request holds an {part.type} ({part.media_type})",
                hint="extract its text first",
            )


def result_text(result: ToolResult) -> str:
    content = result.content if isinstance(result.content, str) else compact(result.content)
    return f"error: {content}" if result.is_error else content


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


def _logprobs(top: int) -> dict[str, Any]:
    """With no top ones, a stream of llama.cpp carries no logprobs at all."""
    return {"logprobs": True, "top_logprobs": top}


def _format(schema: Any, *, strict: bool) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "output", "schema": schema, "strict": strict}}


def _tools(request: Request) -> dict[str, Any]:
    tools = [
        {
            "type": "function",
            "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
        }
        for tool in request.tools
    ]
    choice = {"tool_choice": "none"} if request.tool_choice == "none" else {}
    return {"tools": tools, **choice} if tools else {}


def _messages(request: Request) -> list[dict[str, Any]]:
    return [sent for message in request.messages for sent in _chat_messages(message)]


def _chat_messages(message: Message) -> Iterator[dict[str, Any]]:
    """One message as chat messages: every tool result stands on its own there."""
    text_only(message)
    for part in message.content:
        if isinstance(part, ToolResult):
            yield {"role": "tool", "tool_call_id": part.id, "content": result_text(part)}
    calls = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": compact(call.arguments)}}
        for call in message.tool_calls
    ]
    role = "user" if message.role == "tool" else message.role  # text beside tool results
    if calls:
        yield {"role": role, "content": message.text, "tool_calls": calls}
    elif message.text or not any(isinstance(part, ToolResult) for part in message.content):
        yield {"role": role, "content": message.text}
