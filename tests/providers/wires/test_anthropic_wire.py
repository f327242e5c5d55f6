from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from skillforge.endpoints import ModelOptions
from skillforge.errors import (
    ContextOverflow,
    KeyRejected,
    ProviderError,
    ProviderTimeout,
    RateLimited,
    RequestRejected,
    ServerFailure,
    UsageError,
)
from skillforge.messages import Completion, Message, Request, RequestKey, Text, ToolCall, Usage
from skillforge.providers.wires import anthropic_wire, body
from skillforge.providers.wires.anthropic_wire import AnthropicMessages
from skillforge.providers.wires.wire import STREAM_ABOVE, Address, Dialect
from tests.fakes.faults import Fault
from tests.fakes.llm_server import Answer, Call, LLMServer, Tokens, refuse, sequence
from tests.providers.wires.golden_cases import CASES, expected_body

KEY = "sk-ant-0123456789abcdef"
STREAMED = STREAM_ABOVE + 1

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _no_anthropic_settings(monkeypatch, tmp_path):
    for name in ("API_KEY", "AUTH_TOKEN", "BASE_URL", "PROFILE", "CUSTOM_HEADERS", "LOG"):
        monkeypatch.delenv(f"ANTHROPIC_{name}", raising=False)
    monkeypatch.setenv("ANTHROPIC_CONFIG_DIR", str(tmp_path / "none"))


def wire_to(
    url: str, *, name: str = "near:m", key: str = KEY, headers: Any = None, **options: Any
) -> AnthropicMessages:
    address = Address(name, "anthropic", url, "m", ModelOptions(**options))
    return AnthropicMessages(address, key=key, headers=headers or {}, clean=lambda text: text.replace(KEY, "***"))


def asking(text: str = "hello", **more: Any) -> Request:
    key = RequestKey(role="run", task="t", input={})
    return Request(messages=(Message.of("user", text),), key=key, **{"timeout_s": 20, **more})


async def ask(wire: AnthropicMessages, request: Request) -> Completion:
    try:
        return await wire.call(request, Dialect())
    finally:
        await wire.aclose()


async def answer_of(fault: Fault, **more: Any) -> tuple[Completion | ProviderError, list[Call]]:
    with LLMServer(lambda body: "fine, and a little longer", sequence([fault])) as server:
        try:
            return await ask(wire_to(server.url), asking(**more)), server.calls
        except ProviderError as caught:
            error = caught
    assert KEY not in f"{error}{error.hint}"
    return error, server.calls


# what goes out


@pytest.mark.parametrize("case", CASES)
async def test_the_sdk_sends_the_kept_body(case):
    make, options = CASES[case]
    with LLMServer() as server:
        address = Address("near:m", "anthropic", server.url, "claude-test", options)
        await ask(AnthropicMessages(address, key=KEY, headers={}, clean=str), make())
    (call,) = server.calls
    assert (call.method, call.path) == ("POST", "/v1/messages")
    assert call.body == expected_body("anthropic", case, call.body)


async def headers_of(**more: Any) -> Any:
    with LLMServer() as server:
        await ask(wire_to(server.url, **more), asking())
    return server.calls[0].headers


async def test_a_named_server_gets_the_key_both_ways():
    headers = await headers_of()
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["x-api-key"] == KEY
    assert headers["anthropic-version"] == "2026-10-21"


def test_anthropics_own_server_gets_no_second_key():
    wire = wire_to("https://api.anthropic.com", name="anthropic:m")
    assert "x-api-key" not in wire._new_client().default_headers


async def test_without_a_key_none_is_looked_for(monkeypatch, tmp_path):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-from-env")
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "token-from-env")
    headers = await headers_of(key="")
    assert headers["authorization"] == "Bearer none"
    assert "x-api-key" not in headers


@pytest.mark.parametrize("name", ["near:m", "anthropic:m"])
async def test_nothing_in_the_environment_beats_the_settings(monkeypatch, tmp_path, name):
    (tmp_path / "configs").mkdir()
    profile = {"base_url": "http://127.0.0.1:1", "authentication": {"type": "user_oauth"}}
    (tmp_path / "configs" / "work.json").write_text(json.dumps(profile))
    monkeypatch.setenv("ANTHROPIC_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("ANTHROPIC_PROFILE", "work")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-from-env")
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "token-from-env")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:1")
    custom = "authorization: Bearer evil\nX-API-KEY: evil\nx-team: env\nx-secret: env\nanthropic-version: 1"
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", custom)
    headers = await headers_of(name=name, headers={"x-team": "ours"})
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["x-api-key"] == KEY
    assert headers["x-team"] == "ours"
    assert headers["anthropic-version"] == "2026-10-21"
    assert "x-secret" not in headers  # they are meant for other programs
    assert os.environ["ANTHROPIC_CUSTOM_HEADERS"] == custom


async def test_the_settings_headers_have_the_last_word():
    headers = await headers_of(headers={"Authorization": "Basic abc", "anthropic-version": "2023-06-01"})
    assert (headers["authorization"], headers["anthropic-version"]) == ("Basic abc", "2023-06-01")


def test_an_effort_that_the_api_lacks_is_refused_at_once():
    with pytest.raises(UsageError, match="minimal") as caught:
        wire_to("http://127.0.0.1:1", effort="minimal")
    assert "low, medium, high" in caught.value.hint


# what comes back


@pytest.mark.parametrize("tokens", [100, STREAMED])
async def test_an_answer_is_the_same_streamed_and_whole(tokens):
    said = Answer(
        text="Grüße",
        thinking="hm",
        tool_calls=[("c", "look", {"city": "Köln"})],
        model="m-2026",
        usage=Tokens(input=100, cached=70, cache_write=20, output=9, reasoning=3),
    )
    with LLMServer(lambda body: said) as server:
        completion = await ask(wire_to(server.url), asking(max_output_tokens=tokens))
    assert server.calls[0].body.get("stream", False) == (tokens == STREAMED)
    thought, text, call = completion.message.content
    assert thought.data == {"type": "thinking", "thinking": "hm", "signature": "c2lnbmVk"}
    assert (text, call) == (Text(text="Grüße"), ToolCall(id="c", name="look", arguments={"city": "Köln"}))
    assert (completion.stop, completion.model, completion.calls) == ("tool_calls", "m-2026", 1)
    assert completion.usage == Usage(
        input_tokens=100, cached_tokens=70, written_tokens=20, output_tokens=9, reasoning_tokens=3
    )
    assert completion.latency_s is not None
    assert 0 < completion.latency_s < 20


async def test_room_for_thinking_counts_for_streaming():
    with LLMServer() as server:
        await ask(wire_to(server.url, thinking_tokens=STREAM_ABOVE), asking(max_output_tokens=1))
    assert server.calls[0].body["stream"] is True


@pytest.mark.parametrize("tokens", [100, STREAMED])
@pytest.mark.parametrize(
    ("fault", "error", "billed"),
    [
        (Fault("cut"), ServerFailure, True),
        (Fault("cut", at=0.9, clean=True), ServerFailure, True),
        (Fault("reset"), ServerFailure, True),
        (Fault("malformed"), ServerFailure, True),
        (Fault("no_stop"), ServerFailure, True),
        (Fault("empty"), ServerFailure, True),
        (refuse(400), RequestRejected, False),
        (refuse(400, message="prompt is too long: 300000 tokens > 200000 maximum"), ContextOverflow, False),
        (refuse(401, message=f"invalid x-api-key {KEY}"), KeyRejected, False),
        (refuse(402), KeyRejected, False),
        (refuse(404), RequestRejected, False),
        (refuse(429, retry_after=7), RateLimited, False),
        (refuse(500), ServerFailure, False),
        (refuse(529), ServerFailure, False),
        (refuse(307, headers={"location": "/v1/messages"}), RequestRejected, False),
        (refuse(502, body="<html><title>Bad gateway</title>"), ServerFailure, False),
    ],
    ids=lambda value: value.label if isinstance(value, Fault) else None,
)
async def test_a_fault_is_our_error_after_one_request(fault, error, billed, tokens):
    got, calls = await answer_of(fault, max_output_tokens=tokens)
    assert type(got) is error
    assert got.maybe_billed == billed
    assert len(calls) == 1
    if isinstance(got, RateLimited):
        assert got.retry_after_s == 7


async def test_an_error_event_in_a_stream_is_our_error():
    got, _ = await answer_of(Fault("stream_error"), max_output_tokens=STREAMED)
    assert isinstance(got, ServerFailure)
    assert got.maybe_billed


@pytest.mark.parametrize("tokens", [100, STREAMED])
@pytest.mark.parametrize("fault", [Fault("drip", every_ms=20), Fault("stall"), Fault("stall", at=0.5)])
async def test_the_time_limit_bounds_the_whole_call(fault, tokens):
    started = time.monotonic()
    got, calls = await answer_of(fault, max_output_tokens=tokens, timeout_s=0.3)
    assert isinstance(got, ProviderTimeout)
    assert got.maybe_billed
    assert time.monotonic() - started < 3
    assert len(calls) == 1


async def test_a_models_own_time_limit_goes_first():
    with LLMServer(faults=sequence([Fault("stall")])) as server, pytest.raises(ProviderTimeout):
        await ask(wire_to(server.url, timeout_s=0.2), asking(timeout_s=60))


@pytest.mark.parametrize("tokens", [100, STREAMED])
async def test_an_answer_without_end_is_not_read(monkeypatch, tokens):
    monkeypatch.setattr(body, "MAX_BODY", 2**20)
    for limit in ("MAX_BODY", "MAX_STREAM"):
        monkeypatch.setattr(anthropic_wire, limit, 2**20)
    got, _ = await answer_of(Fault("huge", size=4 * 2**20), max_output_tokens=tokens)
    assert isinstance(got, ServerFailure)
    assert "1,048,576 bytes" in str(got)
    assert got.maybe_billed


async def test_an_error_without_end_is_not_read():
    got, _ = await answer_of(refuse(500, body="x" * 8 * 2**20))
    assert isinstance(got, ServerFailure)
    assert len(str(got)) < 500


@pytest.mark.parametrize("tokens", [100, STREAMED])
async def test_cancelling_closes_the_connection(tokens):
    with LLMServer(faults=sequence([Fault("stall", at=0.5)])) as server:
        wire = wire_to(server.url)
        with anyio.move_on_after(0.2) as scope:
            await wire.call(asking(max_output_tokens=tokens), Dialect())
        assert scope.cancelled_caught
        await until(lambda: server.calls[0].outcome == "gone")
        assert (await ask(wire, asking())).stop == "stop"  # the wire goes on


async def until(holds: Callable[[], bool]) -> None:
    with anyio.fail_after(5):
        while not holds():
            await anyio.sleep(0.01)


async def test_a_stream_is_left_at_its_end_even_if_the_server_stays():
    with LLMServer(faults=sequence([Fault("stall", at=1.0)])) as server:
        completion = await ask(wire_to(server.url), asking(max_output_tokens=STREAMED, timeout_s=5))
    assert completion.stop == "stop"


async def test_a_server_that_does_not_stream_is_understood():
    whole = {"model": "m", "content": [{"type": "text", "text": "hi"}], "stop_reason": "end_turn", "usage": {}}
    got, _ = await answer_of(refuse(200, body=whole), max_output_tokens=STREAMED)
    assert isinstance(got, Completion)
    assert got.text == "hi"


@pytest.mark.parametrize("body", [[], "null", b"\xff", '{"a": NaN}', b"[" * 100_000])
async def test_a_body_that_is_no_object_is_garbled(body):
    got, _ = await answer_of(refuse(200, body=body))
    assert type(got) is ServerFailure
    assert got.maybe_billed


async def test_a_text_that_cannot_be_sent_is_rejected_without_a_call():
    with LLMServer() as server, pytest.raises(RequestRejected):
        await ask(wire_to(server.url), asking("half a pair: \ud83d"))
    assert server.calls == []


async def test_a_server_that_does_not_run_is_a_failure_that_cost_nothing():
    with pytest.raises(ServerFailure, match="cannot connect") as caught:
        await ask(wire_to("http://127.0.0.1:9"), asking())
    assert not caught.value.maybe_billed


async def test_connections_are_kept_and_closing_twice_is_fine():
    with LLMServer() as server:
        wire = wire_to(server.url)
        await wire.aclose()
        for _ in range(3):
            await wire.call(asking(), Dialect())
        assert server.connections == 1
        await wire.aclose()
        await wire.aclose()
        assert (await ask(wire, asking())).stop == "stop"


def test_a_wire_serves_one_event_loop_after_the_other():
    with LLMServer() as server:
        wire = wire_to(server.url)
        for _ in range(2):
            assert anyio.run(ask, wire, asking()).stop == "stop"


async def test_the_key_is_in_no_log(caplog):
    caplog.set_level(logging.DEBUG)
    with LLMServer(faults=sequence([refuse(401, message=f"no such key: {KEY}")]), key=KEY) as server:
        with pytest.raises(KeyRejected, match=r"\*\*\*"):
            await ask(wire_to(server.url), asking())
        await ask(wire_to(server.url), asking())
    logged = {record.name for record in caplog.records if KEY in record.getMessage()}
    assert logged == set()


def test_the_sdk_is_not_imported_with_the_wire():
    code = (
        "import sys, skillforge.providers.wires.anthropic_wire;"
        " print('anthropic' in sys.modules, 'httpx2' in sys.modules)"
    )
    root = Path(anthropic_wire.__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
