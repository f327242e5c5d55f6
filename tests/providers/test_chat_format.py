from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillforge.errors import ContextOverflow, ProviderError
from skillforge.messages import Completion, Cost, Media, Message, Request, RequestKey, Text, Tool, ToolCall, ToolResult
from skillforge.providers.chat_format import completion_of, grammar_schema, request_body

KEY = RequestKey(role="run", task="t", input={})


def put_together(*chunks: dict[str, Any]) -> Completion:
    return completion_of(chunks, model="m", cost=Cost(), latency_s=1.0)


def piece(delta: dict[str, Any], reason: str | None = None, **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": reason, **more}]}


def test_tool_calls_and_results_become_chat_messages():
    messages = (
        Message.of("user", "weather?"),
        Message(role="assistant", content=(ToolCall(id="a", name="look", arguments={"city": "Köln"}),)),
        Message(
            role="tool",
            content=(ToolResult(id="a", content={"sky": "blue"}), ToolResult(id="b", content="down", is_error=True)),
        ),
    )
    body = request_body(Request(messages=messages, key=KEY, tools=(Tool(name="look", parameters={"type": "object"}),)))
    call = {"id": "a", "type": "function", "function": {"name": "look", "arguments": '{"city": "Köln"}'}}
    assert body["messages"] == [
        {"role": "user", "content": "weather?"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": '{"sky": "blue"}'},
        {"role": "tool", "tool_call_id": "b", "content": "error: down"},
    ]
    assert body["tools"][0]["function"]["name"] == "look"


def test_an_image_is_refused_clearly():
    message = Message(role="user", content=(Text(text="see"), Media(type="image", media_type="image/png", data="AA")))
    with pytest.raises(ProviderError, match=r"text only.*image/png"):
        request_body(Request(messages=(message,), key=KEY))


def test_a_streamed_tool_call_is_put_together():
    completion = put_together(
        piece({"role": "assistant", "content": None}),
        piece({"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "look", "arguments": '{"ci'}}]}),
        piece({"tool_calls": [{"index": 0, "function": {"arguments": 'ty": "Bonn"}'}}]}),
        piece({}, "tool_calls"),
    )
    assert completion.message.tool_calls == (ToolCall(id="c1", name="look", arguments={"city": "Bonn"}),)
    assert completion.stop == "tool_calls"


def test_a_tool_call_with_broken_arguments_is_text():
    completion = put_together(
        piece({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "look", "arguments": '{"ci'}}]}, "length")
    )
    assert completion.message.tool_calls == ()
    assert completion.text == 'look{"ci'


def test_an_answer_without_a_finish_reason_is_an_error():
    with pytest.raises(ProviderError, match="cut off"):
        put_together(piece({"content": "half an ans"}))


def test_usage_that_is_not_reported_is_unknown():
    completion = put_together(piece({"content": "x"}, "stop"))
    assert completion.usage.input_tokens is None
    assert completion.logprobs is None


def test_errors_in_the_stream_are_ours():
    with pytest.raises(ContextOverflow, match=r"12 tokens.*holds 8"):
        put_together({"error": {"type": "exceed_context_size_error", "n_prompt_tokens": 12, "n_ctx": 8}})
    with pytest.raises(ProviderError, match="odd"):
        put_together({"error": "odd"})


def test_only_patterns_a_grammar_can_hold_are_sent():
    def schema(pattern: str) -> dict[str, Any]:
        return {"type": "object", "properties": {"pattern": {"type": "string", "pattern": pattern}}}

    for kept in ("^[A-Z]{2}-[0-9]+$", "^(a|b)c?$", r"^a\.b$"):
        assert grammar_schema(schema(kept)) == schema(kept)
    for dropped in (r"^\d+$", "^(?=a)b$", "[a-z]", r"^\p{L}$", "^a"):
        assert grammar_schema(schema(dropped)) == {"type": "object", "properties": {"pattern": {"type": "string"}}}


@given(st.dictionaries(st.sampled_from(["const", "default", "enum", "title"]), st.lists(st.text(), max_size=3)))
def test_values_inside_a_schema_are_left_alone(part):
    schema = {**part, "const": {"pattern": r"\d"}}
    assert grammar_schema(schema) == schema
    assert list(grammar_schema(schema)) == list(schema)
