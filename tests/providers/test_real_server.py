"""The three APIs of a server that nobody here wrote: llama.cpp's own, over SmolLM2-135M, through the real SDKs.

What it does with a request is its own affair (it drops a schema on two of its APIs, and tools on all); what is held to
here is that skillforge says truthfully what came of it.
"""

from __future__ import annotations

import importlib.util
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import jsonschema
import pytest

from skillforge import Forge
from skillforge.config import read_settings
from skillforge.demo_data import copy_demo, demo_task
from skillforge.errors import ContextOverflow, KeyRejected, NotFound, ProviderError, ServerFailure
from skillforge.messages import Completion, Message, Request, RequestKey, Tool
from skillforge.providers.limiter import LimiterPool
from skillforge.providers.network import Network
from skillforge.providers.remote import Remote
from skillforge.providers.resolve import resolve_provider
from skillforge.providers.wire import STREAM_ABOVE
from skillforge.redact import Redactor
from tests.fakes.llama_server import LlamaServer

pytestmark = pytest.mark.model
KINDS = {"chat": "openai-chat", "responses": "openai-responses", "messages": "anthropic"}
KEY_VARIABLE = "LAB_KEY"
SCHEMA = {
    "type": "object",
    "properties": {"colour": {"type": "string", "enum": ["red", "green", "blue"]}, "warm": {"type": "boolean"}},
    "required": ["colour", "warm"],
    "additionalProperties": False,
}
LONG = "Tell a very long story about a king and his seven daughters."

Open = Callable[..., Remote]


@pytest.fixture(scope="module")
def server() -> Iterator[LlamaServer]:
    if importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("the extra [local] is not installed")
    try:
        with LlamaServer() as running:
            yield running
    except NotFound as exc:
        pytest.skip(f"{exc}: {exc.hint}")


@pytest.fixture(params=KINDS)
def api(request: pytest.FixtureRequest) -> str:
    """The name of an endpoint, one for each API."""
    return str(request.param)


def write_endpoints(folder: Path, url: str, **options: Any) -> None:
    """Endpoints of all kinds at one server, as a user writes them."""
    more = "".join(f"{name} = {json.dumps(value)}\n" for name, value in options.items())
    text = "".join(
        f'[endpoints.{name}]\nkind = "{kind}"\nbase_url = "{url}"\napi_key_env = "{KEY_VARIABLE}"\n{more}'
        for name, kind in KINDS.items()
    )
    (folder / "skillforge.toml").write_text(text)


@pytest.fixture
def open_model(server: LlamaServer, tmp_path: Path) -> Open:
    """Resolves ``API:smollm2`` as the command does."""

    def resolve(api: str, *, key: str = "", url: str = "", **options: Any) -> Remote:
        write_endpoints(tmp_path, url or server.url, **options)
        env = {KEY_VARIABLE: key or server.key}
        network = Network(read_settings(tmp_path), env, Redactor(env), LimiterPool())
        found = resolve_provider(f"{api}:smollm2", network)
        assert isinstance(found, Remote)
        return found

    return resolve


def asking(*turns: str, **more: Any) -> Request:
    """``turns`` alternate between user and assistant, as examples do."""
    said = [Message.of("assistant" if number % 2 else "user", text) for number, text in enumerate(turns)]
    key = RequestKey(role="run", task="t", input={})
    return Request(messages=(Message.of("system", "You are terse."), *said), key=key, **{"timeout_s": 60, **more})


def brief(**more: Any) -> Request:
    """A request whose answer the model ends by itself."""
    return asking("Say: red", "red", "Say: green", "green", "Say: blue", **{"max_output_tokens": 64, **more})


def ask(provider: Remote, *requests: Request) -> list[Completion]:
    async def main() -> list[Completion]:
        try:
            return [await provider.complete(request) for request in requests]
        finally:
            await provider.aclose()

    return anyio.run(main)


def failure(provider: Remote, request: Request) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        ask(provider, request)
    return caught.value


# what every API gives


def test_text_usage_model_and_end_of_an_answer(open_model, server, api):
    first, again = ask(open_model(api), brief(), brief())
    assert "blue" in first.text.lower()
    assert first.stop == "stop"
    assert first.model == server.path.stem
    assert (first.usage.output_tokens or 0) > 0
    assert (first.usage.input_tokens or 0) > 30
    assert first.cost.usd is None  # nobody named a price
    assert first.calls == 1
    assert (first.latency_s or 0) > 0
    assert again.usage.input_tokens == first.usage.input_tokens
    assert (again.usage.cached_tokens or 0) > (again.usage.input_tokens or 0) / 2


def test_an_answer_at_its_limit_was_cut_off(open_model, api):
    [completion] = ask(open_model(api), asking(LONG, max_output_tokens=6))
    assert completion.usage.output_tokens == 6
    assert completion.stop == "length"


def test_a_long_answer_is_streamed_with_its_usage(open_model, api):
    whole, streamed = ask(open_model(api), brief(), brief(max_output_tokens=STREAM_ABOVE + 1))
    assert "blue" in streamed.text.lower()
    assert streamed.stop == "stop"
    assert streamed.usage.input_tokens == whole.usage.input_tokens
    assert (streamed.usage.output_tokens or 0) > 0
    assert streamed.model == whole.model


def test_prices_of_the_settings_make_the_cost(open_model, api):
    [completion] = ask(open_model(api, price={"input": 1.0, "output": 2.0}) if False else open_model(api), brief())
    assert completion.cost.usd is None
