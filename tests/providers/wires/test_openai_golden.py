"""The bodies that OpenAI's APIs are sent, as files: SKILLFORGE_UPDATE_GOLDEN=1 writes them anew."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming
from pydantic import TypeAdapter

from skillforge.endpoints import Kind
from skillforge.providers.wires.chat_request import chat_body
from skillforge.providers.wires.openai_wire import OpenAIChat, OpenAIResponses
from skillforge.providers.wires.responses_format import responses_body
from skillforge.providers.wires.wire import Address, Dialect
from tests.fakes.llm_server import LLMServer
from tests.providers.wires.golden_cases import CASES, GOLDEN, expected_body

Body = Callable[..., dict[str, Any]]
WIRES: dict[Kind, tuple[Body, Any, Any]] = {
    "openai-chat": (chat_body, CompletionCreateParamsNonStreaming, OpenAIChat),
    "openai-responses": (responses_body, ResponseCreateParamsNonStreaming, OpenAIResponses),
}


@pytest.fixture(params=WIRES)
def kind(request: pytest.FixtureRequest) -> Kind:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def address(kind: Kind, case: str, url: str = "http://127.0.0.1:1") -> Address:
    return Address("openai:gpt-6-luna", kind, f"{url}/v1", "gpt-6-luna", CASES[case][1])


def inner_order(body: dict[str, Any]) -> str:
    """As text, in the order of keys that a model may see: all but the uppermost."""
    return json.dumps(dict(sorted(body.items())))


def test_the_body_is_the_kept_one_and_fits_the_sdks_own_type(kind, case):
    build, params, _ = WIRES[kind]
    body = build(CASES[case][0](), address(kind, case), Dialect(), stream=False)
    kept = expected_body(kind, case, body)
    assert json.dumps(body) == json.dumps(kept)  # order too: caches at the provider match prefixes
    adapter = TypeAdapter(params)
    # unknown keys are dropped at every level: what comes out whole has none
    assert adapter.dump_python(adapter.validate_python(kept), mode="json", warnings=False) == kept


def test_the_sdk_sends_the_kept_body(kind, case):
    async def ask(url: str) -> None:
        wire = WIRES[kind][2](address(kind, case, url), key="k", headers={}, clean=str)
        await wire.call(CASES[case][0](), Dialect())
        await wire.aclose()

    with LLMServer() as server:
        anyio.run(ask, server.url)
        (call,) = server.calls
    kept = (GOLDEN / f"{kind}.{case}.json").read_text(encoding="utf-8")
    assert inner_order(call.body) == inner_order(json.loads(kept))


def test_no_kept_body_is_left_over():
    names = {f"{kind}.{case}.json" for kind in WIRES for case in CASES}
    assert {path.name for path in GOLDEN.glob("openai-*.json")} == names
