"""Recorded streams give the same call as the answer without streaming, and a cut one gives none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillforge.formats.bodies import read_call
from skillforge.formats.sse import fold, partial_text
from tests.fakes.wire_answers import Answer, Tokens, render

FAKE = {"anthropic": "messages", "openai-chat": "chat", "openai-responses": "responses"}
ANSWERS = {
    "text": Answer(text='Grüße aus Rom\nand \\ "quotes"', usage=Tokens(100, 20, cached=30)),
    "calls": Answer(
        text="I look.",
        tool_calls=[("c1", "weather", {"city": "Rome"}), ("c2", "weather", {"city": "Bari"})],
        usage=Tokens(10, 5),
    ),
    "length": Answer(text="cut sho", stop="length", usage=Tokens(10, 5)),
}


def body(api: str, *, stream: bool) -> dict[str, Any]:
    sent = {"input": "hello"} if api == "openai-responses" else {"messages": [{"role": "user", "content": "hello"}]}
    more = {"stream_options": {"include_usage": True}} if api == "openai-chat" and stream else {}
    return {"model": "m", **sent, **({"stream": True} if stream else {}), **more}


def streamed(api: str, answer: Answer) -> bytes:
    return b"".join(render(FAKE[api], answer, body(api, stream=True), 1))  # type: ignore[arg-type]


@pytest.mark.parametrize("api", FAKE)
@pytest.mark.parametrize("name", ANSWERS)
def test_a_stream_gives_the_call_of_the_whole_answer(api: Any, name: str):
    answer = ANSWERS[name]
    whole = json.loads(b"".join(render(FAKE[api], answer, body(api, stream=False), 1)))  # type: ignore[arg-type]
    folded = fold(api, streamed(api, answer))
    assert folded is not None
    one, other = (read_call(api, body(api, stream=False), told, id="c", at="x") for told in (whole, folded))
    assert one.output == other.output
    assert (one.stop, one.usage, one.resolved) == (other.stop, other.usage, other.resolved)
    assert one.text == answer.text


@pytest.mark.parametrize("api", FAKE)
@given(data=st.data())
@settings(max_examples=60)
def test_a_stream_cut_anywhere_is_none_or_whole_and_its_text_a_beginning(api: Any, data: st.DataObject):
    stream = streamed(api, ANSWERS["text"])
    cut = stream[: data.draw(st.integers(0, len(stream)))]
    text = ANSWERS["text"].text
    assert text.startswith(partial_text(api, cut))
    folded = fold(api, cut)
    if folded is not None:
        assert read_call(api, body(api, stream=False), folded, id="c").text == text


@pytest.mark.parametrize("api", FAKE)
def test_line_ends_a_byte_order_mark_and_a_stripped_end_change_nothing(api: Any):
    stream = streamed(api, ANSWERS["calls"])
    expected = fold(api, stream)
    assert fold(api, b"\xef\xbb\xbf" + stream.replace(b"\n", b"\r\n")) == expected
    assert fold(api, stream.replace(b"\n", b"\r").strip()) == expected


@pytest.mark.parametrize("api", FAKE)
def test_an_error_in_a_stream_is_the_answer(api: Any):
    event = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    folded = fold(api, b"event: error\ndata: " + json.dumps(event).encode() + b"\n\n")
    call = read_call(api, body(api, stream=False), folded, id="c")
    assert (call.output, call.error) == (None, "overloaded_error: Overloaded")


@pytest.mark.parametrize("api", FAKE)
@given(data=st.binary(max_size=300))
def test_any_bytes_are_folded_without_a_crash(api: Any, data: bytes):
    fold(api, data)
    partial_text(api, b"data: " + data + b"\n\n")
