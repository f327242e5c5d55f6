from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillforge.errors import (
    ContextOverflow,
    KeyRejected,
    ProviderError,
    RateLimited,
    RequestRejected,
    ServerFailure,
)
from skillforge.messages import Completion, Cost, ToolCall, Usage
from skillforge.providers.wires.chat_response import ChatAnswer, completion_of


def put_together(*chunks: dict[str, Any]) -> Completion:
    return completion_of(chunks, model="m", cost=Cost(), latency_s=1.0)


def piece(delta: dict[str, Any], reason: str | None = None, **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": reason, **more}]}


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


def whole(message: Any = None, reason: Any = "stop", **more: Any) -> Completion:
    answer = ChatAnswer("acme:m")
    answer.add({"choices": [{"message": message or {"content": "x"}, "finish_reason": reason}], **more})
    return answer.completion(latency_s=0.5)


def test_a_whole_answer_is_read():
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 7,
        "total_tokens": 17,
        "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3},
        "completion_tokens_details": {"reasoning_tokens": 5},
    }
    completion = whole({"content": "hi", "reasoning_content": "hm", "reasoning": "hm"}, model="m-2026", usage=usage)
    assert (completion.text, completion.stop, completion.model) == ("hi", "stop", "m-2026")
    assert completion.latency_s == 0.5
    assert completion.usage == Usage(
        input_tokens=10, cached_tokens=4, written_tokens=3, output_tokens=7, reasoning_tokens=5
    )


@pytest.mark.parametrize("wrong", [None, "7", -1, 1.5, True, [], {}, 2**60])
def test_a_count_that_is_none_is_unknown(wrong):
    usage = {"prompt_tokens": wrong, "completion_tokens": wrong, "total_tokens": wrong}
    details = {"prompt_tokens_details": {"cached_tokens": wrong}, "completion_tokens_details": wrong}
    assert whole(usage=usage | details).usage == Usage()


def test_reasoning_that_stands_in_the_total_only_is_output():
    assert whole(usage={"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 30}).usage.output_tokens == 20


def test_more_cached_than_sent_is_no_count():
    usage = {"prompt_tokens": 10, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 11}}
    assert whole(usage=usage).usage.cached_tokens is None


def test_parallel_tool_calls_keep_their_order():
    def call(name: str, **more: Any) -> dict[str, Any]:
        return {"id": f"c-{name}", "type": "function", "function": {"name": name, "arguments": "{}"}, **more}

    calls = [ToolCall(id=f"c-{name}", name=name, arguments={}) for name in "ab"]
    assert list(whole({"tool_calls": [call("a"), call("b")]}, "stop").message.tool_calls) == calls
    both = put_together(
        piece({"tool_calls": [call("a", index=0)]}),
        piece({"tool_calls": [call("b", index=1)]}),
        piece({}, "tool_calls"),
    )
    assert list(both.message.tool_calls) == calls
    # servers that number every call 0 still name each one
    both = put_together(piece({"tool_calls": [call("a", index=0), call("b", index=0)]}, "tool_calls"))
    assert list(both.message.tool_calls) == calls


def test_tool_calls_decide_what_the_end_is_called():
    call = {"id": "c", "function": {"name": "look", "arguments": "{}"}}
    assert whole({"tool_calls": [call]}, "stop").stop == "tool_calls"
    assert whole({"content": "x"}, "tool_calls").stop == "stop"
    assert whole({"function_call": call["function"]}, "function_call").message.tool_calls[0].name == "look"


@pytest.mark.parametrize("arguments", ["[1]", "{", "NaN", '{"a": NaN}', '{"a": "\\ud800"}', "[" * 100_000])
def test_arguments_that_are_no_object_are_text(arguments):
    completion = whole({"tool_calls": [{"id": "c", "function": {"name": "look", "arguments": arguments}}]})
    assert completion.message.tool_calls == ()
    assert completion.text.startswith("look")


def test_a_refusal_is_its_text():
    completion = whole({"content": None, "refusal": "I cannot help with that."})
    assert (completion.stop, completion.text) == ("refusal", "I cannot help with that.")
    pieces = put_together(piece({"refusal": "I "}), piece({"refusal": "cannot."}), piece({}, "stop"))
    assert (pieces.stop, pieces.text) == ("refusal", "I cannot.")


@pytest.mark.parametrize(("reason", "stop"), [("length", "length"), ("content_filter", "content_filter")])
def test_finish_reasons_are_ours(reason, stop):
    assert whole(reason=reason).stop == stop


@pytest.mark.parametrize("reason", [None, "", "error", 3, ["stop"], {"stop": 1}])
def test_an_unknown_finish_reason_may_be_billed_and_asked_again(reason):
    with pytest.raises(ServerFailure, match="cut off") as caught:
        whole(reason=reason)
    assert caught.value.maybe_billed


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"message": "slow down", "type": "rate_limit_error"}, RateLimited),
        ({"message": "no", "code": 429}, RateLimited),
        ({"message": "too long", "code": "context_length_exceeded"}, ContextOverflow),
        ({"message": "bad", "type": "invalid_request_error"}, RequestRejected),
        ({"message": "pay", "code": "insufficient_quota"}, KeyRejected),
        ({"message": "failed to parse grammar"}, RequestRejected),
        ("boom", ServerFailure),
        (["boom"], ServerFailure),
    ],
)
def test_an_error_in_the_place_of_an_answer_says_its_kind(error, kind):
    with pytest.raises(kind):
        put_together(piece({"content": "half"}), {"error": error})


def test_a_lone_surrogate_becomes_a_question_mark():
    assert whole(json.loads('{"content": "a\\ud83d"}')).text == "a?"


def test_content_parts_are_joined():
    content = [{"type": "thinking", "thinking": [{"text": "no"}]}, {"type": "text", "text": "yes"}, 7]
    assert whole({"content": content}).text == "yes"


def test_logprobs_that_are_no_numbers_are_left_out():
    found = [{"token": "a", "logprob": -0.5}, {"token": "b", "logprob": "x"}, 3, {"token": "c", "logprob": -(10**400)}]
    answer = ChatAnswer("m")
    answer.add({"choices": [{"message": {"content": "a"}, "finish_reason": "stop", "logprobs": {"content": found}}]})
    logprobs = answer.completion(latency_s=0.1).logprobs
    assert logprobs is not None
    assert [(item.token, item.logprob) for item in logprobs] == [("a", -0.5)]


KEYS = st.sampled_from(
    [
        "choices",
        "message",
        "delta",
        "content",
        "finish_reason",
        "tool_calls",
        "function",
        "function_call",
        "name",
        "id",
        "arguments",
        "usage",
        "error",
        "prompt_tokens",
        "prompt_tokens_details",
        "logprobs",
        "logprob",
        "refusal",
        "model",
        "index",
        "type",
        "code",
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["stop", "{}"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=25,
)


@given(st.lists(st.dictionaries(KEYS, VALUES, max_size=6), max_size=3), VALUES, st.booleans())
def test_any_json_is_an_answer_or_an_error_of_ours(chunks, choice, ends):
    chunks += [{"choices": [choice]}]
    chunks += [{"choices": [{"message": choice, "finish_reason": "stop"}]}] if ends else []
    try:
        completion = put_together(*chunks)
    except ProviderError as error:
        str(error).encode()
    else:
        completion.model_dump_json().encode()


def test_the_likeliest_tokens_come_with_theirs_and_what_is_none_is_left_out():
    top = [{"token": "a", "logprob": -0.5}, {"token": "b", "logprob": None}, "x", {"token": "c", "logprob": -2}]
    found = [{"token": "a", "logprob": -0.5, "top_logprobs": top}, {"token": "d", "logprob": -1, "top_logprobs": 3}]
    answer = ChatAnswer("m")
    answer.add({"choices": [{"message": {"content": "ad"}, "finish_reason": "stop", "logprobs": {"content": found}}]})
    logprobs = answer.completion(latency_s=0.1).logprobs
    assert logprobs is not None
    assert [item.top for item in logprobs] == [(("a", -0.5), ("c", -2.0)), ()]
