"""Recorded bodies of the three APIs as calls; the official SDKs' types are the oracle for what a response says."""

from __future__ import annotations

from typing import Any

import pytest
from anthropic.types import Message as AnthropicMessage
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion
from openai.types.responses import Response

from skillforge.call import Call
from skillforge.formats.bodies import api_of, read_call
from skillforge.formats.parts import NotACall
from skillforge.messages import Media, Message, Reasoning, Text, Tool, ToolCall, ToolResult, Usage

SCHEMA = {"type": "object", "properties": {"queue": {"enum": ["billing", "bug"]}}}
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}}

MESSAGES_REQUEST: dict[str, Any] = {
    "model": "claude-haiku-5-5",
    "max_tokens": 512,
    "system": [
        {"type": "text", "text": "You route tickets.", "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": "Be brief."},
    ],
    "messages": [
        {"role": "user", "content": "Weather in Rome?"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Rome"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "12 C"}]},
                {"type": "text", "text": "And?"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA" * 100}},
            ],
        },
    ],
    "tools": [
        {"name": "weather", "description": "Looks.", "input_schema": WEATHER},
        {"type": "web_search_20250305", "name": "web_search"},
    ],
    "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": SCHEMA}},
    "metadata": {"user_id": "u-7"},
}
MESSAGES_RESPONSE: dict[str, Any] = {
    "id": "msg_01",
    "type": "message",
    "role": "assistant",
    "model": "claude-haiku-5-5-20260901",
    "content": [
        {"type": "text", "text": "Twelve."},
        {"type": "tool_use", "id": "toolu_2", "name": "weather", "input": {"city": "Bari"}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 20,
        "cache_creation_input_tokens": 5,
        "cache_read_input_tokens": 75,
        "output_tokens": 9,
    },
}
CHAT_REQUEST: dict[str, Any] = {
    "model": "gpt-6-luna",
    "messages": [
        {"role": "system", "content": "You route tickets."},
        {"role": "developer", "content": [{"type": "text", "text": "Be brief."}]},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "See "},
                {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,AAAA"}},
                {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
                {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Rome"}'}},
                {"id": "call_2", "type": "function", "function": {"name": "weather", "arguments": "{broken"}},
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "12 C"},
        {"role": "system", "content": "From now on in French."},
        {"role": "user", "content": "Go on"},
    ],
    "tools": [{"type": "function", "function": {"name": "weather", "description": "Looks.", "parameters": WEATHER}}],
    "response_format": {"type": "json_schema", "json_schema": {"name": "out", "strict": True, "schema": SCHEMA}},
    "temperature": 0.2,
    "user": "u-7",
}
CHAT_RESPONSE: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_759_309_200,
    "model": "gpt-6-luna-2026-05-01",
    "choices": [
        {"index": 0, "finish_reason": "stop", "logprobs": None, "message": {"role": "assistant", "content": "Oui"}}
    ],
    "usage": {
        "prompt_tokens": 100,
        "completion_tokens": 30,
        "total_tokens": 130,
        "prompt_tokens_details": {"cached_tokens": 64},
        "completion_tokens_details": {"reasoning_tokens": 20},
    },
}
RESPONSES_REQUEST: dict[str, Any] = {
    "model": "gpt-6-luna",
    "instructions": "You route tickets.",
    "input": [
        {"role": "developer", "content": "Be brief."},
        {
            "role": "user",
            "content": [{"type": "input_text", "text": "Weather?"}, {"type": "input_file", "file_id": "f"}],
        },
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"},
        {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": '{"city": "Rome"}'},
        {"type": "function_call_output", "call_id": "call_1", "output": "12 C"},
        {"type": "item_reference", "id": "msg_0"},
    ],
    "tools": [{"type": "function", "name": "weather", "parameters": WEATHER, "strict": True}, {"type": "web_search"}],
    "text": {"verbosity": "low", "format": {"type": "json_schema", "name": "out", "schema": SCHEMA, "strict": True}},
    "conversation": {"id": "conv_9"},
}
RESPONSES_RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1_759_309_200,
    "status": "incomplete",
    "incomplete_details": {"reason": "max_output_tokens"},
    "error": None,
    "model": "gpt-6-luna",
    "output": [
        {"type": "reasoning", "id": "rs_2", "summary": []},
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "incomplete",
            "content": [{"type": "output_text", "text": "Twel", "annotations": []}],
        },
    ],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": {
        "input_tokens": 50,
        "input_tokens_details": {"cached_tokens": 32, "cache_write_tokens": 0},
        "output_tokens": 8,
        "output_tokens_details": {"reasoning_tokens": 4},
        "total_tokens": 58,
    },
}


def test_an_anthropic_pair_is_read_whole():
    call = read_call("anthropic", MESSAGES_REQUEST, MESSAGES_RESPONSE, id="c1", latency_s=0.5)
    assert (call.model, call.resolved) == ("claude-haiku-5-5", "claude-haiku-5-5-20260901")
    assert call.system == "You route tickets.\n\nBe brief."
    assert [message.role for message in call.messages] == ["user", "assistant", "tool"]
    thought, said, asked = call.messages[1].content
    assert isinstance(thought, Reasoning)
    assert said == Text(text="I look.")
    assert asked == ToolCall(id="toolu_1", name="weather", arguments={"city": "Rome"})
    assert call.messages[2].content == (
        ToolResult(id="toolu_1", content="12 C"),
        Text(text="And?"),
        Media(type="image", media_type="image/png"),
    )
    assert call.tools == (
        Tool(name="weather", description="Looks.", parameters=WEATHER),
        Tool(name="web_search", parameters={}),
    )
    assert call.output_schema == SCHEMA
    assert call.params == {"max_tokens": 512, "output_config": {"effort": "low"}, "metadata": {"user_id": "u-7"}}
    assert (call.stop, call.subject, call.latency_s) == ("tool_calls", "u-7", 0.5)
    assert call.usage == Usage(input_tokens=100, cached_tokens=75, written_tokens=5, output_tokens=9)
    oracle = AnthropicMessage.model_validate(MESSAGES_RESPONSE)
    assert call.text == "".join(block.text for block in oracle.content if block.type == "text")
    assert call.output is not None
    assert [(c.id, c.arguments) for c in call.output.tool_calls] == [("toolu_2", {"city": "Bari"})]


def test_a_chat_pair_is_read_whole():
    call = read_call("openai-chat", CHAT_REQUEST, CHAT_RESPONSE, id="c1")
    assert call.system == "You route tickets.\n\nBe brief."
    assert [message.role for message in call.messages] == ["user", "assistant", "tool", "system", "user"]
    assert call.messages[0].content == (
        Text(text="See "),
        Media(type="image", media_type="image/jpeg"),
        Media(type="image", media_type="image/*", url="https://example.org/a.png"),
        Media(type="document", media_type="audio/wav"),
    )
    assert call.messages[1].content == (
        ToolCall(id="call_1", name="weather", arguments={"city": "Rome"}),
        Text(text="weather{broken"),
    )
    assert call.messages[2] == Message(role="tool", content=(ToolResult(id="call_1", content="12 C"),))
    assert call.output_schema == SCHEMA
    assert call.params == {"temperature": 0.2, "user": "u-7"}
    assert (call.stop, call.subject, call.at) == ("stop", "u-7", "2025-10-01T09:00:00.000Z")
    oracle = ChatCompletion.model_validate(CHAT_RESPONSE)
    assert oracle.usage is not None
    assert call.text == oracle.choices[0].message.content
    assert call.usage.input_tokens == oracle.usage.prompt_tokens
    assert call.usage == Usage(input_tokens=100, cached_tokens=64, output_tokens=30, reasoning_tokens=20)


def test_a_responses_pair_is_read_whole():
    call = read_call("openai-responses", RESPONSES_REQUEST, RESPONSES_RESPONSE, id="c1")
    assert call.system == "You route tickets.\n\nBe brief."
    assert [message.role for message in call.messages] == ["user", "assistant", "tool"]
    assert call.messages[0].content[1] == Media(type="document", media_type="document/*", url="f")
    assert [part.type for part in call.messages[1].content] == ["reasoning", "tool_call"]
    assert call.messages[2].content == (ToolResult(id="call_1", content="12 C"),)
    assert [tool.name for tool in call.tools] == ["weather", "web_search"]
    assert call.output_schema == SCHEMA
    assert call.params == {"text": {"verbosity": "low"}, "conversation": {"id": "conv_9"}}
    assert (call.stop, call.conversation, call.at) == ("length", "conv_9", "2025-10-01T09:00:00.000Z")
    assert call.text == Response.model_validate(RESPONSES_RESPONSE).output_text == "Twel"
    assert call.usage == Usage(input_tokens=50, cached_tokens=32, written_tokens=0, output_tokens=8, reasoning_tokens=4)


def test_a_text_as_input_is_what_the_user_says():
    call = read_call("openai-responses", {"model": "m", "input": "hello"}, None, id="c", error="HTTP 500")
    assert call.messages == (Message.of("user", "hello"),)
    assert (call.output, call.error, call.stop) == (None, "HTTP 500", "")


@pytest.mark.parametrize(
    ("api", "body"),
    [
        ("anthropic", {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
        ("openai-chat", {"error": {"type": "overloaded_error", "message": "Overloaded"}}),
        ("openai-responses", {"status": "failed", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
    ],
)
def test_an_error_body_gives_a_call_without_output(api: Any, body: dict[str, Any]):
    request = {"model": "m", "input" if api == "openai-responses" else "messages": []}
    call = read_call(api, request, body, id="c")
    assert call.output is None
    assert call.error == "overloaded_error: Overloaded"


def test_a_refusal_is_the_answer_and_its_stop():
    body = {"choices": [{"finish_reason": "stop", "message": {"content": None, "refusal": "I will not."}}]}
    call = read_call("openai-chat", {"model": "m", "messages": []}, body, id="c")
    assert (call.text, call.stop) == ("I will not.", "refusal")


def test_what_nobody_knows_leaves_a_trace_and_is_no_error():
    request = {
        "model": "m",
        "messages": [
            {"role": "user", "content": [{"type": "hologram", "data": "AAAA"}, {"type": "text", "text": "x"}]},
            {"role": "assistant", "content": [{"type": "server_tool_use", "id": "s", "name": "search", "input": {}}]},
        ],
        "tools": ["odd", {"strange": True}, {"type": "computer"}],
    }
    call = read_call("anthropic", request, {"content": [{"type": "telepathy"}], "stop_reason": "new"}, id="c")
    assert call.messages[0].content == (Media(type="document", media_type="x-hologram"), Text(text="x"))
    assert call.messages[1].content == (ToolCall(id="s", name="search", arguments={}),)
    assert [tool.name for tool in call.tools] == ["computer"]
    assert call.stop == ""


@pytest.mark.parametrize(
    "request_body",
    [
        {"model": "m", "messages": "hello"},
        {"model": "m", "messages": [1]},
        {"model": "m", "messages": [{"role": "user", "content": 7}]},
        {"model": "m", "messages": [{"role": "wizard", "content": "x"}]},
        {"model": "m", "messages": [{"content": "x"}]},
        {"messages": []},
        [],
    ],
)
def test_a_wrong_shape_is_one_error(request_body: Any):
    with pytest.raises(NotACall):
        read_call("openai-chat", request_body, None, id="c")


def test_json_nested_too_deep_is_refused_also_inside_of_arguments():
    deep: Any = {}
    for _ in range(5000):
        deep = {"a": deep}
    with pytest.raises(NotACall, match="deep"):
        read_call("openai-chat", {"model": "m", "messages": [], "metadata": deep}, None, id="c")
    text = '{"a":' * 500 + "1" + "}" * 500
    said = {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": text}}]}
    with pytest.raises(NotACall, match="deep"):
        read_call("openai-chat", {"model": "m", "messages": [said]}, None, id="c")


def test_lone_surrogates_and_infinities_can_be_stored():
    request = {"model": "m", "messages": [{"role": "user", "content": "\ud800x"}], "top_p": float("inf")}
    call = read_call("openai-chat", request, None, id="c")
    assert call.messages[0].text == "\ufffdx"
    assert call.params == {"top_p": None}
    assert Call.model_validate_json(call.model_dump_json()) == call


@pytest.mark.parametrize(
    ("request_body", "response", "api"),
    [
        (MESSAGES_REQUEST, None, "anthropic"),
        (CHAT_REQUEST, None, "openai-chat"),
        (RESPONSES_REQUEST, None, "openai-responses"),
        ({"model": "claude-haiku-5-5", "messages": []}, None, "anthropic"),
        ({"model": "claude-haiku-5-5", "messages": []}, CHAT_RESPONSE, "openai-chat"),
        ({"messages": []}, MESSAGES_RESPONSE, "anthropic"),
        ({}, RESPONSES_RESPONSE, "openai-responses"),
        ({"prompt": "x"}, None, None),
        (7, "x", None),
    ],
)
def test_the_api_of_a_pair_is_told_by_its_keys(request_body: Any, response: Any, api: str | None):
    assert api_of(request_body, response) == api


KEYS = [
    "role",
    "content",
    "type",
    "text",
    "tool_calls",
    "function",
    "name",
    "arguments",
    "id",
    "input",
    "output",
    "source",
    "url",
    "data",
    "stop_reason",
    "usage",
    "choices",
    "message",
    "error",
    "system",
    "tools",
    "model",
    "messages",
    "format",
    "schema",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(st.sampled_from(["anthropic", "openai-chat", "openai-responses"]), JSON, JSON, JSON, JSON)
def test_any_json_is_a_call_or_one_error(api: Any, messages: Any, response: Any, tools: Any, system: Any):
    request = {"model": "m", "messages": messages, "input": messages, "tools": tools, "system": system}
    try:
        call = read_call(api, request, response, id="c")
    except NotACall:
        return
    assert Call.model_validate_json(call.model_dump_json()) == call
