from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillforge.endpoints import ModelOptions
from skillforge.errors import RequestRejected
from skillforge.messages import Media, Message, Reasoning, Request, RequestKey, Text, Tool, ToolCall, ToolResult
from skillforge.providers.wires.chat_request import chat_body, grammar_schema, local_body
from skillforge.providers.wires.wire import THINKING_TOKENS, Address, Dialect

KEY = RequestKey(role="run", task="t", input={})


def test_tool_calls_and_results_become_chat_messages():
    messages = (
        Message.of("user", "weather?"),
        Message(role="assistant", content=(ToolCall(id="a", name="look", arguments={"city": "Köln"}),)),
        Message(
            role="tool",
            content=(ToolResult(id="a", content={"sky": "blue"}), ToolResult(id="b", content="down", is_error=True)),
        ),
    )
    body = local_body(Request(messages=messages, key=KEY, tools=(Tool(name="look", parameters={"type": "object"}),)))
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
    with pytest.raises(RequestRejected, match=r"text only.*image/png"):
        local_body(Request(messages=(message,), key=KEY))


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


SCHEMA = {
    "type": "object",
    "properties": {"queue": {"enum": ["a", "b"]}},
    "required": ["queue"],
    "additionalProperties": False,
}


def body(dialect: Dialect | None = None, options: ModelOptions | None = None, **more: Any) -> dict[str, Any]:
    stream = more.pop("stream", False)
    request = Request(messages=(Message.of("user", "hi"),), key=KEY, max_output_tokens=50, **more)
    address = Address("acme:m", "openai-chat", "http://127.0.0.1:1/v1", "m", options or ModelOptions())
    return chat_body(request, address, dialect or Dialect(), stream=stream)


def test_room_for_thinking_is_added_to_the_limit():
    assert body(options=ModelOptions(thinking_tokens=100))["max_tokens"] == 150
    sent = body(Dialect(limit_key="max_completion_tokens"))
    assert (sent["max_completion_tokens"], "max_tokens" in sent) == (50, False)


def test_a_requests_temperature_goes_before_the_models():
    assert body(options=ModelOptions(temperature=0.5))["temperature"] == 0.5
    assert body(options=ModelOptions(temperature=0.5), temperature=0)["temperature"] == 0
    assert "temperature" not in body()


def test_what_a_server_refused_is_left_out():
    refused = Dialect(schema=False, temperature=False, logprobs=False, effort=False)
    sent = body(refused, ModelOptions(effort="low"), temperature=0, logprobs=True, output_schema=SCHEMA)
    assert set(sent) == {"model", "messages", "max_tokens"}
    assert "JSON Schema" in sent["messages"][0]["content"]
    sent = body(None, ModelOptions(effort="low"), temperature=0, logprobs=True, output_schema=SCHEMA)
    assert sent["reasoning_effort"] == "low"
    assert (sent["logprobs"], sent["top_logprobs"]) == (True, 20)
    assert body(Dialect(top_logprobs=5), ModelOptions(), logprobs=True)["top_logprobs"] == 5


def test_strict_mode_is_asked_for_only_where_the_schema_fits():
    sent = body(output_schema=SCHEMA)["response_format"]["json_schema"]
    assert sent["strict"] is True
    assert sent["schema"]["properties"]["queue"] == {"type": "string", "enum": ["a", "b"]}
    loose = {**SCHEMA, "properties": {"queue": {"type": "string", "maxLength": 3, "pattern": r"\d"}}}
    sent = body(output_schema=loose)["response_format"]["json_schema"]
    assert (sent["strict"], sent["schema"]) == (False, loose)


def test_a_stream_is_asked_for_its_usage():
    sent = body(stream=True)
    assert (sent["stream"], sent["stream_options"]) == (True, {"include_usage": True})
    assert "stream" not in body()


def test_text_beside_tool_results_is_the_users():
    results = (ToolResult(id="a", content="1"), Text(text="and now?"))
    reasoning = Message(
        role="assistant", content=(Reasoning(kind="openai-responses", data={"id": "r"}), Text(text="x"))
    )
    request = Request(messages=(reasoning, Message(role="tool", content=results)), key=KEY)
    assert local_body(request)["messages"] == [
        {"role": "assistant", "content": "x"},
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {"role": "user", "content": "and now?"},
    ]


def test_any_json_is_asked_for_where_the_server_knows_such_a_mode():
    assert body(any_json=True)["response_format"] == {"type": "json_object"}
    assert "response_format" not in body(Dialect(schema=False), any_json=True)
    assert "response_format" not in body(options=ModelOptions(structured="prompt"), any_json=True)


def test_a_requests_effort_goes_before_the_models_and_gets_room():
    sent = body(options=ModelOptions(effort="high", thinking_tokens=100), effort="low", thinking_tokens=10)
    assert (sent["reasoning_effort"], sent["max_tokens"]) == ("low", 60)
    assert body(options=ModelOptions(thinking_tokens=0), effort="low")["max_tokens"] == 50 + THINKING_TOKENS
    assert body(options=ModelOptions(thinking_tokens=0), effort="none")["max_tokens"] == 50
    assert "reasoning_effort" not in body(Dialect(effort=False), effort="low")
