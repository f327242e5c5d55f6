"""The fake server is trusted by many tests: the real SDKs parse what it says, a raw socket sees each fault."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from anthropic.types import Message, RawMessageStreamEvent
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from tests.fakes.faults import Fault, every, refuse, seeded, sequence
from tests.fakes.llm_server import Answer, LLMServer, Tokens

ROOT = Path(__file__).parents[2]
ASK: dict[str, Any] = {"model": "small", "messages": [{"role": "user", "content": "twelve chars"}]}
PATHS = {"chat": "/v1/chat/completions", "responses": "/v1/responses", "messages": "/v1/messages"}
WHOLE: dict[str, Any] = {"chat": ChatCompletion, "responses": Response, "messages": Message}
EVENT: dict[str, Any] = {
    "chat": TypeAdapter(ChatCompletionChunk),
    "responses": TypeAdapter(ResponseStreamEvent),
    "messages": TypeAdapter(RawMessageStreamEvent),
}
RICH = [
    Answer("Grüße, a text of some length", thinking="let me think it over", logprobs=True),
    Answer("", tool_calls=[("call_1", "find", {"query": "a b c d e f"}), ("call_2", "stop", {})]),
    Answer("cut", stop="length", usage=Tokens(100, 7, cached=60, cache_write=20, reasoning=3)),
    Answer(refusal="I will not do that"),
]


@pytest.fixture
def chat() -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key="k", base_url="http://127.0.0.1:1/v1", max_retries=0, timeout=5) as client:
        yield client


@pytest.fixture
def claude() -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(api_key="k", base_url="http://127.0.0.1:1", max_retries=0, timeout=5) as client:
        yield client


def body_for(api: str, **more: Any) -> dict[str, Any]:
    asked = {"model": "small", "input": "twelve chars"} if api == "responses" else ASK
    return {**asked, "logprobs": True, "include": ["message.output_text.logprobs"], **more}


def post(server: LLMServer, path: str, body: Any) -> tuple[int, dict[str, str], bytes]:
    link = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=5)
    try:
        link.request("POST", path, json.dumps(body))
        reply = link.getresponse()
        return reply.status, {key.lower(): value for key, value in reply.getheaders()}, reply.read()
    finally:
        link.close()


def raw(server: LLMServer, path: str = PATHS["chat"], *, timeout: float = 5, **more: Any) -> tuple[bytes, str]:
    """All bytes that come back, and how it ended: "closed", "reset" or "silent" (keep-alive or a stall)."""
    data = json.dumps({**ASK, "input": "x", **more}).encode()
    got = b""
    with socket.create_connection(("127.0.0.1", int(server.url.rsplit(":", 1)[1])), timeout=timeout) as link:
        link.sendall(b"POST %b HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (path.encode(), len(data), data))
        try:
            while block := link.recv(65_536):
                got += block
        except ConnectionResetError:
            return got, "reset"
        except TimeoutError:
            return got, "silent"
    return got, "closed"


def events(body: bytes) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in body.decode().splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


@pytest.mark.parametrize("api", PATHS)
@pytest.mark.parametrize("answer", RICH, ids=["text", "tools", "length", "refusal"])
def test_answers_and_events_are_valid_for_the_sdks_own_types(api: str, answer: Answer) -> None:
    with LLMServer(lambda body: answer) as server:
        status, headers, whole = post(server, PATHS[api], body_for(api))
        assert (status, headers["content-type"]) == (200, "application/json")
        WHOLE[api].model_validate_json(whole)
        streamed = body_for(api, stream=True, stream_options={"include_usage": True})
        status, headers, stream = post(server, PATHS[api], streamed)
        assert headers["content-type"].startswith("text/event-stream")
        seen = events(stream)
        for event in seen:
            if event.get("type") != "ping":
                EVENT[api].validate_python(event)
        assert (b"[DONE]" in stream) == (api == "chat")


def test_chat_completions_through_the_sdk(chat: openai.OpenAI) -> None:
    tools = [("c1", "find", {"q": "a longer question"})]
    answers = iter(
        [RICH[0], Answer("", tool_calls=tools), RICH[2], *[Answer("streamed words, more", tool_calls=tools)]]
    )
    with LLMServer(lambda body: next(answers)) as server:
        chat = chat.with_options(base_url=f"{server.url}/v1")
        first = chat.chat.completions.create(**ASK, logprobs=True)
        assert first.choices[0].message.content == "Grüße, a text of some length"
        assert first.choices[0].finish_reason == "stop"
        assert first.usage
        assert (first.usage.prompt_tokens, first.usage.completion_tokens) == (3, 12)
        assert "".join(row.token for row in first.choices[0].logprobs.content) == "Grüße, a text of some length"
        call = chat.chat.completions.create(**ASK).choices[0]
        assert call.finish_reason == "tool_calls"
        assert call.message.tool_calls[0].function.arguments == '{"q":"a longer question"}'
        cut = chat.chat.completions.create(**ASK)
        assert cut.choices[0].finish_reason == "length"
        assert cut.usage.prompt_tokens_details.cached_tokens == 60
        with chat.chat.completions.stream(**ASK, stream_options={"include_usage": True}) as stream:
            final = stream.get_final_completion()
        assert final.choices[0].message.content == "streamed words, more"
        assert final.choices[0].message.tool_calls[0].function.arguments == '{"q":"a longer question"}'
        assert final.usage.total_tokens > 0
        assert [model.id for model in chat.models.list()] == ["fake-large", "fake-small"]
        assert [call.headers["authorization"] for call in server.calls] == ["Bearer k"] * 5


def test_responses_through_the_sdk(chat: openai.OpenAI) -> None:
    said = Answer("some words to stream", thinking="hm, let me see", tool_calls=[("c1", "find", {"q": "x" * 30})])
    answers = iter([said, said, RICH[2], RICH[2], Answer(stop="failed")])
    with LLMServer(lambda body: next(answers)) as server:
        chat = chat.with_options(base_url=f"{server.url}/v1")
        whole = chat.responses.create(model="small", input="twelve chars", instructions="be good")
        assert (whole.output_text, whole.status) == ("some words to stream", "completed")
        assert [item.type for item in whole.output] == ["reasoning", "message", "function_call"]
        with chat.responses.stream(model="small", input="twelve chars", instructions="be good") as stream:
            streamed = stream.get_final_response()
        assert streamed.output_text == whole.output_text
        assert streamed.usage == whole.usage
        cut = chat.responses.create(model="small", input="x")
        assert (cut.status, cut.incomplete_details.reason) == ("incomplete", "max_output_tokens")
        assert cut.usage.input_tokens_details.cached_tokens == 60
        last = list(chat.responses.create(model="small", input="x", stream=True))[-1]
        assert (last.type, last.response.status) == ("response.incomplete", "incomplete")
        assert chat.responses.create(model="small", input="x").error.code == "server_error"


def test_messages_through_the_sdk(claude: anthropic.Anthropic) -> None:
    said = Answer("some words to stream", thinking="hm, let me see", tool_calls=[("c1", "find", {"q": "x" * 30})])
    answers = iter([said, said, RICH[2], RICH[3]])
    with LLMServer(lambda body: next(answers)) as server:
        claude = claude.with_options(base_url=server.url)
        asked: dict[str, Any] = {**ASK, "max_tokens": 100, "system": "be very good"}
        whole = claude.messages.create(**asked)
        assert [block.type for block in whole.content] == ["thinking", "text", "tool_use"]
        assert (whole.content[2].input, whole.stop_reason) == ({"q": "x" * 30}, "tool_use")
        assert (whole.usage.input_tokens, whole.usage.output_tokens) == (6, 18)
        with claude.messages.stream(**asked) as stream:
            streamed = stream.get_final_message()
        assert [block.to_dict() for block in streamed.content] == [block.to_dict() for block in whole.content]
        assert (streamed.stop_reason, streamed.usage.output_tokens) == ("tool_use", 18)
        cut = claude.messages.create(**asked)
        assert cut.stop_reason == "max_tokens"
        assert (cut.usage.input_tokens, cut.usage.cache_read_input_tokens) == (20, 60)
        assert cut.usage.cache_creation_input_tokens == 20
        assert claude.messages.create(**asked).stop_reason == "refusal"
        assert [model.id for model in claude.models.list()] == ["fake-large", "fake-small"]


def test_refusals_have_the_shape_and_the_class_of_each_api(chat: openai.OpenAI, claude: anthropic.Anthropic) -> None:
    with LLMServer(faults=sequence([refuse(429, 7), refuse(529), refuse(401), refuse(529)])) as server:
        chat, claude = chat.with_options(base_url=f"{server.url}/v1"), claude.with_options(base_url=server.url)
        with pytest.raises(openai.RateLimitError) as limited:
            chat.chat.completions.create(**ASK)
        assert limited.value.response.headers["retry-after"] == "7"
        assert limited.value.code == "rate_limit_exceeded"
        with pytest.raises(anthropic.APIStatusError) as busy:
            claude.messages.create(**ASK, max_tokens=9)
        assert (busy.value.status_code, busy.value.type) == (529, "overloaded_error")
        with pytest.raises(anthropic.AuthenticationError):
            claude.messages.create(**ASK, max_tokens=9)
        with pytest.raises(openai.InternalServerError):
            chat.responses.create(model="small", input="x")
        assert [call.fault for call in server.calls] == ["status 429", "status 529", "status 401", "status 529"]


@pytest.mark.parametrize("retry_after", ["Wed, 21 Oct 2099 07:28:00 GMT", "soon", "-1"])
def test_a_status_goes_out_with_the_headers_and_the_body_it_is_given(retry_after: str) -> None:
    page = refuse(503, retry_after, body="<html>busy</html>", headers={"x-should-retry": "true"})
    odd = Fault("status", status=200, body=[1, {"choices": 7}])
    with LLMServer(faults=sequence([page, odd])) as server:
        status, headers, body = post(server, PATHS["chat"], ASK)
        assert (status, body, headers["content-type"]) == (503, b"<html>busy</html>", "text/html")
        assert (headers["retry-after"], headers["x-should-retry"]) == (retry_after, "true")
        assert post(server, PATHS["chat"], ASK)[::2] == (200, b'[1,{"choices":7}]')


@pytest.mark.parametrize("api", PATHS)
def test_a_cut_answer_stops_before_its_end(api: str) -> None:
    with LLMServer(faults=every(1, Fault("cut"))) as server:
        whole, ended = raw(server, PATHS[api])
        head, _, body = whole.partition(b"\r\n\r\n")
        assert ended == "closed"
        assert 0 < len(body) < int(head.partition(b"content-length: ")[2].split()[0])
        stream, ended = raw(server, PATHS[api], stream=True)
        assert ended == "closed"
        assert b"data: " in stream
        assert not stream.endswith(b"0\r\n\r\n")
        assert not any(end in stream for end in (b"[DONE]", b"response.completed", b"message_stop"))


def test_a_clean_cut_ends_the_transfer_without_the_last_event() -> None:
    with LLMServer(faults=every(1, Fault("cut", clean=True))) as server:
        stream = post(server, PATHS["messages"], {**ASK, "stream": True})[2]
        assert events(stream)
        assert b"message_stop" not in stream


def test_malformed_bodies_are_no_json() -> None:
    with LLMServer(faults=every(1, Fault("malformed"))) as server:
        status, _, body = post(server, PATHS["chat"], ASK)
        assert status == 200
        with pytest.raises(ValueError, match="column"):
            json.loads(body)
        assert b"data: {no json\n\n" in post(server, PATHS["chat"], {**ASK, "stream": True})[2]


def test_a_drip_takes_its_time_and_is_whole() -> None:
    with LLMServer(faults=every(1, Fault("drip", every_ms=0.1))) as server:
        body = post(server, PATHS["chat"], ASK)[2]
        assert json.loads(body)["choices"]
        call = server.calls[0]
        assert call.ended is not None
        assert call.ended - call.started > len(body) * 0.0001


@pytest.mark.parametrize("stream", [False, True])
def test_a_reset_is_a_reset(stream: bool) -> None:
    with LLMServer(faults=sequence([Fault("reset", at=0), Fault("reset")])) as server:
        assert raw(server, stream=stream) == (b"", "reset")
        got, ended = raw(server, stream=stream)
        assert ended == "reset"
        assert b"[DONE]" not in got


def test_a_stall_says_nothing_until_the_client_leaves() -> None:
    with LLMServer(faults=sequence([Fault("stall"), Fault("stall", at=0.5), Fault("stall", seconds=0.05)])) as server:
        assert raw(server, timeout=0.1) == (b"", "silent")
        got, ended = raw(server, timeout=0.1)
        assert ended == "silent"
        assert got.startswith(b"HTTP/1.1 200")
        assert json.loads(post(server, PATHS["chat"], ASK)[2])["choices"]
        assert [call.outcome for call in server.settle()] == ["gone", "gone", "served"]


@pytest.mark.parametrize("api", PATHS)
def test_an_answer_without_its_stop_is_whole_otherwise(api: str) -> None:
    with LLMServer(lambda body: "all of it", every(1, Fault("no_stop"))) as server:
        whole = json.loads(post(server, PATHS[api], body_for(api))[2])
        assert "all of it" in json.dumps(whole)
        stops = {"chat": lambda: whole["choices"][0]["finish_reason"], "messages": lambda: whole["stop_reason"]}
        assert stops.get(api, lambda: whole.get("status"))() is None
        stream = post(server, PATHS[api], body_for(api, stream=True))[2]
        assert b"all of it" in stream
        assert not any(said in stream for said in (b'"stop"', b"end_turn", b"response.completed"))


@pytest.mark.parametrize("api", PATHS)
def test_a_huge_answer_is_huge_and_valid(api: str) -> None:
    with LLMServer(faults=every(1, Fault("huge", size=300_000))) as server:
        whole = post(server, PATHS[api], body_for(api))[2]
        assert len(whole) > 300_000
        assert "x" * 300_000 in json.dumps(json.loads(whole))
        assert any(
            "x" * 300_000 in json.dumps(e) for e in events(post(server, PATHS[api], body_for(api, stream=True))[2])
        )


def test_an_empty_answer_has_no_body() -> None:
    with LLMServer(faults=every(1, Fault("empty"))) as server:
        assert post(server, PATHS["messages"], ASK)[::2] == (200, b"")


@pytest.mark.parametrize("api", PATHS)
def test_a_stream_can_end_in_an_error(api: str, chat: openai.OpenAI, claude: anthropic.Anthropic) -> None:
    with LLMServer(faults=every(1, Fault("stream_error"))) as server:
        chat, claude = chat.with_options(base_url=f"{server.url}/v1"), claude.with_options(base_url=server.url)
        if api == "chat":
            with pytest.raises(openai.APIError, match="a fault"):
                list(chat.chat.completions.create(**ASK, stream=True))
        elif api == "messages":
            with pytest.raises(anthropic.APIStatusError) as busy:
                list(claude.messages.create(**ASK, max_tokens=9, stream=True))
            assert busy.value.type == "overloaded_error"
        else:
            assert list(chat.responses.create(model="m", input="x", stream=True))[-1].type == "error"


def test_seeded_faults_depend_on_the_number_alone() -> None:
    draw = seeded(7, {refuse(429): 0.2, Fault("cut"): 0.1})
    drawn = [draw(number, {}) for number in range(1, 2001)]
    assert drawn == [draw(number, {}) for number in range(1, 2001)]
    assert 300 < sum(fault is not None and fault.kind == "status" for fault in drawn) < 500
    assert 120 < sum(fault is not None and fault.kind == "cut" for fault in drawn) < 280


def test_a_rate_is_held_and_the_refusal_says_when_to_come_back() -> None:
    with LLMServer(rate=20, burst=2) as server:
        replies = [post(server, PATHS["chat"], ASK) for _ in range(4)]
        assert [status for status, _, _ in replies] == [200, 200, 429, 429]
        wait = float(replies[-1][1]["retry-after"])
        assert 0 < wait <= 0.05
        time.sleep(wait + 0.002)
        assert post(server, PATHS["chat"], ASK)[0] == 200
        server.reset()
        assert server.calls == []
        assert post(server, PATHS["chat"], ASK)[0] == 200


def test_more_at_once_than_allowed_are_refused() -> None:
    statuses: list[int] = []
    with LLMServer(latency_s=0.1, max_concurrent=3, retry_after=False) as server:
        ask = lambda: statuses.append(post(server, PATHS["chat"], ASK)[0])  # noqa: E731
        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(statuses) == [200] * 3 + [429] * 5
        assert server.peak >= 4


def test_a_wrong_key_a_bad_body_and_an_unknown_path_are_refused() -> None:
    with LLMServer(key="right") as server:
        status, _, body = post(server, PATHS["chat"], ASK)
        assert status == 401
        assert b"Incorrect API key" in body
    with LLMServer() as server:
        assert post(server, PATHS["chat"], [1])[0] == 400
        assert post(server, "/v1/embeddings", {})[0] == 404


def test_one_connection_serves_many_calls_and_each_is_recorded() -> None:
    with LLMServer() as server:
        link = http.client.HTTPConnection(server.url.removeprefix("http://"))
        for number in range(5):
            link.request("POST", PATHS["messages"], json.dumps({**ASK, "n": number}), {"X-Thing": "1"})
            assert json.loads(link.getresponse().read())["content"][0]["text"] == '{"echo": "twelve chars"}'
        link.close()
        assert server.connections == 1
        assert [(call.number, call.body["n"], call.headers["x-thing"]) for call in server.calls][-1] == (5, 4, "1")


def test_a_client_that_leaves_is_noticed_at_once() -> None:
    with LLMServer(latency_s=60) as server:
        assert raw(server, timeout=0.02)[1] == "silent"
        assert [call.outcome for call in server.settle()] == ["gone"]


def test_what_the_tests_own_function_raises_is_not_lost() -> None:
    def broken(body: dict[str, Any]) -> str:
        raise KeyError("slip")

    with pytest.raises(KeyError, match="slip"), LLMServer(broken) as server:
        assert post(server, PATHS["chat"], ASK)[0] == 500


def test_an_answer_that_cannot_be_said_is_not_lost() -> None:
    with pytest.raises(TypeError, match="JSON"), LLMServer(lambda body: Answer("x", usage={"n": {1}})) as server:
        assert raw(server) == (b"", "closed")


def test_as_a_process_its_journal_survives_a_kill(tmp_path: Path) -> None:
    journal = tmp_path / "calls.jsonl"
    command = [sys.executable, "-m", "tests.fakes.llm_server", "--journal", str(journal), "--latency", "30"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        url = process.stdout.readline().strip()
        with socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1])), timeout=5) as link:
            link.sendall(b"POST /v1/messages HTTP/1.1\r\ncontent-length: 7\r\n\r\n" + b'{"n":1}')
            deadline = time.monotonic() + 5
            while not journal.read_text() and time.monotonic() < deadline:
                time.sleep(0.005)
        process.kill()
    rows = [json.loads(line) for line in journal.read_text().splitlines()]
    assert [(row["number"], row["path"], row["body"]) for row in rows] == [(1, "/v1/messages", {"n": 1})]
