"""Anthropic's messages API, both ways: a request as the body of POST /v1/messages, its response as a completion."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from skillforge.canonical import compact
from skillforge.errors import RequestRejected, ServerFailure
from skillforge.messages import (
    Completion,
    Media,
    Message,
    Part,
    Reasoning,
    Request,
    StopReason,
    Text,
    ToolCall,
    ToolResult,
    Usage,
)
from skillforge.providers.wires.messages_schema import structured_schema
from skillforge.providers.wires.reading import count, mapping
from skillforge.providers.wires.sdk_errors import server_error
from skillforge.providers.wires.wire import Address, Dialect, options_for, schema_in_prompt

KIND = "anthropic"  # of the reasoning that may be handed back here

STOPS: Mapping[str, StopReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "refusal",
}
_THINKING = frozenset({"thinking", "redacted_thinking"})
_EPHEMERAL = {"type": "ephemeral"}


def output_limit(request: Request, address: Address) -> int:
    """``max_tokens``: Anthropic counts thinking into it."""
    return request.max_output_tokens + (options_for(address, request).thinking_tokens or 0)


def messages_body(request: Request, address: Address, dialect: Dialect, *, stream: bool) -> dict[str, Any]:
    """The body for ``request``.

    It never holds ``temperature`` (nor ``top_p`` or ``top_k``): API version 2026-10-21 refuses it and the SDK has no
    such argument, so a request's temperature is dropped. There are no logprobs either. Raises ``RequestRejected`` for
    a part that cannot be sent.
    """
    schema, request = _schema(request, address, dialect)
    system, turns = _turns(request)
    body: dict[str, Any] = {"model": address.model, "max_tokens": output_limit(request, address)}
    if system:
        body["system"] = system
    body["messages"] = turns
    if request.tools:
        body["tools"] = [
            {
                "name": tool.name,
                **({"description": tool.description} if tool.description else {}),
                "input_schema": tool.parameters,
            }
            for tool in request.tools
        ]
        if request.tool_choice == "none":
            body["tool_choice"] = {"type": "none"}
    effort = options_for(address, request).effort if dialect.effort else None
    config: dict[str, Any] = {"effort": effort} if effort and effort != "none" else {}
    if schema is not None:
        config["format"] = {"type": "json_schema", "schema": schema}
    if config:
        body["output_config"] = config
    if effort == "none":
        body["thinking"] = {"type": "disabled"}
    if stream:
        body["stream"] = True
    return body


def completion_of(
    response: Mapping[str, Any], *, address: Address, latency_s: float, clean: Callable[[str], str] = str
) -> Completion:
    """The completion in a response, whatever JSON object it is; ``clean`` takes secrets out of a server's words.

    Raises ``ServerFailure`` when it does not say why the model stopped, or holds no content: such an answer was cut
    off or garbled on its way. ``pause_turn`` is such a case: only server tools pause, and none was asked for.
    """
    try:
        return _completion(_sound(response), address, latency_s, clean)
    except RecursionError:
        raise _garbled(address) from None


def _completion(
    response: Mapping[str, Any], address: Address, latency_s: float, clean: Callable[[str], str]
) -> Completion:
    if response.get("type") == "error":
        raise server_error(response, name=address.name, clean=clean)
    reason, content, model = response.get("stop_reason"), response.get("content"), response.get("model")
    stop = STOPS.get(reason) if isinstance(reason, str) else None
    if stop is None:
        said = clean(reason)[:40] if isinstance(reason, str) else "none"
        raise ServerFailure(
            f"{address.name}: the answer was cut off (stop reason: {said})", hint="try again", maybe_billed=True
        )
    if not isinstance(content, list):
        raise _garbled(address)
    parts = [part for number, block in enumerate(content) if isinstance(block, dict) for part in _parts(number, block)]
    return Completion(
        message=Message(role="assistant", content=tuple(parts)),
        stop=stop,
        model=clean(model[:200]) if isinstance(model, str) and model else address.model,
        usage=usage_of(response.get("usage")),
        latency_s=latency_s,
    )


def usage_of(usage: Any) -> Usage:
    """The token counts of a response. What is absent, of a wrong type or negative is unknown.

    Anthropic's ``input_tokens`` leaves out what went through the prompt cache, so the three counts are added. A server
    that counts its input and says nothing (or null) of a cache has none, as llama.cpp's: those counts are zero then, or
    its input would never be known. One that names a cache in an unreadable way makes the sum unknown.
    """
    told = mapping(usage)
    uncached = count(told.get("input_tokens"))
    written, cached = (
        0 if uncached is not None and told.get(key) is None else count(told.get(key))
        for key in ("cache_creation_input_tokens", "cache_read_input_tokens")
    )
    known = uncached is not None and written is not None and cached is not None
    output, thought = (
        count(told.get("output_tokens")),
        count(mapping(told.get("output_tokens_details")).get("thinking_tokens")),
    )
    return Usage(
        input_tokens=(uncached or 0) + (written or 0) + (cached or 0) if known else None,
        cached_tokens=cached,
        written_tokens=written,
        output_tokens=output,
        reasoning_tokens=None if thought is not None and output is not None and thought > output else thought,
    )


def _schema(request: Request, address: Address, dialect: Dialect) -> tuple[dict[str, Any] | None, Request]:
    """The schema for the API, or the request with its schema in the prompt."""
    if request.output_schema is None:
        return None, request
    native = dialect.schema and address.options.structured != "prompt"
    schema = structured_schema(request.output_schema) if native else None
    if schema is not None:
        return schema, request
    told = schema_in_prompt(request)
    added = len(told.messages) - len(request.messages)  # a system message of its own, the same for every input
    return None, told.model_copy(update={"fixed": request.fixed + added})


def _turns(request: Request) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """System blocks and messages, of one role after the other. The ends of what is fixed are marked for the cache.

    Two marks at most (the API takes four): what changes least ends with the system message, then with the examples.
    """
    system: list[dict[str, Any]] = []
    turns: list[dict[str, Any]] = []
    last_fixed = min(request.fixed, len(request.messages)) - 1
    for number, message in enumerate(request.messages):
        blocks = list(_blocks(message))
        if message.role == "system":
            system += blocks
            continue
        if number == last_fixed:
            _mark(blocks)
        role = "assistant" if message.role == "assistant" else "user"
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        elif blocks:
            turns.append({"role": role, "content": blocks})
    if request.fixed >= 1:
        _mark(system)
    return system, turns


def _blocks(message: Message) -> Iterator[dict[str, Any]]:
    """A message's parts as blocks: tool results first, as the API wants them; blank text, which it refuses, left out.

    Reasoning keeps its place among the other parts when it leads the turn, as models give it; else it goes first.
    """
    parts: list[Part] = list(message.content)
    if not parts or not isinstance(parts[0], Reasoning):
        parts.sort(key=lambda part: not isinstance(part, Reasoning | ToolResult))
    for part in parts:
        if isinstance(part, Media):
            raise RequestRejected(
                f"this model takes text only, and the request holds an {part.type} ({part.media_type})",
                hint="extract its text first",
            )
        if isinstance(part, ToolResult):
            content = part.content if isinstance(part.content, str) else compact(part.content)
            failed = {"is_error": True} if part.is_error else {}
            yield {"type": "tool_result", "tool_use_id": part.id, "content": content, **failed}
        elif isinstance(part, ToolCall):
            yield {"type": "tool_use", "id": part.id, "name": part.name, "input": part.arguments}
        elif isinstance(part, Reasoning):
            if part.kind == KIND and part.data.get("type") in _THINKING:
                yield dict(part.data)
        elif part.text.strip():
            yield {"type": "text", "text": part.text}


def _mark(blocks: list[dict[str, Any]]) -> None:
    """Tell the provider to cache everything up to the end of these blocks. Thinking cannot be marked."""
    for block in reversed(blocks):
        if block["type"] not in _THINKING:
            block["cache_control"] = dict(_EPHEMERAL)
            return


def _parts(number: int, block: Mapping[str, Any]) -> Iterator[Part]:
    kind = block.get("type")
    if kind == "text":
        if isinstance(block.get("text"), str) and block["text"]:
            yield Text(text=block["text"])
    elif kind == "tool_use":
        yield _tool_call(number, block)
    elif isinstance(kind, str) and kind in _THINKING:
        yield Reasoning(kind=KIND, data=dict(block))


def _tool_call(number: int, block: Mapping[str, Any]) -> Part:
    call_id, name, value = block.get("id"), block.get("name"), block.get("input")
    if not isinstance(name, str) or not name or not isinstance(value, dict):
        said = value if isinstance(value, str) else compact(value)
        # a call that nobody can make is what the model said, not a call
        return Text(text=f"{name if isinstance(name, str) else ''}{said}")
    return ToolCall(
        id=call_id if isinstance(call_id, str) and call_id else f"call-{number}", name=name, arguments=value
    )


def _sound(value: Any) -> Any:
    """``value`` without lone surrogates, which JSON can write and nothing can store. Pairs that a stream cut in two
    become one character again.
    """
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, Mapping):
        return {_sound(key): _sound(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_sound(inner) for inner in value]
    return value


def _garbled(address: Address) -> ServerFailure:
    return ServerFailure(f"{address.name}: the answer was garbled on its way", hint="try again", maybe_billed=True)
