from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillforge.endpoints import ModelOptions
from skillforge.errors import (
    ContextOverflow,
    ProviderError,
    RateLimited,
    RequestRejected,
    ServerFailure,
)
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
from skillforge.providers.wires.responses_format import completion_of_response, cut_at, final_response, responses_body
from skillforge.providers.wires.wire import Address, Dialect

TOOL = Tool(name="look", parameters={"type": "object"})
THOUGHT = {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "gAAA"}


def body(*messages: Message, dialect: Dialect | None = None, options: ModelOptions | None = None, **more: Any) -> Any:
    stream = more.pop("stream", False)
    request = Request(
        messages=messages or (Message.of("user", "hi"),),
        key=RequestKey(role="run", task="t", input={}),
        max_output_tokens=50,
        **more,
    )
    address = Address("acme:m", "openai-responses", "http://127.0.0.1:1/v1", "m", options or ModelOptions())
    return responses_body(request, address, dialect or Dialect(), stream=stream)


def response(*output: Any, status: Any = "completed", **more: Any) -> dict[str, Any]:
    return {"object": "response", "model": "m-2026", "status": status, "output": list(output), **more}


def said(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text, **more}]}


def call(name: str, arguments: str = "{}") -> dict[str, Any]:
    return {"type": "function_call", "id": f"fc_{name}", "call_id": f"c_{name}", "name": name, "arguments": arguments}


def read(answer: Any) -> Completion:
    return completion_of_response(answer, name="acme:m", latency_s=0.5)


def test_the_system_message_is_the_instructions():
    sent = body(Message.of("system", "be terse"), Message.of("user", "hi"), Message.of("system", "now"))
    assert sent["instructions"] == "be terse"
    assert [item["role"] for item in sent["input"]] == ["user", "system"]
    assert "instructions" not in body()


def test_nothing_is_stored_at_the_provider():
    assert body()["store"] is False


def test_a_turn_keeps_the_order_of_its_parts():
    turn = Message(
        role="assistant",
        content=(
            Reasoning(kind="openai-responses", data=THOUGHT),
            Reasoning(kind="anthropic", data={"type": "thinking"}),
            Text(text="I "),
            Text(text="look."),
            ToolCall(id="a", name="look", arguments={"city": "Köln"}),
        ),
    )
    results = (ToolResult(id="a", content={"sky": "blue"}), ToolResult(id="b", content="down", is_error=True))
    sent = body(Message.of("user", "weather?"), turn, Message(role="tool", content=results), tools=(TOOL,))
    assert sent["input"][1:] == [
        THOUGHT,
        {
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "I look.", "annotations": []}],
            "id": "msg_2",
        },
        {"type": "function_call", "call_id": "a", "name": "look", "arguments": '{"city": "Köln"}'},
        {"type": "function_call_output", "call_id": "a", "output": '{"sky": "blue"}'},
        {"type": "function_call_output", "call_id": "b", "output": "error: down"},
    ]
    assert sent["tools"][0]["strict"] is False
    assert sent["include"] == ["reasoning.encrypted_content"]


def test_reasoning_goes_back_as_it_came():
    completion = read(response({**THOUGHT, "status": "completed"}, call("look")))
    assert completion.message.content[0] == Reasoning(kind="openai-responses", data=THOUGHT)
    assert body(completion.message)["input"][0] == THOUGHT
    assert read(response({"type": "reasoning", "id": "rs_1", "summary": []}, said("x"))).text == "x"


def test_an_image_is_refused_clearly():
    with pytest.raises(RequestRejected, match="text only"):
        body(Message(role="user", content=(Media(type="image", media_type="image/png", data="AA"),)))


def test_what_a_server_refused_is_left_out():
    schema = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    options = ModelOptions(effort="low", thinking_tokens=100, temperature=1)
    sent = body(options=options, output_schema=schema, logprobs=True, stream=True)
    assert sent["max_output_tokens"] == 150
    assert sent["reasoning"] == {"effort": "low"}
    assert sent["temperature"] == 1
    assert sent["text"]["format"] == {"type": "json_schema", "name": "output", "schema": schema, "strict": True}
    assert (sent["include"], sent["top_logprobs"]) == (["message.output_text.logprobs"], 20)
    assert sent["stream"] is True
    refused = Dialect(schema=False, temperature=False, logprobs=False, effort=False)
    sent = body(options=options, dialect=refused, output_schema=schema, logprobs=True, tools=(TOOL,))
    assert set(sent) == {"model", "instructions", "input", "max_output_tokens", "store", "tools"}


def test_a_whole_answer_is_read():
    usage = {
        "input_tokens": 10,
        "output_tokens": 7,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
        "output_tokens_details": {"reasoning_tokens": 5},
    }
    told = [{"token": "hi", "logprob": -0.1, "top_logprobs": [{"token": "ho", "logprob": -3}]}]
    answer = response(said("hi", logprobs=told), usage=usage)
    completion = read(answer)
    assert (completion.text, completion.stop, completion.model) == ("hi", "stop", "m-2026")
    assert completion.usage == Usage(
        input_tokens=10, cached_tokens=4, written_tokens=2, output_tokens=7, reasoning_tokens=5
    )
    assert completion.logprobs is not None
    assert (completion.logprobs[0].logprob, completion.logprobs[0].top) == (-0.1, (("ho", -3.0),))


def test_parallel_calls_are_read():
    completion = read(response(call("a"), call("b", '{"x": 1}')))
    assert completion.stop == "tool_calls"
    assert [(made.id, made.arguments) for made in completion.message.tool_calls] == [("c_a", {}), ("c_b", {"x": 1})]


def test_a_refusal_is_its_text():
    refusal = {"type": "message", "content": [{"type": "refusal", "refusal": "I cannot."}]}
    assert (read(response(refusal)).stop, read(response(refusal)).text) == ("refusal", "I cannot.")


@pytest.mark.parametrize(("reason", "stop"), [("max_output_tokens", "length"), ("content_filter", "content_filter")])
def test_an_incomplete_answer_says_why(reason, stop):
    completion = read(response(said("ha"), status="incomplete", incomplete_details={"reason": reason}))
    assert (completion.stop, completion.text) == (stop, "ha")


@pytest.mark.parametrize(
    "answer",
    [
        {},
        [],
        None,
        response(status=None),
        response(status=["completed"]),
        response(status="in_progress"),
        response(status="cancelled"),
        response(status="failed"),
        response(status="incomplete"),
        response(status="incomplete", incomplete_details={"reason": "new"}),
    ],
)
def test_an_answer_that_is_not_whole_may_be_billed_and_asked_again(answer):
    with pytest.raises(ServerFailure) as caught:
        read(answer)
    assert caught.value.maybe_billed


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("server_error", ServerFailure),
        ("rate_limit_exceeded", RateLimited),
        ("invalid_prompt", RequestRejected),
        ("bio_policy", RequestRejected),
        ("context_length_exceeded", ContextOverflow),
        ("image_parse_error", RequestRejected),
    ],
)
def test_a_failed_answer_is_an_error_of_its_kind(code, kind):
    with pytest.raises(kind, match="no luck"):
        read(response(status="failed", error={"code": code, "message": "no luck"}))


@pytest.mark.parametrize(("tokens", "stop"), [(50, "length"), (51, "length"), (49, "stop"), (None, "stop")])
def test_an_answer_called_completed_at_its_limit_was_cut_off(tokens, stop):
    completion = read(response(said("and then"), usage={"input_tokens": 5, "output_tokens": tokens}))
    assert cut_at(50, completion).stop == stop


def test_calls_at_the_limit_are_calls():
    completion = read(response(call("look"), usage={"input_tokens": 5, "output_tokens": 50}))
    assert cut_at(50, completion).stop == "tool_calls"


def test_only_the_last_event_holds_the_answer():
    assert final_response({"type": "response.output_text.delta", "delta": "x"}, name="m") is None
    whole = response(said("x"))
    assert final_response({"type": "response.completed", "response": whole}, name="m") == whole
    for event in ({"type": "error", "code": "server_error", "message": "no luck"}, {"error": {"message": "no luck"}}):
        with pytest.raises(ServerFailure, match="no luck"):
            final_response(event, name="m")


KEYS = st.sampled_from(
    [
        "type",
        "output",
        "content",
        "text",
        "refusal",
        "arguments",
        "call_id",
        "id",
        "name",
        "summary",
        "usage",
        "error",
        "encrypted_content",
        "input_tokens",
        "logprobs",
        "token",
        "logprob",
        "model",
        "incomplete_details",
        "reason",
    ]
)
WORDS = st.sampled_from(
    ["message", "reasoning", "function_call", "refusal", "output_text", "error", "response.completed"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=25,
)


@given(st.dictionaries(KEYS, VALUES, max_size=8), st.sampled_from(["completed", "failed", None]))
def test_any_json_is_an_answer_or_an_error_of_ours(answer, status):
    try:
        final_response(answer, name="m")
        completion = read({**answer, "status": status})
    except ProviderError as error:
        str(error).encode()
    else:
        completion.model_dump_json().encode()


def test_any_json_is_asked_for_where_the_server_knows_such_a_mode():
    assert body(any_json=True)["text"] == {"format": {"type": "json_object"}}
    assert "text" not in body(any_json=True, dialect=Dialect(schema=False))


def test_a_requests_effort_goes_before_the_models():
    sent = body(options=ModelOptions(effort="high"), effort="low", thinking_tokens=10)
    assert (sent["reasoning"]["effort"], sent["max_output_tokens"]) == ("low", 60)
