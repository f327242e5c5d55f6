"""What the three APIs say on the wire: whole answers and streamed events.

The shapes follow the types of openai 3.54 and anthropic 2.12; everything is computed from the request, so the same
request gets the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Api = Literal["chat", "responses", "messages"]
Event = tuple[str, Any]  # the event's name ("" for none) and its data
Step = tuple[str, dict[str, Any]]
CREATED = 1_790_000_000
PIECE = 12  # characters of a streamed delta
PATHS: Mapping[str, Api] = {"/chat/completions": "chat", "/responses": "responses", "/messages": "messages"}


@dataclass(frozen=True)
class Tokens:
    """Token counts in one shape for all APIs: ``input`` is all of it, cached or not; ``output`` has reasoning too."""

    input: int
    output: int
    cached: int = 0
    cache_write: int = 0
    reasoning: int = 0


@dataclass(frozen=True)
class Answer:
    """One answer of the model.

    ``tool_calls``: (id, name, arguments); arguments are a mapping, or a text that goes out as it is.
    ``stop``: "stop", "length", "tool_calls", "content_filter", "refusal" or (responses) "failed" in each API's own
    word; any other word goes out as it is. ``usage``: a mapping goes out as it is, "none" leaves it out.
    ``logprobs`` are sent when the request asks for them, as the real API does. ``latency_s``: before the first byte.
    """

    text: str = ""
    tool_calls: Sequence[tuple[str, str, Any]] = ()
    stop: str | None = None
    usage: Tokens | Mapping[str, Any] | Literal["none"] | None = None
    logprobs: bool = False
    thinking: str = ""
    refusal: str = ""
    model: str | None = None
    latency_s: float | None = None

    @property
    def finish(self) -> str:
        return self.stop or ("tool_calls" if self.tool_calls else "refusal" if self.refusal else "stop")

    def tokens(self, body: Mapping[str, Any]) -> Tokens:
        if isinstance(self.usage, Tokens):
            return self.usage
        spoken = self.text + self.thinking + self.refusal + "".join(arguments(call[2]) for call in self.tool_calls)
        return Tokens(len(request_text(body)) // 4, len(spoken) // 4, reasoning=len(self.thinking) // 4)


def api_of(path: str) -> Api | None:
    return next((api for end, api in PATHS.items() if path.endswith(end)), None)


def request_text(body: Mapping[str, Any]) -> str:
    """All that the request says to the model, without roles and schemas."""
    return "\n".join(text for key in ("system", "instructions", "messages", "input") for text in _texts(body.get(key)))


def last_text(body: Mapping[str, Any]) -> str:
    """What the last message says."""
    turns = body.get("messages") or body.get("input")
    return "\n".join(_texts(turns[-1] if isinstance(turns, list) and turns else turns))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        yield from _texts(value.get("content", value.get("text")))


def arguments(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def render(api: Api, answer: Answer, body: Mapping[str, Any], number: int, finished: bool = True) -> list[bytes]:
    """The body of the reply: one JSON document, or where the request asks for a stream one item per event.

    ``finished=False`` leaves out what says that the answer is whole, and why it ended.
    """
    whole, events = SHAPES[api]
    if not body.get("stream"):
        return [dump(whole(answer, body, number, finished))]
    chunks = [sse(name, data) for name, data in events(answer, body, number, finished)]
    return [*chunks, b"data: [DONE]\n\n"] if api == "chat" else chunks


def dump(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def sse(name: str, data: Any) -> bytes:
    return (b"event: " + name.encode() + b"\n" if name else b"") + b"data: " + dump(data) + b"\n\n"


def pieces(text: str) -> list[str]:
    return [text[at : at + PIECE] for at in range(0, len(text), PIECE)]


def _counted(answer: Answer, body: Mapping[str, Any], shape: Callable[[Tokens], dict[str, Any]]) -> Any:
    if answer.usage is None or isinstance(answer.usage, Tokens):
        return shape(answer.tokens(body))
    return None if answer.usage == "none" else answer.usage


def _logprobs(text: str) -> list[dict[str, Any]]:
    rows = []
    for place, token in enumerate(text[at : at + 4] for at in range(0, len(text), 4)):
        row = {"token": token, "logprob": -0.01 * (1 + place % 7), "bytes": list(token.encode())}
        rows.append({**row, "top_logprobs": [row]})
    return rows


# chat completions

CHAT_STOPS = {"refusal": "stop"}


def _chat_usage(tokens: Tokens) -> dict[str, Any]:
    return {
        "prompt_tokens": tokens.input,
        "completion_tokens": tokens.output,
        "total_tokens": tokens.input + tokens.output,
        "prompt_tokens_details": {"cached_tokens": tokens.cached, "cache_write_tokens": tokens.cache_write},
        "completion_tokens_details": {"reasoning_tokens": tokens.reasoning},
    }


def _chat_head(answer: Answer, body: Mapping[str, Any], number: int, kind: str) -> dict[str, Any]:
    model = answer.model or body.get("model", "fake")
    return {"id": f"chatcmpl-{number}", "object": kind, "created": CREATED, "model": model}


def _chat_whole(answer: Answer, body: Mapping[str, Any], number: int, finished: bool) -> dict[str, Any]:
    calls = [
        {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments(args)}}
        for id_, name, args in answer.tool_calls
    ]
    message: dict[str, Any] = {"role": "assistant", "content": answer.text or None, "refusal": answer.refusal or None}
    if calls:
        message["tool_calls"] = calls
    elif not answer.refusal:
        message["content"] = answer.text
    if answer.thinking:
        message["reasoning_content"] = answer.thinking  # no part of OpenAI's API: how open servers say it
    finish = CHAT_STOPS.get(answer.finish, answer.finish) if finished else None
    logprobs = (
        {"content": _logprobs(answer.text), "refusal": None} if answer.logprobs and body.get("logprobs") else None
    )
    reply = {
        **_chat_head(answer, body, number, "chat.completion"),
        "choices": [{"index": 0, "message": message, "finish_reason": finish, "logprobs": logprobs}],
    }
    usage = _counted(answer, body, _chat_usage)
    return reply if usage is None else {**reply, "usage": usage}


def _chat_events(answer: Answer, body: Mapping[str, Any], number: int, finished: bool) -> Iterator[Event]:
    head = _chat_head(answer, body, number, "chat.completion.chunk")
    counted = bool((body.get("stream_options") or {}).get("include_usage"))
    logged = answer.logprobs and body.get("logprobs")

    def chunk(delta: dict[str, Any], finish: str | None = None) -> Event:
        spoken = delta.get("content")
        logprobs = {"content": _logprobs(spoken), "refusal": None} if logged and spoken else None
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": logprobs}
        return "", {**head, "choices": [choice], **({"usage": None} if counted else {})}

    yield chunk({"role": "assistant", "content": "", "refusal": None})
    for key, text in (("reasoning_content", answer.thinking), ("content", answer.text), ("refusal", answer.refusal)):
        for piece in pieces(text):
            yield chunk({key: piece})
    for index, (id_, name, args) in enumerate(answer.tool_calls):
        named = {"index": index, "id": id_, "type": "function", "function": {"name": name, "arguments": ""}}
        yield chunk({"tool_calls": [named]})
        for piece in pieces(arguments(args)):
            yield chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    if finished:
        yield chunk({}, CHAT_STOPS.get(answer.finish, answer.finish))
    usage = _counted(answer, body, _chat_usage)
    if counted and usage is not None:
        yield "", {**head, "choices": [], "usage": usage}


# responses

RESPONSE_STATUS: Mapping[str, tuple[str, str | None]] = {
    "length": ("incomplete", "max_output_tokens"),
    "content_filter": ("incomplete", "content_filter"),
    "failed": ("failed", None),
    **dict.fromkeys(("stop", "tool_calls", "refusal"), ("completed", None)),
}


def _response_usage(tokens: Tokens) -> dict[str, Any]:
    return {
        "input_tokens": tokens.input,
        "input_tokens_details": {"cached_tokens": tokens.cached, "cache_write_tokens": tokens.cache_write},
        "output_tokens": tokens.output,
        "output_tokens_details": {"reasoning_tokens": tokens.reasoning},
        "total_tokens": tokens.input + tokens.output,
    }


def _response_items(answer: Answer, body: Mapping[str, Any], number: int, status: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    if answer.thinking:
        summary = [{"type": "summary_text", "text": answer.thinking}]
        thought = {"type": "reasoning", "id": f"rs_{number}", "summary": summary, "status": "completed"}
        if "reasoning.encrypted_content" in (body.get("include") or ()):
            thought["encrypted_content"] = f"sealed-{number}"
        items.append(thought)
    if answer.refusal or answer.text or not answer.tool_calls:
        asked = answer.logprobs and "message.output_text.logprobs" in (body.get("include") or ())
        logprobs = _logprobs(answer.text) if asked else []
        part = {"type": "output_text", "text": answer.text, "annotations": [], "logprobs": logprobs}
        if answer.refusal:
            part = {"type": "refusal", "refusal": answer.refusal}
        ended = "incomplete" if status == "incomplete" else "completed"
        message = {"type": "message", "id": f"msg_{number}", "status": ended, "role": "assistant", "content": [part]}
        items.append(message)
    for place, (id_, name, args) in enumerate(answer.tool_calls):
        call = {"id": f"fc_{number}_{place}", "call_id": id_, "name": name, "arguments": arguments(args)}
        items.append({"type": "function_call", **call, "status": "completed"})
    return items


def _response_whole(answer: Answer, body: Mapping[str, Any], number: int, finished: bool) -> dict[str, Any]:
    status, reason = RESPONSE_STATUS.get(answer.finish, (answer.finish, None))
    failure = {"code": "server_error", "message": "the model failed"} if status == "failed" else None
    reply = {
        "id": f"resp_{number}",
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "model": answer.model or body.get("model", "fake"),
        "output": [] if failure else _response_items(answer, body, number, status),
        "error": failure,
        "incomplete_details": {"reason": reason} if reason else None,
        "instructions": body.get("instructions"),
        "metadata": body.get("metadata") or {},
        "parallel_tool_calls": True,
        "tool_choice": body.get("tool_choice", "auto"),
        "tools": body.get("tools", []),
        "temperature": body.get("temperature", 1.0),
        "top_p": 1.0,
        "usage": _counted(answer, body, _response_usage),
    }
    if not finished:
        del reply["status"]
    return reply


def _response_events(answer: Answer, body: Mapping[str, Any], number: int, finished: bool) -> Iterator[Event]:
    whole = _response_whole(answer, body, number, True)
    opening = {**whole, "status": "in_progress", "output": [], "usage": None, "error": None, "incomplete_details": None}
    steps: list[Step] = [(name, {"response": opening}) for name in ("created", "in_progress")]
    for index, item in enumerate(whole["output"]):
        later: dict[str, Any] = {"content": [], "summary": [], "arguments": ""}
        empty = {**item, **{key: later[key] for key in later if key in item}, "status": "in_progress"}
        steps.append(("output_item.added", {"output_index": index, "item": empty}))
        steps += [(name, {"output_index": index, "item_id": item["id"], **data}) for name, data in _item_steps(item)]
        steps.append(("output_item.done", {"output_index": index, "item": item}))
    if finished:
        steps.append((whole["status"], {"response": whole}))
    for place, (name, data) in enumerate(steps):
        yield f"response.{name}", {"type": f"response.{name}", "sequence_number": place, **data}


def _item_steps(item: dict[str, Any]) -> Iterator[Step]:
    if item["type"] == "function_call":
        for piece in pieces(item["arguments"]):
            yield "function_call_arguments.delta", {"delta": piece}
        yield "function_call_arguments.done", {"arguments": item["arguments"], "name": item["name"]}
        return
    thought = item["type"] == "reasoning"
    part = item["summary" if thought else "content"][0]
    index = {"summary_index" if thought else "content_index": 0}
    opened = "reasoning_summary_part" if thought else "content_part"
    spoken = "reasoning_summary_text" if thought else "output_text"
    key = "text"
    if part["type"] == "refusal":
        spoken = key = "refusal"
    logged = bool(part.get("logprobs"))

    def logs(text: str) -> dict[str, Any]:
        return {"logprobs": _logprobs(text) if logged else []} if spoken == "output_text" else {}

    yield f"{opened}.added", {**index, "part": {**part, key: "", **logs("")}}
    for piece in pieces(part[key]):
        yield f"{spoken}.delta", {**index, "delta": piece, **logs(piece)}
    yield f"{spoken}.done", {**index, key: part[key], **logs(part[key])}
    yield f"{opened}.done", {**index, "part": part}


# messages

MESSAGE_STOPS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}


def _message_usage(tokens: Tokens) -> dict[str, Any]:
    return {
        "input_tokens": tokens.input - tokens.cached - tokens.cache_write,  # here the uncached part alone
        "cache_creation_input_tokens": tokens.cache_write,
        "cache_read_input_tokens": tokens.cached,
        "cache_creation": {"ephemeral_5m_input_tokens": tokens.cache_write, "ephemeral_1h_input_tokens": 0},
        "output_tokens": tokens.output,
        "output_tokens_details": {"thinking_tokens": tokens.reasoning},
        "service_tier": "standard",
    }


def _message_blocks(answer: Answer) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if answer.thinking:
        blocks.append({"type": "thinking", "thinking": answer.thinking, "signature": "c2lnbmVk"})
    if answer.text or not answer.tool_calls:
        blocks.append({"type": "text", "text": answer.text or answer.refusal, "citations": None})
    for id_, name, args in answer.tool_calls:
        caller = {"type": "direct"}
        blocks.append({"type": "tool_use", "id": id_, "name": name, "input": _parsed(args), "caller": caller})
    return blocks


def _parsed(args: Any) -> Any:
    try:
        return json.loads(args) if isinstance(args, str) else args
    except ValueError:
        return args


def _message_whole(answer: Answer, body: Mapping[str, Any], number: int, finished: bool) -> dict[str, Any]:
    reply = {
        "id": f"msg_{number}",
        "type": "message",
        "role": "assistant",
        "model": answer.model or body.get("model", "fake"),
        "content": _message_blocks(answer),
        "stop_reason": MESSAGE_STOPS.get(answer.finish, answer.finish) if finished else None,
        "stop_sequence": None,
        "stop_details": None,
        "container": None,
    }
    usage = _counted(answer, body, _message_usage)
    return reply if usage is None else {**reply, "usage": usage}


def _message_events(answer: Answer, body: Mapping[str, Any], number: int, finished: bool) -> Iterator[Event]:
    whole = _message_whole(answer, body, number, finished)
    opening = {**whole, "content": [], "stop_reason": None}
    if isinstance(whole.get("usage"), dict):
        opening["usage"] = {**whole["usage"], "output_tokens": 1}
    steps: list[Step] = [("message_start", {"message": opening}), ("ping", {})]
    raw = [arguments(args) for _, _, args in answer.tool_calls]
    for index, block in enumerate(whole["content"]):
        said = raw.pop(0) if block["type"] == "tool_use" else ""
        steps += [(name, {"index": index, **data}) for name, data in _block_steps(block, said)]
    delta = {"stop_reason": whole["stop_reason"], "stop_sequence": None, "stop_details": None, "container": None}
    steps.append(("message_delta", {"delta": delta, **({"usage": whole["usage"]} if "usage" in whole else {})}))
    steps.append(("message_stop", {}))
    for name, data in steps:
        yield name, {"type": name, **data}


def _block_steps(block: dict[str, Any], raw: str) -> Iterator[Step]:
    empty: dict[str, Any] = {"input": {}} if block["type"] == "tool_use" else {block["type"]: ""}
    if block["type"] == "thinking":
        empty["signature"] = ""
    kind, key = {
        "text": ("text_delta", "text"),
        "thinking": ("thinking_delta", "thinking"),
        "tool_use": ("input_json_delta", "partial_json"),
    }[block["type"]]
    yield "content_block_start", {"content_block": {**block, **empty}}
    for piece in pieces(raw or block.get(key, "")):
        yield "content_block_delta", {"delta": {"type": kind, key: piece}}
    if block["type"] == "thinking":
        yield "content_block_delta", {"delta": {"type": "signature_delta", "signature": block["signature"]}}
    yield "content_block_stop", {}


SHAPES: Mapping[Api, Any] = {
    "chat": (_chat_whole, _chat_events),
    "responses": (_response_whole, _response_events),
    "messages": (_message_whole, _message_events),
}
