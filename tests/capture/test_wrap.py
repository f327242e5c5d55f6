"""What a wrapped client is, beside what it answers: its type, its settings, its connections, its end."""

from __future__ import annotations

import asyncio
import gc

import anthropic
import httpx
import httpx2
import openai
import pytest

import skillforge
from skillforge.capture.context import Labels
from skillforge.errors import UsageError
from tests.capture.asking import KINDS, now, perform
from tests.fakes.faults import Fault
from tests.fakes.llm_server import Answer, sequence

KIND = pytest.mark.parametrize("kind", KINDS, ids=str)
SYNC = pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.is_async], ids=str)


@KIND
def test_it_is_a_client_of_the_same_type_and_the_clients_own_stays_as_it_is(kind, kitchen, server):
    client = kind.client(
        server.url, default_headers={"x-team": "red"}, default_query={"q": "1"}, timeout=7.0, http_client=None
    )
    http, before = client._client, dict(vars(client))
    wrapped = kitchen.wrap(client)
    assert type(wrapped) is type(client)
    assert isinstance(wrapped._client, type(http))
    assert type(wrapped._client).__name__ == type(http).__name__
    assert dict(vars(client)) == before
    assert client._client is http
    for name in ("base_url", "api_key", "timeout", "max_retries", "default_headers", "default_query"):
        assert _plain(getattr(wrapped, name)) == _plain(getattr(client, name))

    async def ask_both() -> None:
        assert await kind.text(client)
        assert kitchen.calls == []
        assert await kind.text(wrapped)
        assert len(kitchen.calls) == 1
        await now(client.close())

    asyncio.run(ask_both())
    theirs, ours = (dict(call.headers) for call in server.calls)
    assert ours == theirs


def _plain(value):
    """Headers without the markers that leave one out: each client makes its own."""
    if not isinstance(value, dict):
        return value
    return {name: item if isinstance(item, str) else type(item) for name, item in value.items()}


@SYNC
def test_it_shares_the_connections_of_the_client(kind, kitchen, server):
    client = kind.client(server.url, http_client=None)
    wrapped = kitchen.wrap(client)
    for each in (client, wrapped, wrapped.with_options(timeout=3), client):
        perform(kind, "text", each, close=False)
    assert server.connections == 1
    assert len(kitchen.calls) == 2
    client.close()


@SYNC
def test_closing_one_leaves_the_other_usable(kind, kitchen, server):
    client = kind.client(server.url, http_client=None)
    wrapped = kitchen.wrap(client)
    perform(kind, "text", wrapped, close=True)
    assert wrapped.is_closed()
    assert not client.is_closed()
    assert perform(kind, "text", client, close=True)
    assert client.is_closed()
    again = kitchen.wrap(other := kind.client(server.url, http_client=None, max_retries=0))
    perform(kind, "text", other, close=True)
    assert not again.is_closed()
    assert perform(kind, "text", again, close=True)
    assert type(perform(kind, "text", again)[0]) is type  # closed: an error, as of any closed client


@SYNC
def test_a_wrapped_client_that_is_collected_closes_nothing(kind, kitchen, server):
    client = kind.client(server.url, http_client=None)
    perform(kind, "text", kitchen.wrap(client), close=False)
    gc.collect()
    perform(kind, "text", client, close=False)
    assert server.connections == 1
    client.close()


@SYNC
def test_the_client_may_be_collected_before_the_wrapped_one(kind, kitchen, server):
    wrapped = kitchen.wrap(kind.client(server.url, http_client=None))
    perform(kind, "text", wrapped, close=False)
    gc.collect()
    perform(kind, "text", wrapped, close=True)
    assert server.connections == 1


@KIND
def test_a_client_wrapped_twice_records_once_as_the_last_wrapping_says(kind, kitchen, server):
    once = kitchen.wrap(kind.client(server.url), labels=Labels(tags={"wrapped": "once"}))
    perform(kind, "text", kitchen.wrap(once, labels=Labels(tags={"wrapped": "twice"})))
    (call,) = kitchen.calls
    assert call.tags == {"wrapped": "twice"}


@SYNC
def test_hooks_authentication_and_transport_of_the_callers_http_client_stay(kind, kitchen, server):
    seen = []

    class Sign(httpx2.Auth):
        def auth_flow(self, request):
            request.headers["x-signed"] = "yes"
            yield request

    class Client(httpx2.Client):
        def send(self, request, **options):
            seen.append("send")
            return super().send(request, **options)

    http = Client(
        auth=Sign(),
        event_hooks={
            "request": [lambda request: seen.append("request")],
            "response": [lambda response: seen.append("response")],
        },
        transport=httpx2.HTTPTransport(retries=1),
        headers={"x-http": "1"},
    )
    wrapped = kitchen.wrap(kind.client(server.url, http_client=http))
    assert isinstance(wrapped._client, Client)
    perform(kind, "text", wrapped)
    assert seen == ["send", "request", "response"]
    (call,) = server.calls
    assert call.headers["x-signed"] == "yes"
    assert len(kitchen.calls) == 1


def test_a_client_of_the_older_http_library_is_recorded_too(kitchen, server):
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="k", http_client=httpx.Client())
    with client, kitchen.wrap(client) as wrapped:
        messages = [{"role": "user", "content": "hello"}]
        assert wrapped.chat.completions.create(model="m", messages=messages).choices
        assert list(wrapped.chat.completions.create(model="m", messages=messages, stream=True))
    assert [call.error for call in kitchen.calls] == ["", ""]


def test_middleware_of_the_client_runs_around_what_is_recorded(kitchen, server):
    seen = []

    def note(request, call_next):
        seen.append("before")
        return call_next(request)

    client = anthropic.Anthropic(base_url=server.url, api_key="k", middleware=[note])
    perform(KINDS[0], "text", kitchen.wrap(client))
    assert seen == ["before"]
    assert len(kitchen.calls) == 1


def test_azure_is_recorded_under_its_deployment(kitchen, server):
    client = openai.AzureOpenAI(
        azure_endpoint=server.url, api_key="k", api_version="2026-01-01", azure_deployment="gpt-mini"
    )
    wrapped = kitchen.wrap(client)
    assert type(wrapped) is openai.AzureOpenAI
    with wrapped:
        wrapped.chat.completions.create(model="gpt-mini", messages=[{"role": "user", "content": "hello"}])
    (call,) = kitchen.calls
    assert call.server == f"{server.url}/openai/deployments/gpt-mini"
    assert call.error == ""


@pytest.mark.parametrize(
    ("cls", "options"),
    [
        (anthropic.AnthropicFoundry, {}),
        (anthropic.AnthropicAWS, {"workspace_id": "w", "aws_region": "us-east-1"}),
        (anthropic.AnthropicBedrockMantle, {"aws_region": "us-east-1"}),
        (openai.BedrockOpenAI, {"aws_region": "us-east-1"}),
    ],
)
def test_clients_of_clouds_that_speak_the_same_apis_are_recorded(cls, options, kitchen, server):
    sdk = "openai-chat" if cls.__module__.startswith("openai") else "anthropic"
    kind = next(kind for kind in KINDS if kind.api == sdk and not kind.is_async)
    wrapped = kitchen.wrap(cls(base_url=f"{server.url}/gateway", api_key="k", **options))
    assert type(wrapped) is cls
    assert perform(kind, "text", wrapped)
    (call,) = kitchen.calls
    assert (call.api, call.server, call.error) == (sdk, f"{server.url}/gateway", "")


def test_the_address_is_recorded_without_user_password_and_query(kitchen, server):
    address = server.url.replace("http://", "http://cook:s3cret@") + "/gateway"
    client = anthropic.Anthropic(base_url=address, api_key="k", default_query={"code": "s3cret"})
    perform(KINDS[0], "text", kitchen.wrap(client))
    (call,) = kitchen.calls
    assert call.server == f"{server.url}/gateway"
    assert "s3cret" not in call.model_dump_json()


def test_a_subclass_keeps_what_it_holds(kitchen, server):
    class Team(openai.OpenAI):
        team = "nobody"

    client = Team(base_url=f"{server.url}/v1", api_key="k", _strict_response_validation=True)
    client.team = "red"
    client.chat  # noqa: B018  (cached on the client: must not be carried over)
    with kitchen.wrap(client) as wrapped:
        assert isinstance(wrapped, Team)
        assert wrapped.team == "red"
        assert wrapped._strict_response_validation
        wrapped.chat.completions.create(model="m", messages=[{"role": "user", "content": "hello"}])
    assert len(kitchen.calls) == 1
    client.close()


def test_what_cannot_be_wrapped_is_said_at_once(kitchen):
    class Odd(openai.OpenAI):
        def __init__(self, team):
            super().__init__(api_key="k")

    with pytest.raises(UsageError, match="cannot wrap a dict"):
        kitchen.wrap({})
    with httpx2.Client() as http, pytest.raises(UsageError, match="cannot wrap a Client"):
        kitchen.wrap(http)
    with Odd("red") as odd, pytest.raises(UsageError, match="cannot copy a Odd"):
        kitchen.wrap(odd)
    vertex = anthropic.AnthropicVertex(region="eu", project_id="p", access_token="t")
    with vertex, pytest.raises(UsageError, match="AnthropicVertex cannot be recorded"):
        kitchen.wrap(vertex)


def test_only_questions_to_models_are_recorded(kitchen, server):
    with kitchen.wrap(anthropic.Anthropic(base_url=server.url, api_key="k", max_retries=0)) as client:
        client.models.list()
        with pytest.raises(anthropic.NotFoundError):
            client.messages.count_tokens(model="m", messages=[{"role": "user", "content": "x"}])
        with pytest.raises(anthropic.NotFoundError):
            client.messages.batches.create(requests=[])
    with kitchen.wrap(openai.OpenAI(base_url=f"{server.url}/v1", api_key="k", max_retries=0)) as client:
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve("resp_1")
        with pytest.raises(openai.NotFoundError):
            client.embeddings.create(model="m", input="x")
    assert len(server.calls) == 5
    assert kitchen.calls == []


@KIND
def test_labels_come_from_the_block_then_from_the_wrapping_then_from_the_request(kind, kitchen, server):
    wrapped = kitchen.wrap(kind.client(server.url), labels=Labels("", "of the wrapping", {"app": "shop", "step": "?"}))
    metadata = {"metadata": {"user_id": "u-1"}} if kind.api == "anthropic" else {"user": "u-1"}

    async def three() -> None:
        with skillforge.tagged(conversation="c-1", subject="of the block", step="triage"):
            await now(kind.create(wrapped)(**kind.body("one")))
        await now(kind.create(wrapped)(**kind.body("two")))
        await now(kind.create(kitchen.wrap(wrapped))(**kind.body("three", **metadata)))
        await now(wrapped.close())

    asyncio.run(three())
    one, two, three_ = kitchen.calls
    assert (one.conversation, one.subject, one.tags) == ("c-1", "of the block", {"app": "shop", "step": "triage"})
    assert (two.subject, two.tags) == ("of the wrapping", {"app": "shop", "step": "?"})
    assert three_.subject == "u-1"


@KIND
def test_a_hundred_calls_at_once_are_all_recorded(kind, kitchen, servers):
    server = servers(answer=lambda body: Answer("yes"))
    wrapped = kitchen.wrap(kind.client(server.url))

    async def asked() -> None:
        async def one(number: int) -> None:
            with skillforge.tagged(number=number):
                call = kind.create(wrapped)
                more = {"stream": True} if number % 2 else {}
                told = await (call if kind.is_async else lambda **kw: asyncio.to_thread(call, **kw))(
                    **kind.body(f"number {number}", **more)
                )
                if number % 2:
                    await (_drained(told) if kind.is_async else asyncio.to_thread(list, told))

        await asyncio.gather(*map(one, range(100)))
        await now(wrapped.close())

    asyncio.run(asked())
    calls = kitchen.calls
    assert sorted(int(call.tags["number"]) for call in calls) == list(range(100))
    for call in calls:
        assert call.messages[-1].text == f"number {call.tags['number']}"
        assert (call.text, call.error) == ("yes", "")


async def _drained(stream):
    return [event async for event in stream]


def test_a_task_that_is_cancelled_is_recorded_as_such(kitchen, servers):
    server = servers(faults=sequence([Fault("stall", at=0.5)]))
    wrapped = kitchen.wrap(anthropic.AsyncAnthropic(base_url=server.url, api_key="k"))

    async def cancelled() -> None:
        async def read() -> None:
            async for _ in await wrapped.messages.create(
                model="m", max_tokens=9, messages=[{"role": "user", "content": "x"}], stream=True
            ):
                pass

        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(read(), 0.2)
        await wrapped.close()

    asyncio.run(cancelled())
    (call,) = kitchen.calls
    assert call.error == "CancelledError"
