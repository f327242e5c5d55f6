from __future__ import annotations

import os
from typing import Any

import pytest

from skillforge.config import Settings
from skillforge.errors import UsageError
from skillforge.keys import store_key
from skillforge.messages import Usage
from skillforge.providers.limiter import LimiterPool
from skillforge.providers.network import CONCURRENCY, LOCAL_CONCURRENCY, Network, is_local
from skillforge.providers.wires.wire import THINKING_TOKENS
from skillforge.redact import Redactor

SECRET = "fk-" + "9d1f" * 8


def network(env: dict[str, str] | None = None, **settings: Any) -> Network:
    return Network(Settings.model_validate(settings), env or {}, Redactor(), LimiterPool())


def endpoint(**more: Any) -> dict[str, Any]:
    return {"own": {"kind": "openai-chat", "base_url": "http://localhost:8080", **more}}


def test_public_providers_have_their_address_and_keys_variable():
    found = network().endpoint("anthropic")
    assert (found.kind, found.base_url, found.api_key_env) == (
        "anthropic",
        "https://api.anthropic.com",
        "ANTHROPIC_API_KEY",
    )
    assert network().endpoint("openai").kind == "openai-responses"


def test_the_sdks_own_variables_move_a_public_provider_and_its_fingerprint():
    moved = network({"ANTHROPIC_BASE_URL": "https://gateway.test/anthropic/"})
    assert moved.endpoint("anthropic").base_url == "https://gateway.test/anthropic"
    name = "anthropic:claude-haiku-5-5"
    assert moved.provider(name).fingerprint() != network().provider(name).fingerprint()
    with pytest.raises(UsageError, match="ANTHROPIC_BASE_URL"):
        network({"ANTHROPIC_BASE_URL": "gateway"}).endpoint("anthropic")


@pytest.mark.parametrize(
    ("kind", "given", "meant"),
    [
        ("anthropic", "https://x.test/v1", "https://x.test"),
        ("anthropic", "https://x.test/v1/", "https://x.test"),
        ("anthropic", "https://x.test/claude", "https://x.test/claude"),
        ("openai-chat", "http://localhost:11434", "http://localhost:11434/v1"),
        ("openai-chat", "http://localhost:11434/", "http://localhost:11434/v1"),
        ("openai-responses", "https://x.test/openai/v1", "https://x.test/openai/v1"),
    ],
)
def test_an_address_may_be_written_with_or_without_v1(kind, given, meant):
    assert network(endpoints=endpoint(kind=kind, base_url=given)).endpoint("own").base_url == meant


def test_no_key_is_looked_up_before_the_model_is_opened():
    found = network().provider("anthropic:claude-haiku-5-5")
    assert found.price(Usage(input_tokens=1_000_000, output_tokens=0)).usd is not None
    with pytest.raises(UsageError, match="ANTHROPIC_API_KEY is not set") as caught:
        found.open()
    assert "skillforge keys set anthropic" in caught.value.hint


def test_a_key_is_learnt_by_the_redactor_wherever_it_comes_from():
    store_key("OWN_KEY", SECRET, where="file")
    own = network(dict(os.environ), endpoints=endpoint(api_key_env="OWN_KEY"))
    own.provider("own:m").open()
    assert SECRET not in own.redactor.text(f"the key {SECRET} leaked")


def test_a_server_without_a_key_variable_needs_none_and_a_missing_header_is_named():
    assert network(endpoints=endpoint()).key("own") == ""
    headers = network(endpoints=endpoint(header_env={"x-team": "TEAM_TOKEN"}))
    with pytest.raises(UsageError, match="x-team: TEAM_TOKEN is not set"):
        headers.provider("own:m").open()


def test_models_of_one_server_and_key_share_one_limiter_and_other_keys_do_not():
    env = {"A": "key-aaaaaaaa", "B": "key-bbbbbbbb"}
    server = {"kind": "openai-chat", "base_url": "https://x.test/v1"}
    both = network(env, endpoints={"a": {**server, "api_key_env": "A"}, "b": {**server, "api_key_env": "B"}})
    limiters = [both.limiters.get("https://x.test/v1", both.key(prefix), 8) for prefix in ("a", "a", "b")]
    assert limiters[0] is limiters[1]
    assert limiters[0] is not limiters[2]


def test_room_to_think_is_given_where_models_think_unasked():
    def room(name: str, **settings: Any) -> int | None:
        return network(endpoints=endpoint(), **settings).provider(name)._address.options.thinking_tokens

    assert room("anthropic:x") == room("openai:x") == THINKING_TOKENS
    assert room("own:x") == 0
    assert room("own:x", models={"own:x": {"effort": "low"}}) == THINKING_TOKENS
    assert room("openai:x", models={"openai:x": {"effort": "none"}}) == 0
    assert room("openai:x", models={"openai:x": {"thinking_tokens": 7}}) == 7


def test_a_server_on_this_machine_gets_fewer_calls_at_once():
    assert network(endpoints=endpoint()).provider("own:m").concurrency == LOCAL_CONCURRENCY
    assert network(endpoints=endpoint(concurrency=9)).provider("own:m").concurrency == 9
    assert network().provider("openai:m").concurrency == CONCURRENCY
    assert [
        is_local(url) for url in ("http://127.0.0.1:1", "http://[::1]:1", "http://a.localhost", "http://10.0.0.1")
    ] == [
        True,
        True,
        True,
        False,
    ]


def test_what_cannot_change_an_answer_is_not_in_the_fingerprint():
    def printed(**options: Any) -> str:
        return network(endpoints=endpoint(**options)).provider("own:m").fingerprint()

    plain = printed()
    same = ({"timeout_s": 5}, {"concurrency": 3}, {"price": {"input": 1, "output": 1}}, {"api_key_env": "X"})
    assert {printed(**options) for options in same} == {plain}
    other = ({"temperature": 0.5}, {"effort": "low"}, {"structured": "prompt"}, {"base_url": "http://localhost:1/v1"})
    assert len({plain, *(printed(**options) for options in other)}) == 5


def test_a_model_that_the_price_list_marks_is_known_to_end():
    from skillforge.endpoints import ModelOptions
    from skillforge.providers.retirement import retirement
    from skillforge.providers.wires.wire import Address

    marked = Address("m", "openai-chat", "https://api.x.ai/v1", "grok-2-1212", ModelOptions())
    found = retirement(marked)
    assert found is not None
    assert (found.day, found.source.startswith("genai-prices")) == (None, True)
    assert retirement(Address("m", "openai-chat", "http://127.0.0.1:9/v1", "grok-2-1212", ModelOptions())) is None


def test_a_model_calls_tools_unless_the_settings_say_that_it_cannot():
    plain = network(endpoints=endpoint()).provider("own:m")
    without = network(endpoints=endpoint(tools=False)).provider("own:m")
    one = network(endpoints=endpoint(), models={"own:m": {"tools": False}}).provider("own:m")
    assert (plain.native_tools, without.native_tools, one.native_tools) == (True, False, False)
    assert plain.fingerprint() != without.fingerprint() == one.fingerprint()
    assert network(endpoints=endpoint(tools=True)).provider("own:m").fingerprint() == plain.fingerprint()
