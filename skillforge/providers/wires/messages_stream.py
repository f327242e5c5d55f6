"""A streamed answer of Anthropic's messages API, put together into the response it would have been."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from skillforge.errors import ServerFailure
from skillforge.providers.wires.reading import count, mapping, parsed
from skillforge.providers.wires.sdk_errors import server_error

# what a delta adds to its block: the delta's type -> the field it holds and adds to
_PIECES: Mapping[str, str] = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
    "input_json_delta": "partial_json",
}


class MessageStream:
    """Takes a stream's events one after the other, whatever they are; ``name`` is the model as the user writes it.

    ``clean`` takes secrets out of a server's words.
    """

    def __init__(self, name: str, clean: Callable[[str], str] = str) -> None:
        self._name = name
        self._clean = clean
        self._message: dict[str, Any] = {}
        self._usage: dict[str, Any] = {}
        self._blocks: dict[int, tuple[dict[str, Any], dict[str, list[str]]]] = {}
        self._takes: Mapping[str, Callable[[Mapping[str, Any]], None]] = {
            "message_start": self._start,
            "content_block_start": self._open,
            "content_block_delta": self._add,
            "message_delta": self._change,
            "error": self._fail,
        }

    def add(self, event: Any) -> bool:
        """Take an event; true for the one that ends the stream: some servers leave the connection open after it.

        Raises what the server says in an ``error`` event, and ``ServerFailure`` for a piece that fits nowhere.
        """
        kind = mapping(event).get("type")
        if isinstance(kind, str) and kind in self._takes:
            self._takes[kind](event)
        return kind == "message_stop"

    def response(self) -> dict[str, Any]:
        """The response of a stream that has ended. A tool call's input that is no JSON object stays text there."""
        content = [_block(head, pieces) for _, (head, pieces) in sorted(self._blocks.items(), key=lambda item: item[0])]
        return {**self._message, "content": content, "usage": self._usage}

    def cut(self) -> ServerFailure:
        """The error for a stream that broke off: the SDK would take it for an answer."""
        text = f"{self._name}: the answer was cut off on its way"
        return ServerFailure(text, hint="try again, or allow more time", maybe_billed=True)

    def _start(self, event: Mapping[str, Any]) -> None:
        if self._message or self._blocks:
            raise self._garbled()  # a second answer in the same stream
        self._message = dict(mapping(event.get("message")))
        self._usage = dict(mapping(self._message.get("usage")))

    def _open(self, event: Mapping[str, Any]) -> None:
        index, head = count(event.get("index")), event.get("content_block")
        if index is None or not isinstance(head, Mapping) or index in self._blocks:
            raise self._garbled()
        self._blocks[index] = (dict(head), {})

    def _add(self, event: Mapping[str, Any]) -> None:
        index, delta = count(event.get("index")), mapping(event.get("delta"))
        kind = delta.get("type")
        field = _PIECES.get(kind) if isinstance(kind, str) else None
        if field is None:
            return  # citations, and what comes later
        piece = delta.get(field)
        if index is None or index not in self._blocks or not isinstance(piece, str):
            raise self._garbled()
        self._blocks[index][1].setdefault(field, []).append(piece)

    def _change(self, event: Mapping[str, Any]) -> None:
        """The end of a message: why it stopped, and its usage.

        These counts replace the first ones, unless those were higher: they only grow, but some servers send a zero
        first or last.
        """
        self._message |= {key: value for key, value in mapping(event.get("delta")).items() if value is not None}
        for key, value in mapping(event.get("usage")).items():
            old, new = count(self._usage.get(key)), count(value)
            if old is not None and new is not None:
                self._usage[key] = max(old, new)
            elif value is not None:
                self._usage[key] = value

    def _fail(self, event: Mapping[str, Any]) -> None:
        raise server_error(event, name=self._name, clean=self._clean)

    def _garbled(self) -> ServerFailure:
        return ServerFailure(f"{self._name}: the answer was garbled on its way", hint="try again", maybe_billed=True)


def _block(head: dict[str, Any], pieces: Mapping[str, list[str]]) -> dict[str, Any]:
    block = dict(head)
    for field, texts in pieces.items():
        if field == "partial_json":
            block["input"] = _input("".join(texts), head.get("input"))
        else:
            start = head.get(field)
            block[field] = (start if isinstance(start, str) else "") + "".join(texts)
    return block


def _input(text: str, start: Any) -> Any:
    if not text:
        return start
    try:
        value = parsed(text)
    except ValueError:
        return text
    return value if isinstance(value, dict) else text
