from __future__ import annotations

import gc
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import pytest

from skillforge.endpoints import Kind, ModelOptions
from skillforge.errors import (
    ContextOverflow,
    KeyRejected,
    ProviderError,
    ProviderTimeout,
    RateLimited,
    RequestRejected,
    ServerFailure,
)
from skillforge.messages import Completion, Message, Request, RequestKey, Tool, ToolCall, Usage
from skillforge.providers.wires.openai_wire import OpenAIChat, OpenAIResponses
from skillforge.providers.wires.wire import STREAM_ABOVE, Address, Dialect
from tests.fakes.faults import Fault
from tests.fakes.llm_server import Answer, LLMServer, Tokens, refuse

KEY = "sk-test-0123456789abcdef"
WIRES: dict[Kind, Any] = {"openai-chat": OpenAIChat, "openai-responses": OpenAIResponses}

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _no_openai_settings(monkeypatch):
    for name in ("API_KEY", "ADMIN_KEY", "BASE_URL", "ORG_ID", "PROJECT_ID", "CUSTOM_HEADERS", "LOG"):
        monkeypatch.delenv(f"OPENAI_{name}", raising=False)


@pytest.fixture(params=WIRES)
def kind(request: pytest.FixtureRequest) -> Kind:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(params=[64, STREAM_ABOVE + 1], ids=["whole", "streamed"])
def limit(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@contextmanager
def serving(answer: Answer | str = "hi", fault: Fault | None = None, **more: Any) -> Iterator[LLMServer]:
    with LLMServer(lambda body: answer, lambda number, body: fault, **more) as server:
        yield server


def clean(text: str) -> str:
    return text.replace(KEY, "[key]")


def wire_to(url: str, kind: Kind, *, key: str = KEY, headers: Any = None, **options: Any) -> Any:
    address = Address("near:m", kind, f"{url}/v1", "m", ModelOptions(**options))
    return WIRES[kind](address, key=key, headers=headers or {}, clean=clean)


def asking(limit: int = 64, **more: Any) -> Request:
    messages = (Message.of("system", "Be terse."), Message.of("user", "hello"))
    return Request(messages=messages, key=RequestKey(role="run", task="t", input={}), max_output_tokens=limit, **more)


async def ask(server: LLMServer, kind: Kind, limit: int = 64, *, key: str = KEY, **more: Any) -> Completion:
    wire = wire_to(server.url, kind, key=key, **more.pop("options", {}))
    try:
        completion: Completion = await wire.call(asking(limit, **more), Dialect())
    finally:
        await wire.aclose()
    return completion


async def refused(server: LLMServer, kind: Kind, limit: int = 64, **more: Any) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await ask(server, kind, limit, **more)
    shown = f"{caught.value} {caught.value.hint}"
    assert KEY not in shown
    assert str(caught.value).startswith("near:m: ")
    assert len(server.calls) == 1  # exactly one request, whatever comes back
    return caught.value


async def test_an_answer_comes_whole_or_in_a_stream(kind, limit):
    tokens = Tokens(input=20, output=9, cached=5, cache_write=3, reasoning=4)
    with serving(Answer("Grüße\u2028!", usage=tokens, model="m-2026", thinking="hm")) as server:
        completion = await ask(server, kind, limit)
        (call,) = server.calls
    assert (completion.text, completion.stop, completion.model) == ("Grüße\u2028!", "stop", "m-2026")
    assert completion.usage == Usage(
        input_tokens=20, cached_tokens=5, written_tokens=3, output_tokens=9, reasoning_tokens=4
    )
    assert completion.latency_s is not None
    assert 0 < completion.latency_s < 10
    assert bool(call.body.get("stream")) is (limit > STREAM_ABOVE)
    assert call.headers["authorization"] == f"Bearer {KEY}"


async def test_room_for_thinking_counts_for_streaming(kind):
    with serving() as server:
        await ask(server, kind, options={"thinking_tokens": STREAM_ABOVE})
        assert server.calls[0].body["stream"] is True


async def test_parallel_tool_calls_come_whole_or_in_a_stream(kind, limit):
    calls = (("c1", "look", {"city": "Köln"}), ("c2", "look", {"city": "Bonn"}))
    with serving(Answer(tool_calls=calls)) as server:
        completion = await ask(server, kind, limit, tools=(Tool(name="look", parameters={"type": "object"}),))
    assert completion.stop == "tool_calls"
    assert completion.message.tool_calls == tuple(
        ToolCall(id=i, name=name, arguments=given) for i, name, given in calls
    )


async def test_logprobs_come_whole_or_in_a_stream(kind, limit):
    with serving(Answer("one two", logprobs=True)) as server:
        completion = await ask(server, kind, limit, logprobs=True)
    assert completion.logprobs is not None
    assert "".join(item.token for item in completion.logprobs) == "one two"


@pytest.mark.parametrize("stop", ["length", "content_filter", "refusal"])
async def test_every_end_is_told(kind, limit, stop):
    answer = Answer("so", stop=stop, refusal="no" if stop == "refusal" else "")
    with serving(answer) as server:
        assert (await ask(server, kind, limit)).stop == stop


async def test_missing_usage_is_unknown(kind, limit):
    with serving(Answer("x", usage="none")) as server:
        assert (await ask(server, kind, limit)).usage == Usage()


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (302, RequestRejected),
        (400, RequestRejected),
        (401, KeyRejected),
        (403, KeyRejected),
        (404, RequestRejected),
        (413, ContextOverflow),
        (429, RateLimited),
        (500, ServerFailure),
        (529, ServerFailure),
    ],
)
async def test_a_refusal_is_one_request_and_its_kind(kind, limit, status, expected):
    with serving(fault=refuse(status, 3, body={"error": {"message": f"no {KEY}"}})) as server:
        error = await refused(server, kind, limit)
    assert type(error) is expected
    assert f"HTTP {status}: no [key]" in str(error)
    if isinstance(error, RateLimited):
        assert error.retry_after_s == 3


async def test_a_wrong_key_that_the_server_quotes_is_not_shown(kind):
    with serving(key="another") as server:
        assert isinstance(await refused(server, kind), KeyRejected)


async def test_a_huge_page_as_a_refusal_is_cut(kind):
    page = "<html><title>Bad Gateway</title>" + "x" * 10_000_000
    with serving(fault=refuse(502, body=page)) as server:
        error = await refused(server, kind)
    assert "a web page, 'Bad Gateway'" in str(error)


@pytest.mark.parametrize(
    "fault",
    [
        Fault("cut"),
        Fault("cut", at=0),
        Fault("cut", clean=True),
        Fault("malformed"),
        Fault("reset"),
        Fault("reset", at=0),
        Fault("no_stop"),
        Fault("empty"),
        Fault("huge"),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.at}-{fault.clean}",
)
async def test_a_spoiled_answer_may_be_billed_and_asked_again(kind, limit, fault):
    if fault.clean and limit <= STREAM_ABOVE:
        pytest.skip("a whole answer that ends early is broken JSON: malformed")
    with serving("some words that take a few events", fault) as server:
        error = await refused(server, kind, limit)
    assert type(error) is ServerFailure
    assert error.maybe_billed


async def test_an_error_in_a_stream_is_told(kind):
    with serving("some words", Fault("stream_error", message="no luck")) as server:
        error = await refused(server, kind, STREAM_ABOVE + 1)
    assert isinstance(error, ServerFailure)
    assert "no luck" in str(error)
    assert error.maybe_billed


@pytest.mark.parametrize("fault", [Fault("stall"), Fault("stall", at=0.5), Fault("drip", every_ms=20)])
async def test_a_slow_answer_ends_in_time(kind, limit, fault):
    with serving("some words " * 50, fault) as server:
        started = time.monotonic()
        error = await refused(server, kind, limit, options={"timeout_s": 0.3})
        assert time.monotonic() - started < 3
    assert isinstance(error, ProviderTimeout)
    assert error.maybe_billed


async def test_the_requests_own_time_holds_where_the_model_has_none(kind):
    with serving(fault=Fault("stall")) as server:
        assert isinstance(await refused(server, kind, timeout_s=0.2), ProviderTimeout)


async def test_a_server_that_does_not_run_is_not_billed(kind):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody answers there
        wire = wire_to(f"http://127.0.0.1:{taken.getsockname()[1]}", kind)
        with pytest.raises(ServerFailure, match="cannot connect") as caught:
            await wire.call(asking(), Dialect())
        await wire.aclose()
    assert not caught.value.maybe_billed
    assert "base_url" in caught.value.hint


async def test_cancelling_closes_the_connection(kind, limit):
    with serving("words", Fault("stall", at=0.5)) as server:
        wire = wire_to(server.url, kind)
        async with anyio.create_task_group() as group:
            group.start_soon(wire.call, asking(limit), Dialect())
            await until(lambda: bool(server.calls))
            group.cancel_scope.cancel()
        await until(lambda: server.calls[0].outcome == "gone")
        await wire.aclose()


async def test_a_wire_is_closed_twice_and_opens_again(kind):
    with serving() as server:
        wire = wire_to(server.url, kind)
        await wire.aclose()
        for _ in range(2):
            assert (await wire.call(asking(), Dialect())).text == "hi"
            await wire.aclose()
            await wire.aclose()


def test_a_wire_serves_one_event_loop_after_another(kind):
    with serving() as server:
        wire = wire_to(server.url, kind)

        async def once() -> str:
            completion = await wire.call(asking(), Dialect())
            await wire.aclose()
            return str(completion.text)

        assert [anyio.run(once), anyio.run(once)] == ["hi", "hi"]
    gc.collect()


async def test_the_environment_changes_nothing(kind, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "env-key")
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "env-admin")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/none")
    monkeypatch.setenv("OPENAI_ORG_ID", "env-org")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "env-project")
    monkeypatch.setenv(
        "OPENAI_CUSTOM_HEADERS", "Authorization: Bearer env-custom\nX-Custom: env-custom\nx-own: env-custom"
    )
    with serving() as server:
        wire = wire_to(server.url, kind, headers={"X-Own": "mine"})
        await wire.call(asking(), Dialect())
        await wire.aclose()
        keyless = wire_to(server.url, kind, key="")
        await keyless.call(asking(), Dialect())
        await keyless.aclose()
        first, second = server.calls
    assert first.headers["authorization"] == f"Bearer {KEY}"
    assert first.headers["x-own"] == "mine"
    assert second.headers["authorization"] == "Bearer none"
    assert "env-" not in json.dumps([dict(first.headers), dict(second.headers)])


async def test_a_header_of_the_user_takes_the_place_of_the_keys(kind):
    with serving() as server:
        wire = wire_to(server.url, kind, headers={"authorization": "Basic abc"})
        await wire.call(asking(), Dialect())
        await wire.aclose()
        assert server.calls[0].headers["authorization"] == "Basic abc"


@pytest.mark.parametrize("key", [f"{KEY}\n", f"{KEY}ä"])
async def test_a_key_that_no_header_can_hold_is_rejected_unseen(kind, key):
    with serving() as server:
        wire = wire_to(server.url, kind, key=key)
        with pytest.raises(KeyRejected) as caught:
            await wire.call(asking(), Dialect())
        await wire.aclose()
        assert not server.calls
    assert KEY not in f"{caught.value}{caught.value.hint}"


async def test_text_that_no_request_can_hold_is_rejected(kind):
    with serving() as server:
        wire = wire_to(server.url, kind)
        request = asking().model_copy(update={"messages": (Message.of("user", "half \ud83d a pair"),)})
        with pytest.raises(RequestRejected, match="cannot be sent"):
            await wire.call(request, Dialect())
        await wire.aclose()
        assert not server.calls


async def test_a_server_that_does_not_stream_is_understood(kind):
    whole: dict[Kind, Any] = {
        "openai-chat": {"choices": [{"message": {"content": "whole"}, "finish_reason": "stop"}]},
        "openai-responses": {
            "status": "completed",
            "output": [{"type": "message", "content": [{"type": "output_text", "text": "whole"}]}],
        },
    }
    with serving(fault=refuse(200, body=whole[kind])) as server:
        assert (await ask(server, kind, STREAM_ABOVE + 1)).text == "whole"


async def until(happened: Callable[[], bool]) -> None:
    with anyio.fail_after(5):
        while not happened():
            await anyio.sleep(0.01)
