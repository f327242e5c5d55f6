"""Prices: hand arithmetic, the list's own rules, the user's prices, and what stays unknown."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from skillforge.endpoints import Kind, ModelOptions, Price
from skillforge.messages import Cost, Usage
from skillforge.providers.prices import has_price, pricer
from skillforge.providers.wires.wire import Address

ANTHROPIC, OPENAI = "https://api.anthropic.com", "https://api.openai.com/v1"


def at(model: str, base_url: str = ANTHROPIC, price: Price | None = None) -> Address:
    kind: Kind = "anthropic" if base_url == ANTHROPIC else "openai-chat"
    return Address(f"x:{model}", kind, base_url, model, ModelOptions(price=price))


def used(sent: int | None, out: int | None, *, cached: int | None = None, written: int | None = None) -> Usage:
    return Usage(input_tokens=sent, output_tokens=out, cached_tokens=cached, written_tokens=written)


def cost(address: Address, usage: Usage, resolved: str = "") -> Cost:
    return pricer(address)(usage, resolved)


# Dollars per million, as published: claude-opus-5-5 4 in, 0.2 cached, 5 written, 20 out; gpt-4o 2.5 in, 1.25 cached,
# 10 out; claude-haiku-5-5 0.1 in and 0.5 out up to 100,000 tokens of input, five times that above.


def test_anthropic_bills_cached_and_written_tokens_at_their_own_rates() -> None:
    found = cost(at("claude-opus-5-5"), used(100_000, 1_000, cached=70_000, written=20_000))
    assert found.usd == (10_000 * 4 + 70_000 * 0.2 + 20_000 * 5 + 1_000 * 20) / 1e6
    assert found.basis.startswith("genai-prices ")
    assert found.basis.endswith(" anthropic/claude-opus-5-5")


def test_openai_bills_cached_tokens_as_a_part_of_the_input() -> None:
    assert cost(at("gpt-4o", OPENAI), used(1_000, 100, cached=400)).usd == (600 * 2.5 + 400 * 1.25 + 100 * 10) / 1e6
    assert cost(at("gpt-4o", OPENAI), used(1_000, 100)).usd == (1_000 * 2.5 + 100 * 10) / 1e6


def test_a_long_prompt_costs_more_so_calls_are_priced_one_by_one() -> None:
    price = pricer(at("claude-haiku-5-5"))
    assert price(used(100_000, 0), "").usd == pytest.approx(0.01)
    assert price(used(100_001, 0), "").usd == pytest.approx(0.050_000_5)
    calls = [price(used(10_000, 0), "").usd or 0.0 for _ in range(20)]
    assert (sum(calls), price(used(200_000, 0), "").usd) == (pytest.approx(0.02), pytest.approx(0.1))


def test_the_asked_model_is_looked_up_before_the_one_the_server_names() -> None:
    assert cost(at("claude-opus-5-5"), used(1_000, 0), "claude-haiku-5-5").basis.endswith("/claude-opus-5-5")
    assert cost(at("my-deployment", OPENAI), used(1_000, 0), "gpt-4o-2024-08-06").basis.endswith("openai/gpt-4o")
    assert cost(at("my-deployment", OPENAI), used(1_000, 0), "x" * 100_000).usd is None


@pytest.mark.parametrize(
    ("model", "base_url", "named"),
    [
        ("openai/gpt-4o", "https://openrouter.ai/api/v1", "openrouter/openai/gpt-4o"),
        ("gpt-4o", "https://acme.openai.azure.com/openai/v1", "azure/gpt-4o"),
        ("deepseek-chat", "https://api.deepseek.com/anthropic", "deepseek/deepseek-chat"),
        ("kimi-k2-0711-preview", "https://api.moonshot.ai/v1", "moonshotai/kimi-k2-0711-preview"),
        ("gpt-4o", "https://API.OpenAI.com:443/v1", "openai/gpt-4o"),
    ],
)
def test_other_servers_are_found_by_their_address(model: str, base_url: str, named: str) -> None:
    assert cost(at(model, base_url), used(1_000, 100)).basis.endswith(named)


@pytest.mark.parametrize(
    ("model", "base_url"),
    [
        ("gpt-99-imaginary", OPENAI),
        ("claude-opus-5-5", OPENAI),
        ("", OPENAI),
        ("tts-1", OPENAI),  # priced by the letter: its tokens have no price, which is not zero
        ("gpt-4o", "https://models.example.org/v1"),
        ("gpt-4o", "https://api.openai.com.example.org/v1"),
        ("gpt-4o", "https://example.org/api.openai.com/v1"),
        ("gemini-2.5-pro", "https://example.org/x.googleapis.com/v1"),
        ("kimi-k2-0711-preview", "https://api.moonshot.example.org/v1"),
        *(
            ("gpt-4o", f"http://{host}/v1")
            for host in (
                "127.0.0.1:8080",
                "localhost:11434",
                "[::1]:1",
                "10.0.0.7",
                "192.168.1.2",
                "gateway",
                "gpu.lan",
            )
        ),
    ],
)
def test_what_has_no_price_is_unknown_and_never_zero(model: str, base_url: str) -> None:
    found = cost(at(model, base_url), used(1_000, 100))
    assert found.usd is None
    assert found.basis.startswith("unknown: ")
    assert not has_price(at(model, base_url))


@pytest.mark.parametrize("usage", [used(None, 5), used(5, None), used(-1, 5), used(5, 10**13), used(5, 5, cached=-1)])
def test_unknown_or_impossible_usage_has_no_price(usage: Usage) -> None:
    for address in (at("claude-opus-5-5"), at("x", price=Price(input=1, output=1))):
        found = cost(address, usage)
        assert (found.usd, found.basis[:9]) == (None, "unknown: ")


def test_the_users_price_comes_first_and_its_figures_are_the_basis() -> None:
    price = Price(input=4, cached=0.2, written=5, output=20.5)
    for address in (at("claude-haiku-5-5", price=price), at("llama", "http://127.0.0.1:1/v1", price)):
        found = cost(address, used(100_000, 1_000, cached=70_000, written=20_000))
        assert found.usd == (10_000 * 4 + 70_000 * 0.2 + 20_000 * 5 + 1_000 * 20.5) / 1e6
        assert found.basis == "skillforge.toml 4/0.2/5/20.5 per M"
        assert has_price(address)


def test_an_unsaid_cache_price_is_the_inputs() -> None:
    found = cost(at("x", price=Price(input=3, output=0)), used(1_000, 50, cached=300, written=300))
    assert (found.usd, found.basis) == (0.003, "skillforge.toml 3/3/3/0 per M")


def test_a_price_of_zero_said_by_the_user_is_zero() -> None:
    assert cost(at("llama", "http://localhost:1/v1", Price(input=0, output=0)), used(9, 9)).usd == 0.0


def test_more_cached_tokens_than_input_are_left_out_and_it_is_said() -> None:
    for price in (None, Price(input=4, cached=0.2, written=5, output=20)):
        found = cost(at("claude-opus-5-5", price=price), used(1_000, 0, cached=800, written=900))
        assert found.usd == (800 * 0.2 + 200 * 5) / 1e6
        assert found.basis.endswith("(cached tokens beyond the input left out)")


def test_estimated_tokens_give_an_estimated_cost() -> None:
    usage = used(10, 10).model_copy(update={"estimated": True})
    assert cost(at("claude-opus-5-5"), usage).estimated
    assert cost(at("nothing"), usage).estimated


@pytest.mark.parametrize("wrong", [{"input": -1}, {"input": "inf"}, {"input": "nan"}, {"cached": float("inf")}])
def test_a_price_is_a_plain_amount(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Price.model_validate({"input": 1, "output": 1, **wrong})


TOKENS = st.integers(0, 2_000_000)
RATES = st.decimals(0, 1_000, places=4, allow_nan=False)


@given(RATES, RATES, RATES, RATES, TOKENS, TOKENS, TOKENS, TOKENS)
def test_the_users_price_is_exact(
    entry: Decimal, cached: Decimal, written: Decimal, output: Decimal, plain: int, hit: int, put: int, out: int
) -> None:
    price = Price(input=float(entry), cached=float(cached), written=float(written), output=float(output))
    found = cost(at("x", price=price), used(plain + hit + put, out, cached=hit, written=put))
    assert found.usd == float((plain * entry + hit * cached + put * written + out * output) / Decimal(1_000_000))


@given(st.sampled_from(["claude-haiku-5-5", "claude-opus-5-5", "mine"]), TOKENS, TOKENS, TOKENS, TOKENS)
def test_more_tokens_never_cost_less(model: str, sent: int, out: int, more_sent: int, more_out: int) -> None:
    price = pricer(at(model, price=Price(input=0.7, output=2.1) if model == "mine" else None))
    less, more = price(used(sent, out), "").usd, price(used(sent + more_sent, out + more_out), "").usd
    assert less is not None
    assert more is not None
    assert 0 <= less <= more


def test_the_list_is_loaded_only_where_it_is_needed() -> None:
    code = (
        "import sys, json\n"
        "from skillforge.providers.prices import has_price, pricer\n"
        "from skillforge.providers.wires.wire import Address\n"
        "from skillforge.endpoints import ModelOptions, Price\n"
        "options = ModelOptions(price=Price(input=1, output=1))\n"
        "own = Address('a:b', 'anthropic', 'https://api.anthropic.com', 'b', options)\n"
        "has_price(own), has_price(Address('a:b', 'anthropic', 'http://127.0.0.1:1', 'b', ModelOptions()))\n"
        "pricer(Address('a:b', 'anthropic', 'https://api.anthropic.com', 'b', ModelOptions()))\n"
        "print(json.dumps(sorted(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"genai_prices", "anthropic", "openai"} & set(json.loads(done.stdout))
