from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from hypothesis import given
from pydantic import TypeAdapter

from skillforge.endpoints import ModelOptions
from skillforge.errors import ProviderError, RateLimited, ServerFailure
from skillforge.messages import (
    Completion,
    Media,
    Message,
    Reasoning,
    Request,
    RequestKey,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    Usage,
)
from skillforge.providers.wires.messages_format import completion_of, messages_body, usage_of
from skillforge.providers.wires.wire import Address, Dialect
from tests.providers.wires.golden_cases import CASES, expected_body
from tests.providers.wires.hostile_messages import RESPONSES

KEY = RequestKey(role="run", task="t", input={})
SCHEMA = {"type": "object", "properties": {"queue": {"type": "string"}}, "required": ["queue"]}
THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
MARK = {"type": "ephemeral"}


def address(**options: Any) -> Address:
    return Address("anthropic:m", "anthropic", "https://api.anthropic.com", "m", ModelOptions(**options))


def body_of(*messages: Message, dialect: Dialect | None = None, options: Any = None, **more: Any) -> dict[str, Any]:
    request = Request(messages=messages, key=KEY, **more)
    return messages_body(request, address(**(options or {})), dialect or Dialect(), stream=False)


def answered(response: Mapping[str, Any]) -> Completion:
    return completion_of(response, address=address(), latency_s=1.0)


def reply(*content: Any, stop: Any = "end_turn", **more: Any) -> dict[str, Any]:
    return {"type": "message", "model": "m-1", "content": list(content), "stop_reason": stop, **more}


def say(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


USER, SYSTEM = Message.of("user", "hello"), Message.of("system", "be terse")


# requests


def sent_for(case: str) -> dict[str, Any]:
    make, options = CASES[case]
    return messages_body(make(), Address("n", "anthropic", "", "claude-test", options), Dialect(), stream=False)


@pytest.mark.parametrize("case", CASES)
def test_bodies_are_those_that_are_kept(case):
    body = sent_for(case)
    assert json.dumps(expected_body("anthropic", case, body)) == json.dumps(body)  # the order of keys counts


@pytest.mark.parametrize("case", CASES)
def test_bodies_are_what_the_sdk_calls_valid(case):
    body = sent_for(case)
    adapter = TypeAdapter(MessageCreateParamsNonStreaming)
    assert exhausted(adapter.validate_python(body)) == body  # unknown keys would be gone


def exhausted(value: Any) -> Any:
    """Pydantic validates iterables only while they are read."""
    if isinstance(value, dict):
        return {key: exhausted(inner) for key, inner in value.items()}
    return value if isinstance(value, str) or not hasattr(value, "__iter__") else [exhausted(item) for item in value]


def test_thinking_gets_room_on_top_of_the_answer():
    assert body_of(USER, max_output_tokens=100, options={"thinking_tokens": 50})["max_tokens"] == 150


def test_sampling_settings_and_logprobs_are_never_sent():
    body = body_of(USER, temperature=0.5, logprobs=True, options={"temperature": 1})
    assert set(body) == {"model", "max_tokens", "messages"}


def test_an_effort_is_sent_until_the_server_refuses_it():
    assert body_of(USER, options={"effort": "max"})["output_config"] == {"effort": "max"}
    assert "output_config" not in body_of(USER, options={"effort": "max"}, dialect=Dialect(effort=False))


def test_no_effort_turns_thinking_off():
    body = body_of(USER, options={"effort": "none"})
    assert body["thinking"] == {"type": "disabled"}
    assert "output_config" not in body
    assert "thinking" not in body_of(USER, options={"effort": "none"}, dialect=Dialect(effort=False))


@pytest.mark.parametrize(("options", "dialect"), [({"structured": "prompt"}, Dialect()), ({}, Dialect(schema=False))])
def test_a_schema_that_may_not_be_sent_stands_in_the_prompt(options, dialect):
    body = body_of(SYSTEM, USER, output_schema=SCHEMA, fixed=1, options=options, dialect=dialect)
    assert "output_config" not in body
    assert '"queue"' in body["system"][0]["text"]


def test_a_schema_of_free_keys_stands_in_the_prompt_and_what_is_fixed_moves_with_it():
    free = {"type": "object", "additionalProperties": {"type": "string"}}
    body = body_of(USER, Message.of("assistant", "hi"), USER, output_schema=free, fixed=2)
    assert "additionalProperties" in body["system"][0]["text"]
    assert [("cache_control" in turn["content"][-1]) for turn in body["messages"]] == [False, True, False]


def test_roles_take_turns():
    body = body_of(USER, Message.of("user", "again"), Message.of("assistant", "yes"), Message.of("assistant", "?"))
    assert body["messages"] == [
        {"role": "user", "content": [say("hello"), say("again")]},
        {"role": "assistant", "content": [say("yes"), say("?")]},
    ]


def test_tool_results_go_back_first_as_the_users_turn():
    call = ToolCall(id="a", name="look", arguments={"city": "Köln"})
    results = (
        Text(text="and?"),
        ToolResult(id="a", content={"sky": "Ä"}),
        ToolResult(id="b", content="x", is_error=True),
    )
    body = body_of(
        USER,
        Message(role="assistant", content=(call,)),
        Message(role="tool", content=results),
        tools=(Tool(name="look", parameters={"type": "object"}),),
    )
    use = {"type": "tool_use", "id": "a", "name": "look", "input": {"city": "Köln"}}
    assert body["messages"][1:] == [
        {"role": "assistant", "content": [use]},
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "a", "content": '{"sky": "Ä"}'},
                {"type": "tool_result", "tool_use_id": "b", "content": "x", "is_error": True},
                say("and?"),
            ],
        },
    ]
    assert body["tools"] == [{"name": "look", "input_schema": {"type": "object"}}]


def test_reasoning_goes_back_unchanged_and_first():
    ours = Reasoning(kind="anthropic", data=THOUGHT)
    other = Reasoning(kind="openai-responses", data={"type": "reasoning", "id": "r"})
    assistant = Message(role="assistant", content=(Text(text="a"), other, ours))
    assert body_of(USER, assistant)["messages"][1]["content"] == [THOUGHT, say("a")]


def test_reasoning_between_calls_keeps_its_place():
    ours = Reasoning(kind="anthropic", data=THOUGHT)
    assistant = Message(role="assistant", content=(ours, Text(text="a"), ours, Text(text="b")))
    assert body_of(USER, assistant)["messages"][1]["content"] == [THOUGHT, say("a"), THOUGHT, say("b")]


def test_blank_texts_are_left_out():
    body = body_of(Message.of("system", ""), USER, Message.of("assistant", " \n"), Message.of("user", "there?"))
    assert "system" not in body
    assert body["messages"] == [{"role": "user", "content": [say("hello"), say("there?")]}]


def test_an_image_is_refused_clearly():
    message = Message(role="user", content=(Text(text="see"), Media(type="image", media_type="image/png", data="AA")))
    with pytest.raises(ProviderError, match=r"text only.*image/png"):
        body_of(message)


def marks(body: dict[str, Any]) -> list[str]:
    blocks = [*body.get("system", ()), *(block for turn in body["messages"] for block in turn["content"])]
    return [block.get("text", block["type"]) for block in blocks if block.get("cache_control") == MARK]


EXAMPLES = (SYSTEM, Message.of("user", "q1"), Message.of("assistant", "a1"), USER)


@pytest.mark.parametrize(
    ("fixed", "marked"),
    [(0, []), (1, ["be terse"]), (2, ["be terse", "q1"]), (3, ["be terse", "a1"]), (99, ["be terse", "hello"])],
)
def test_the_ends_of_what_is_fixed_are_marked_for_the_cache(fixed, marked):
    assert marks(body_of(*EXAMPLES, fixed=fixed)) == marked


def test_a_mark_stands_at_its_message_even_where_turns_are_merged_and_never_on_thinking():
    thought = Message(role="assistant", content=(Text(text="a"), Reasoning(kind="anthropic", data=THOUGHT)))
    assert marks(body_of(USER, Message.of("user", "more"), fixed=1)) == ["hello"]
    assert marks(body_of(USER, thought, USER, fixed=2)) == ["a"]


# responses


@pytest.mark.parametrize(
    ("reason", "stop"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "refusal"),
    ],
)
def test_stop_reasons_are_ours(reason, stop):
    assert answered(reply(say("x"), stop=reason)).stop == stop


@pytest.mark.parametrize("reason", ["pause_turn", "sometime", None, "", 3, ["end_turn"]])
def test_an_answer_that_does_not_say_why_it_ended_is_an_error(reason):
    with pytest.raises(ServerFailure, match="cut off") as caught:
        answered(reply(say("half an ans"), stop=reason))
    assert caught.value.maybe_billed


@pytest.mark.parametrize("content", [None, "text", {"type": "text"}])
def test_an_answer_without_content_is_garbled(content):
    with pytest.raises(ServerFailure, match="garbled"):
        answered({**reply(), "content": content})


def test_blocks_become_parts():
    call = {"type": "tool_use", "id": "c", "name": "look", "input": {"city": "Bonn"}, "caller": {"type": "direct"}}
    hidden = {"type": "redacted_thinking", "data": "AAA"}
    completion = answered(reply(THOUGHT, hidden, say("so"), {"type": "new_thing"}, 7, call, stop="tool_use"))
    assert completion.message.content == (
        Reasoning(kind="anthropic", data=THOUGHT),
        Reasoning(kind="anthropic", data=hidden),
        Text(text="so"),
        ToolCall(id="c", name="look", arguments={"city": "Bonn"}),
    )
    assert (completion.model, completion.latency_s) == ("m-1", 1.0)


@pytest.mark.parametrize(
    ("block", "text"),
    [
        ({"name": "look", "input": '{"ci'}, 'look{"ci'),
        ({"name": "", "input": {"a": 1}}, '{"a": 1}'),
        ({"name": ["look"], "input": {}}, "{}"),
        ({"name": "look"}, "looknull"),
    ],
)
def test_a_call_that_nobody_can_make_is_text(block, text):
    completion = answered(reply({"type": "tool_use", "id": "c", **block}))
    assert completion.message.content == (Text(text=text),)


def test_an_error_with_status_200_is_the_servers_error():
    with pytest.raises(RateLimited, match="slow down"):
        answered({"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}})


def test_half_a_surrogate_pair_is_replaced():
    completion = answered(reply(say("a\ud83d"), {"type": "tool_use", "id": "c", "name": "n", "input": {"\udc00": "é"}}))
    assert completion.text == "a\ufffd"
    assert completion.message.tool_calls[0].arguments == {"\ufffd": "é"}


def test_input_is_the_sum_of_what_was_sent_read_and_written():
    told = {
        "input_tokens": 5,
        "cache_creation_input_tokens": 20,
        "cache_read_input_tokens": 300,
        "output_tokens": 7,
        "output_tokens_details": {"thinking_tokens": 4},
    }
    assert usage_of(told) == Usage(
        input_tokens=325, cached_tokens=300, written_tokens=20, output_tokens=7, reasoning_tokens=4
    )


def test_a_server_that_names_no_cache_has_none():
    told = {"input_tokens": 5, "output_tokens": 7, "cache_read_input_tokens": None}
    assert usage_of(told) == Usage(input_tokens=5, cached_tokens=0, written_tokens=0, output_tokens=7)


@pytest.mark.parametrize("usage", [None, 3, {}, {"input_tokens": "5"}, {"input_tokens": -1, "output_tokens": True}])
def test_usage_that_is_not_told_is_unknown(usage):
    assert usage_of(usage) == Usage()


@pytest.mark.parametrize("wrong", [-1, "2", 2.0, True, 10**30])
def test_a_cache_count_that_cannot_be_read_makes_the_sum_unknown(wrong):
    usage = usage_of({"input_tokens": 5, "cache_read_input_tokens": wrong, "output_tokens": 1})
    assert (usage.input_tokens, usage.cached_tokens, usage.written_tokens) == (None, None, 0)


@given(RESPONSES)
def test_any_response_is_a_completion_or_an_error_of_ours(response):
    try:
        completion = answered(response)
    except ProviderError:
        return
    Completion.model_validate_json(completion.model_dump_json())  # it can be stored
    usage = completion.usage
    assert all(number is None or number >= 0 for number in (usage.input_tokens, usage.output_tokens))
    if usage.input_tokens is not None:
        assert (usage.cached_tokens or 0) + (usage.written_tokens or 0) <= usage.input_tokens


def test_an_answer_nested_without_end_is_garbled():
    value: Any = "x"
    for _ in range(20_000):
        value = [value]
    with pytest.raises(ServerFailure, match="garbled"):
        answered(reply({"type": "tool_use", "id": "c", "name": "n", "input": {"a": value}}))


def test_a_requests_effort_goes_before_the_models():
    body = body_of(USER, options={"effort": "max"}, effort="low", thinking_tokens=30, max_output_tokens=100)
    assert (body["output_config"], body["max_tokens"]) == ({"effort": "low"}, 130)
    assert body_of(USER, any_json=True).keys() == body_of(USER).keys()  # the API has no such mode
