"""A recorded stream of server-sent events as the response body that it would have been without streaming."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from skillforge.call import Api
from skillforge.errors import ProviderError
from skillforge.providers.wires import reading
from skillforge.providers.wires.messages_stream import MessageStream

_LINE_END = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"
_DONE = b"[DONE]"
_TERMINAL = frozenset({"response.completed", "response.incomplete", "response.failed"})


def fold(api: Api, data: bytes) -> dict[str, Any] | None:
    """The response body that a whole stream tells of; ``None`` for one that was cut, or is none of ``api``.

    A stream that ends with an error gives that error's body.
    """
    return _FOLDS[api](data)[0]


def partial_text(api: Api, data: bytes) -> str:
    """The text that a stream held so far, for the record of one that was cut."""
    return _FOLDS[api](data)[1]


def events(data: bytes) -> Iterator[Mapping[str, Any]]:
    """The JSON object of each event, up to ``[DONE]`` or to what was cut off in the middle of one.

    The last event needs no empty line behind it: recorders strip what they keep.
    """
    lines: list[bytes] = []
    for line in [*_LINE_END.split(data.removeprefix(_BOM)), b""]:
        if line.startswith(b"data:"):
            lines.append(line[5:].removeprefix(b" "))
        elif not line and lines:
            event, lines = b"\n".join(lines).strip(), []
            if event == _DONE:
                return
            try:
                value = reading.parsed(event) if event else None
            except ValueError:
                return
            if isinstance(value, Mapping):
                yield value


def _fold_messages(data: bytes) -> tuple[dict[str, Any] | None, str]:
    stream = MessageStream("")
    for event in events(data):
        if event.get("type") == "error":
            return dict(event), _blocks_text(stream.response())
        try:
            stream.add(event)
        except ProviderError:  # a piece that fits nowhere
            return None, _blocks_text(stream.response())
    body = stream.response()
    return (body if isinstance(body.get("stop_reason"), str) else None), _blocks_text(body)


def _blocks_text(body: Mapping[str, Any]) -> str:
    blocks = map(reading.mapping, reading.items(body.get("content")))
    return "".join(reading.text(block.get("text")) for block in blocks if block.get("type") == "text")


def _fold_responses(data: bytes) -> tuple[dict[str, Any] | None, str]:
    texts: list[str] = []
    for event in events(data):
        kind = event.get("type")
        if kind == "response.output_text.delta":
            texts.append(reading.text(event.get("delta")))
        elif kind in _TERMINAL and isinstance(event.get("response"), dict):
            return event["response"], "".join(texts)
        elif kind == "error" or (kind is None and event.get("error")):
            return {"error": event.get("error") or dict(event)}, "".join(texts)
    return None, "".join(texts)


def _fold_chat(data: bytes) -> tuple[dict[str, Any] | None, str]:
    """Chunks put together. Only the first choice: of several answers to one call, one is recorded."""
    body: dict[str, Any] = {}
    message: dict[str, Any] = {}
    finish: Any = None
    for chunk in events(data):
        if chunk.get("error"):
            return {"error": chunk["error"]}, reading.text(message.get("content"))
        body |= {key: value for key, value in chunk.items() if key != "choices" and value is not None}
        for choice in map(reading.mapping, reading.items(chunk.get("choices"))):
            if choice.get("index", 0) == 0:
                _add(message, reading.mapping(choice.get("delta")))
                finish = choice.get("finish_reason") or finish
    text = reading.text(message.get("content"))
    if not isinstance(finish, str):
        return None, text
    body["object"] = "chat.completion"
    body["choices"] = [{"index": 0, "message": message, "finish_reason": finish}]
    return body, text


def _add(message: dict[str, Any], delta: Mapping[str, Any]) -> None:
    """Add a chunk's delta: texts go on, calls are told apart by their index, the rest is said once."""
    for key, value in delta.items():
        if key == "tool_calls":
            calls = message.setdefault("tool_calls", [])
            for piece in map(reading.mapping, reading.items(value)):
                _add_call(calls, piece)
        elif key == "function_call" and isinstance(value, Mapping):
            _add_texts(message.setdefault("function_call", {}), value)
        elif key != "role" and isinstance(value, str) and isinstance(message.get(key, ""), str):
            message[key] = message.get(key, "") + value
        elif value is not None:
            message[key] = value


def _add_call(calls: list[dict[str, Any]], piece: Mapping[str, Any]) -> None:
    index = reading.count(piece.get("index")) or 0
    call_id = reading.text(piece.get("id"))
    call = next((call for call in reversed(calls) if call["index"] == index), None)
    if call is None or (call_id and call.get("id", call_id) != call_id):
        call = {"index": index, "type": "function", "function": {}}
        calls.append(call)
    if call_id:
        call["id"] = call_id
    _add_texts(call["function"], reading.mapping(piece.get("function")))


def _add_texts(function: dict[str, Any], piece: Mapping[str, Any]) -> None:
    """The name comes once, the arguments in pieces."""
    if name := reading.text(piece.get("name")):
        function.setdefault("name", name)
    function["arguments"] = function.get("arguments", "") + reading.text(piece.get("arguments"))


_FOLDS = {"anthropic": _fold_messages, "openai-chat": _fold_chat, "openai-responses": _fold_responses}
