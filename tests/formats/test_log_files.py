"""Log files of every known format, shaped like the real ones, read as calls."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from anthropic.types.messages import MessageBatchIndividualResponse

from skillforge.call import Call
from skillforge.errors import NotFound, UsageError
from skillforge.formats.logs import Broken, read_logs
from skillforge.messages import Cost, Message, ToolCall, Usage

USAGE = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}


def chat_request(text: str = "hello", **more: Any) -> dict[str, Any]:
    messages = [{"role": "system", "content": "You route tickets."}, {"role": "user", "content": text}]
    return {"model": "gpt-6-luna", "messages": messages, **more}


def chat_response(text: str = "billing") -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_759_309_200,
        "model": "gpt-6-luna-2026-05-01",
        "choices": [choice],
        "usage": USAGE,
    }


def message(text: str = "billing") -> dict[str, Any]:
    return {
        "id": "msg_01",
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-5-5",
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 100, "output_tokens": 10},
    }


def litellm(**changes: Any) -> dict[str, Any]:
    return {
        "id": "chatcmpl-7f3a9c21d4",
        "trace_id": "trace-1",
        "call_type": "acompletion",
        "stream": False,
        "response_cost": 0.0014,
        "status": "success",
        "custom_llm_provider": "anthropic",
        "total_tokens": 190,
        "prompt_tokens": 150,
        "completion_tokens": 40,
        "startTime": 1_759_309_200.0,
        "endTime": 1_759_309_201.5,
        "model": "anthropic/claude-haiku-5-5",
        "model_group": "support-bot",
        "api_base": "https://api.anthropic.com/v1/messages",
        "metadata": {"user_api_key_team_alias": "support", "user_api_key_hash": "0" * 64},
        "cache_hit": False,
        "request_tags": ["task:classify", "beta"],
        "end_user": "customer-9",
        "messages": chat_request()["messages"],
        "response": {
            **chat_response(),
            "usage": {**USAGE, "prompt_tokens_details": {"cached_tokens": 50}, "cache_creation_input_tokens": 20},
        },
        "model_parameters": {"max_tokens": 64, "tools": []},
        "error_str": None,
        "hidden_params": {},
        **changes,
    }


def observation(**changes: Any) -> dict[str, Any]:
    """As the v2 API and the JSON export of Langfuse write it."""
    return {
        "id": "support-chat-7-950dc53a-gen",
        "traceId": "support-chat-7",
        "startTime": "2025-12-17T16:09:00.875Z",
        "endTime": "2025-12-17T16:09:01.456Z",
        "type": "GENERATION",
        "name": "classify",
        "level": "DEFAULT",
        "statusMessage": "",
        "environment": "production",
        "input": json.dumps({"messages": chat_request()["messages"]}),
        "output": json.dumps({"role": "assistant", "content": "billing"}),
        "providedModelName": "gpt-6-luna",
        "modelParameters": {"temperature": 0.2},
        "usageDetails": {"input": 98, "output": 68, "total": 166},
        "costDetails": {"input": 0.00049, "output": 0.00204, "total": 0.00253},
        "totalCost": 0.00253,
        "latency": 0.581,
        "userId": "u-1",
        "sessionId": "s-1",
        "tags": ["chat", "tier:gold"],
        **changes,
    }


def blob(**changes: Any) -> dict[str, Any]:
    """As Langfuse's blob storage export writes it."""
    return {
        "id": "3f1c2b9a8d7e6f50",
        "trace_id": "trace-2",
        "type": "GENERATION",
        "parent_observation_id": "",
        "start_time": "2024-05-29 13:46:19.963000",
        "end_time": "2024-05-29 13:46:21.963000",
        "name": "classify",
        "level": "DEFAULT",
        "status_message": "",
        "input": json.dumps(chat_request()["messages"]),
        "output": "billing",
        "provided_model_name": "gpt-6-luna",
        "model_parameters": '{"temperature":"0.7"}',
        "usage_details": {
            "input": 60,
            "input_cached_tokens": 40,
            "output": 8,
            "output_reasoning_tokens": 2,
            "total": 110,
        },
        "total_cost": 0,
        "user_id": "",
        "session_id": "",
        "tool_definitions": {"weather": '{"description": "Looks.", "parameters": {"type": "object"}}'},
        "tags": [],
        **changes,
    }


Write = Any


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def lines(name: str, *rows: Any) -> Path:
        path = tmp_path / name
        path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
        return path

    return lines


def calls(*paths: Path) -> list[Call]:
    found = list(read_logs(paths))
    assert all(isinstance(item, Call) for item in found), found
    return found  # type: ignore[return-value]


def test_a_raw_pair_is_read_with_everything_around_it(write: Write):
    record = {
        "id": "2f9d7a60-11aa-4bcd-9e55-000000000001",
        "timestamp": 1_759_309_200,
        "workload_id": "triage",
        "client_id": "prod",
        "request": chat_request(temperature=0),
        "response": chat_response(),
        "latency_ms": 250,
        "conversation": "conv-1",
        "user_id": "u-1",
        "tags": {"app": "support", "beta": True},
        "base_url": "https://user:pw@gateway.example.org:8443/v1/?key=x",
    }
    (call,) = calls(write("log.jsonl", record))
    assert call.id == record["id"]
    assert (call.api, call.model, call.server) == ("openai-chat", "gpt-6-luna", "https://gateway.example.org:8443/v1")
    assert (call.at, call.latency_s) == ("2025-10-01T09:00:00.000Z", 0.25)
    assert (call.conversation, call.subject) == ("conv-1", "u-1")
    assert call.tags == {"workload": "triage", "client": "prod", "app": "support", "beta": "true"}
    assert (call.system, call.text, call.params) == ("You route tickets.", "billing", {"temperature": 0})


def test_pairs_of_every_api_stand_in_one_file(write: Write):
    anthropic = {"model": "claude-haiku-5-5", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    response = {"object": "response", "status": "completed", "model": "m", "output": []}
    path = write(
        "log.jsonl",
        {"request": chat_request(), "response": chat_response()},
        {"request": anthropic, "response": message()},
        {"request": {"model": "m", "input": "hi"}, "response": response},
        {"request": {"url": "https://api.openai.com/v1/chat/completions", "body": json.dumps(chat_request("x"))},
         "response": {"status": 200, "body": json.dumps(chat_response())}},
    )  # fmt: skip
    found = calls(path)
    assert [call.api for call in found] == ["openai-chat", "anthropic", "openai-responses", "openai-chat"]
    assert found[3].server == "https://api.openai.com/v1"
    assert len({call.id for call in found}) == 4


def test_a_streamed_response_is_put_together_and_a_cut_one_is_an_error(write: Write):
    chunk = {"object": "chat.completion.chunk", "model": "m", "choices": [{"index": 0, "delta": {"content": "bill"}}]}
    end = {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    stream = f"data: {json.dumps(chunk)}\n\ndata: {json.dumps(end)}\n\ndata: [DONE]\n\n"
    cut = f"data: {json.dumps(chunk)}\n\n"
    path = write("log.jsonl", *({"request": chat_request(), "response": told} for told in (stream, cut)))
    whole, broken = calls(path)
    assert (whole.text, whole.stop, whole.error) == ("bill", "stop", "")
    assert (broken.text, broken.stop, broken.error) == ("bill", "", "the stream was cut off")


def test_a_failed_pair_says_why(write: Write):
    path = write(
        "log.jsonl",
        {"request": chat_request(), "error": {"type": "rate_limit", "message": "slow down"}},
        {"request": chat_request(), "response": None},
    )
    assert [call.error for call in calls(path)] == ["rate_limit: slow down", "no response was recorded"]


def test_an_id_is_the_records_own_or_a_digest_of_its_line(write: Write):
    pair = {"request": chat_request(), "response": chat_response()}
    path = write("log.jsonl", pair, {**pair, "id": 7}, {**pair, "id": "row-0000000000000001"})
    first, second, third = calls(path)
    assert third.id == "row-0000000000000001"
    assert len({first.id, second.id}) == 2  # 7 is a row's number: other files have it too
    assert [call.id for call in calls(write("copy.jsonl", pair))] == [first.id]


def batch_line(number: int, text: str) -> dict[str, Any]:
    return {"custom_id": f"r{number}", "method": "POST", "url": "/v1/chat/completions", "body": chat_request(text)}


def batch_answer(number: int, text: str) -> dict[str, Any]:
    response = {"status_code": 200, "request_id": "req", "body": chat_response(text)}
    return {"id": f"batch_req_{number:016}", "custom_id": f"r{number}", "response": response, "error": None}


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_an_openai_batch_is_joined_whatever_the_order_of_its_files(write: Write, order: tuple[int, ...]):
    sent = write("in.jsonl", *(batch_line(number, f"ticket {number}") for number in range(4)))
    answered = write("out.jsonl", batch_answer(2, "two"), batch_answer(0, "zero"))
    expired = {"id": "batch_req_x_expired", "custom_id": "r1", "response": None, "error": {"code": "batch_expired", "message": "late"}}  # fmt: skip  # noqa: E501
    refused = {"id": "batch_req_x_refused", "custom_id": "r3", "error": None,
               "response": {"status_code": 400, "body": {"error": {"type": "invalid", "message": "no"}}}}  # fmt: skip
    failed = write("err.jsonl", expired, refused)
    files = (sent, answered, failed)
    found = calls(*(files[number] for number in order))
    assert [(call.messages[0].text, call.text, call.error) for call in found] == [
        ("ticket 0", "zero", ""),
        ("ticket 1", "", "batch_expired: late"),
        ("ticket 2", "two", ""),
        ("ticket 3", "", "invalid: no"),
    ]
    assert found[0].id == "batch_req_0000000000000000"
    assert found[0].params == {"service_tier": "batch"}


def test_an_anthropic_batch_is_joined(write: Write):
    params = {"model": "claude-haiku-5-5", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    results = [
        {"custom_id": "a", "result": {"type": "succeeded", "message": message("yes")}},
        {"custom_id": "b", "result": {"type": "errored", "error": {"type": "error", "request_id": "r",
            "error": {"type": "invalid_request_error", "message": "no"}}}},
        {"custom_id": "c", "result": {"type": "expired"}},
    ]  # fmt: skip
    for result in results:
        MessageBatchIndividualResponse.model_validate(result)
    body = {"requests": [{"custom_id": name, "params": params} for name in "abc"]}
    path = write("requests.json", json.dumps(body, indent=2))
    found = calls(path, write("results.jsonl", *results))
    assert [(call.api, call.text, call.error) for call in found] == [
        ("anthropic", "yes", ""),
        ("anthropic", "", "errored: invalid_request_error: no"),
        ("anthropic", "", "expired"),
    ]


def test_a_batch_without_its_other_half_is_put_aside_with_what_is_missing(write: Write):
    sent = write("in.jsonl", batch_line(0, "x"))
    answered = write("out.jsonl", batch_answer(1, "y"), batch_answer(2, "y"), batch_answer(2, "z"))
    found = list(read_logs([sent, answered]))
    reasons = {item.reason.split(":")[0] for item in found if isinstance(item, Broken)}
    assert len(found) == 4
    assert reasons == {
        "the custom_id r2 stands in two answers",
        "no answer to this request",
        "no request of this custom_id",
    }


def test_embeddings_in_a_batch_are_no_calls(write: Write):
    line = {"custom_id": "a", "method": "POST", "url": "/v1/embeddings", "body": {"model": "e", "input": "x"}}
    assert list(read_logs([write("in.jsonl", line)])) == [None]


def test_litellms_payload_is_read_whole(write: Write):
    (call,) = calls(write("log.jsonl", litellm()))
    assert call.id == "chatcmpl-7f3a9c21d4"
    assert (call.api, call.model, call.server) == ("openai-chat", "claude-haiku-5-5", "https://api.anthropic.com")
    assert (call.at, call.latency_s) == ("2025-10-01T09:00:00.000Z", 1.5)
    assert (call.conversation, call.subject) == ("trace-1", "customer-9")
    assert call.tags == {"team": "support", "task": "classify", "beta": "true"}
    assert call.usage == Usage(input_tokens=100, cached_tokens=50, written_tokens=20, output_tokens=10)
    assert call.cost == Cost(usd=0.0014, basis="litellm")
    assert call.params == {"max_tokens": 64}


def test_litellms_other_shapes(write: Write):
    failed = litellm(status="failure", response=None, response_cost=0, error_str="boom",
                     error_information={"error_class": "RateLimitError", "error_message": "slow"})  # fmt: skip
    path = write(
        "log.json",
        json.dumps(
            [
                failed,
                litellm(messages="just a text", response="plain answer", api_base=""),
                litellm(call_type="aembedding"),
                {"standard_logging_object": litellm(call_type="anthropic_messages", response=message())},
                litellm(call_type="aresponses", messages="ask", response={"object": "response", "status": "completed", "output": []}),  # noqa: E501
            ],
            indent=1,
        ),
    )  # fmt: skip
    found = list(read_logs([path]))
    assert found[2] is None
    error, plain, claude, responses = (item for item in found if isinstance(item, Call))
    assert (error.output, error.error, error.cost.usd) == (None, "RateLimitError: slow", None)
    assert (plain.messages, plain.text) == ((Message.of("user", "just a text"),), "plain answer")
    assert plain.server == "https://api.anthropic.com"
    assert plain.usage == Usage(input_tokens=150, output_tokens=40)
    assert (claude.api, claude.stop) == ("anthropic", "stop")
    assert (responses.api, responses.messages) == ("openai-responses", (Message.of("user", "ask"),))


def test_a_langfuse_observation_is_read_whole(write: Write):
    (call,) = calls(write("log.jsonl", observation()))
    assert (call.id, call.model, call.text) == ("support-chat-7-950dc53a-gen", "gpt-6-luna", "billing")
    assert (call.system, call.messages) == ("You route tickets.", (Message.of("user", "hello"),))
    assert (call.at, call.latency_s) == ("2025-12-17T16:09:00.875Z", 0.581)
    assert (call.conversation, call.subject, call.params) == ("s-1", "u-1", {"temperature": 0.2})
    assert call.tags == {"name": "classify", "environment": "production", "chat": "true", "tier": "gold"}
    assert (call.usage, call.cost.usd) == (Usage(input_tokens=98, output_tokens=68), 0.00253)


def test_a_langfuse_blob_export_counts_cached_tokens_apart(write: Write):
    (call,) = calls(write("log.jsonl", blob()))
    assert (call.at, call.latency_s) == ("2024-05-29T13:46:19.963Z", 2.0)
    assert call.usage == Usage(input_tokens=100, cached_tokens=40, output_tokens=10, reasoning_tokens=2)
    assert (call.params, call.conversation, call.cost.usd) == ({"temperature": 0.7}, "trace-2", None)
    assert [(tool.name, tool.description) for tool in call.tools] == [("weather", "Looks.")]
    inside = {"input": 100, "input_cached_tokens": 40, "output": 10, "total": 110}
    (call,) = calls(write("log.jsonl", blob(usage_details=inside)))
    assert call.usage == Usage(input_tokens=100, cached_tokens=40, output_tokens=10)


@pytest.mark.parametrize(
    ("output", "text"),
    [
        ("plain", "plain"),
        ('{"queue": "billing"}', '{"queue": "billing"}'),
        ({"queue": "billing"}, '{"queue": "billing"}'),
        ([{"role": "assistant", "content": "listed"}], "listed"),
        ({"completion": "old"}, "old"),
        (json.dumps(chat_response("full")), "full"),
        (message("claude"), "claude"),
        ([{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "items"}]}], "items"),
    ],
)
def test_langfuse_outputs_of_every_shape(write: Write, output: Any, text: str):
    (call,) = calls(write("log.jsonl", observation(output=output)))
    assert call.text == text


def test_langfuse_inputs_of_every_shape(write: Write):
    said = [{"role": "assistant", "content": "", "tool_calls": [{"id": "c", "name": "f", "args": {"a": 1}}]}]
    inputs = ["a text", {"role": "user", "content": "a text"}, {"ticket": "x"}, said, None]
    found = calls(
        write("log.jsonl", *(observation(input=value, id=f"generation-{n:08}") for n, value in enumerate(inputs)))
    )
    assert [call.messages[0].text if call.messages else None for call in found] == [
        "a text",
        "a text",
        '{"ticket": "x"}',
        "",
        None,
    ]
    assert found[3].messages[0].tool_calls == (ToolCall(id="c", name="f", arguments={"a": 1}),)


def test_langfuse_spans_are_no_calls_and_errors_say_why(write: Write):
    path = write("page.json", json.dumps({"data": [
        observation(type="SPAN"),
        observation(output=None, level="ERROR", statusMessage="timeout"),
    ], "meta": {}}))  # fmt: skip
    skipped, failed = read_logs([path])
    assert skipped is None
    assert isinstance(failed, Call)
    assert (failed.output, failed.error) == (None, "timeout")


def test_pages_one_a_line_are_all_read(write: Write):
    page = {"data": [observation(), observation(id="another-generation-1")], "meta": {}}
    assert len(calls(write("pages.jsonl", page, {"data": [observation(id="another-generation-2")]}))) == 3


def test_an_unknown_format_names_what_was_seen_and_what_is_known(write: Write):
    with pytest.raises(UsageError, match=r"of no known format \(its records hold: alpha, be\?ta\)") as failure:
        list(read_logs([write("log.jsonl", {"alpha": 1}, {"be\x1bta": 2})]))
    for word in ("{request, response}", "OpenAI batch", "Anthropic batch", "LiteLLM", "Langfuse"):
        assert word in failure.value.hint


def test_nothing_is_read_where_one_of_the_files_is_wrong(write: Write, tmp_path: Path):
    good = write("good.jsonl", litellm())
    with pytest.raises(NotFound):
        next(iter(read_logs([good, tmp_path / "missing"])))


def test_broken_records_among_good_ones_keep_their_line_and_reason(write: Write):
    pair = {"request": chat_request(), "response": chat_response()}
    path = write("log.jsonl", pair, '{"request": {"model', {"odd": 1}, {**pair, "request": 7}, [1], pair)
    found = list(read_logs([path]))
    assert [isinstance(item, Call) for item in found] == [True, False, False, False, False, True]
    broken = [item for item in found if isinstance(item, Broken)]
    assert [item.line for item in broken] == [2, 3, 4, 5]
    assert broken[0].reason.startswith("not JSON at character")
    assert [item.reason for item in broken[1:]] == [
        "of no known format",
        "the request is no object",
        "the record is no object",
    ]
    assert broken[0].text == '{"request": {"model'


FORMS: dict[str, list[Any]] = {
    "pairs": [{"request": chat_request(f"t {n}"), "response": chat_response()} for n in range(3)],
    "litellm": [litellm(id=f"chatcmpl-{n:012}") for n in range(3)],
    "langfuse": [observation(id=f"generation-{n:08}") for n in range(3)],
}


@pytest.mark.parametrize("array", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_a_log_cut_at_any_byte_loses_only_the_cut_record(tmp_path: Path, form: str, array: bool):
    rows = FORMS[form]
    data = json.dumps(rows) if array else "".join(json.dumps(row) + "\n" for row in rows)
    path = tmp_path / "log"
    path.write_text(data)
    expected = calls(path)
    ends = [call.id for call in expected]
    for size in range(1, len(data), 29):
        path.write_text(data[:size])
        found = list(read_logs([path]))
        whole = [item.id for item in found if isinstance(item, Call)]
        assert whole == ends[: len(whole)]
        assert len(found) - len(whole) <= 1
        assert len(whole) >= data[:size].count("\n") - array


@pytest.mark.parametrize("usd", [-0.5, 1e308, "-1", 100_001])
@pytest.mark.parametrize("key", ["response_cost", "totalCost", "cost"])
def test_a_cost_that_no_call_can_have_is_unknown(tmp_path: Path, key: str, usd: object):
    langfuse = {"type": "GENERATION", "traceId": "t", "model": "m", "input": "hello", "output": "hi"}
    rows = {
        "response_cost": litellm(),
        "totalCost": langfuse,
        "cost": {"request": chat_request(), "response": message()},
    }
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps({**rows[key], key: usd}))
    (call,) = read_logs([path])
    assert isinstance(call, Call)
    assert call.cost == Cost()
