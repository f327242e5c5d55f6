from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillforge.endpoints import ModelOptions
from skillforge.errors import ProviderError, RateLimited, ServerFailure
from skillforge.messages import Completion, Reasoning, Text, ToolCall, Usage
from skillforge.providers.wires.messages_format import completion_of
from skillforge.providers.wires.messages_stream import MessageStream
from skillforge.providers.wires.wire import Address
from tests.providers.wires.hostile_messages import BLOCKS, JSON, RESPONSES

THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}


def answered(response: dict[str, Any]) -> Completion:
    address = Address("anthropic:m", "anthropic", "https://api.anthropic.com", "m", ModelOptions())
    return completion_of(response, address=address, latency_s=1.0)


def say(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def start(**usage: Any) -> dict[str, Any]:
    return {"type": "message_start", "message": {"model": "m-1", "content": [], "stop_reason": None, "usage": usage}}


def block(index: int, head: dict[str, Any], *deltas: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield {"type": "content_block_start", "index": index, "content_block": head}
    for delta in deltas:
        yield {"type": "content_block_delta", "index": index, "delta": delta}
    yield {"type": "content_block_stop", "index": index}


def stopped(reason: Any = "end_turn", **usage: Any) -> list[dict[str, Any]]:
    return [{"type": "message_delta", "delta": {"stop_reason": reason}, "usage": usage}, {"type": "message_stop"}]


def put_together(*events: Any) -> Completion:
    stream = MessageStream("anthropic:m")
    assert [number for number, event in enumerate(events) if stream.add(event)][:1] in ([], [len(events) - 1])
    return answered(stream.response())


def add(field: str, piece: Any) -> dict[str, Any]:
    kind = {"partial_json": "input_json"}.get(field, field)
    return {"type": f"{kind}_delta", field: piece}


def test_a_stream_is_put_together():
    completion = put_together(
        start(input_tokens=9, cache_read_input_tokens=1, output_tokens=1),
        {"type": "ping"},
        *block(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            add("thinking", "h"),
            add("thinking", "m"),
            add("signature", "c2ln"),
        ),
        *block(1, say(""), add("text", "sm\ud83d"), add("text", "\ude00ile"), {"type": "citations_delta"}),
        *block(
            2,
            {"type": "tool_use", "id": "c", "name": "look", "input": {}},
            add("partial_json", '{"ci'),
            add("partial_json", 'ty": "Bonn"}'),
        ),
        *block(3, {"type": "tool_use", "id": "d", "name": "now", "input": {}}),
        *stopped("tool_use", output_tokens=40, input_tokens=0),
    )
    assert completion.message.content == (
        Reasoning(kind="anthropic", data=THOUGHT),
        Text(text="sm\U0001f600ile"),
        ToolCall(id="c", name="look", arguments={"city": "Bonn"}),
        ToolCall(id="d", name="now", arguments={}),
    )
    assert completion.usage == Usage(input_tokens=10, cached_tokens=1, written_tokens=0, output_tokens=40)


@pytest.mark.parametrize("pieces", [['{"ci'], ["[1]"], ['{"a": NaN}']])
def test_a_streamed_call_with_broken_input_is_text(pieces):
    head = {"type": "tool_use", "id": "c", "name": "look", "input": {}}
    deltas = [add("partial_json", piece) for piece in pieces]
    assert put_together(start(), *block(0, head, *deltas), *stopped("max_tokens")).text == "look" + "".join(pieces)


def test_a_stream_that_ends_without_a_stop_reason_is_an_error():
    with pytest.raises(ServerFailure, match="cut off"):
        put_together(start(), *block(0, say(""), add("text", "x")), {"type": "message_stop"})


@pytest.mark.parametrize(
    ("kind", "error"),
    [("overloaded_error", ServerFailure), ("api_error", ServerFailure), ("rate_limit_error", RateLimited)],
)
def test_an_error_in_a_stream_is_ours(kind, error):
    event = {"type": "error", "error": {"type": kind, "message": "the key sk-1 is busy"}}
    with pytest.raises(error, match=r"the key \*\*\* is busy") as caught:
        MessageStream("m", lambda text: text.replace("sk-1", "***")).add(event)
    assert caught.value.maybe_billed


@pytest.mark.parametrize(
    "event",
    [
        start(),
        {"type": "content_block_start", "index": 0, "content_block": say("")},
        {"type": "content_block_start", "index": 1},
        {"type": "content_block_delta", "index": 5, "delta": add("text", "lost")},
        {"type": "content_block_delta", "delta": add("text", "lost")},
        {"type": "content_block_delta", "index": 0, "delta": add("text", None)},
    ],
)
def test_a_piece_that_fits_nowhere_is_never_dropped_in_silence(event):
    with pytest.raises(ServerFailure, match="garbled"):
        put_together(start(), *block(0, say("")), event, *stopped())


DELTAS = st.fixed_dictionaries(
    {"type": st.sampled_from(["text_delta", "input_json_delta", "thinking_delta", "other"]) | JSON},
    optional={"text": JSON, "partial_json": JSON, "thinking": JSON, "stop_reason": st.just("end_turn") | JSON},
)
EVENTS = st.fixed_dictionaries(
    {
        "type": st.sampled_from(
            ["message_start", "content_block_start", "content_block_delta", "message_delta", "message_stop", "error"]
        )
        | JSON
    },
    optional={
        "index": st.just(0) | JSON,
        "message": RESPONSES,
        "content_block": BLOCKS | JSON,
        "delta": DELTAS | JSON,
        "usage": JSON,
        "error": JSON,
    },
)


@given(st.lists(EVENTS | JSON, max_size=8))
def test_any_stream_is_a_completion_or_an_error_of_ours(events):
    stream = MessageStream("anthropic:m")
    try:
        for event in events:
            stream.add(event)
        completion = answered(stream.response())
    except ProviderError:
        return
    assert isinstance(completion, Completion)
