"""What a recorded call cost, and what it would have cost without a prompt cache."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from skillforge.call import Api, Call
from skillforge.endpoints import ModelOptions
from skillforge.errors import UsageError
from skillforge.messages import Cost, Usage
from skillforge.providers.network import PUBLIC
from skillforge.providers.prices import Pricer, pricer
from skillforge.providers.wires.wire import Address

if TYPE_CHECKING:
    from skillforge.forge.workspace import Workspace

# Tiers that cost half of the list price: https://platform.openai.com/docs/guides/batch and …/guides/flex-processing,
# Anthropic's batches likewise
_HALF = ("batch", "flex")
_PUBLIC_OF: dict[Api, str] = {"anthropic": "anthropic", "openai-chat": "openai", "openai-responses": "openai"}


def call_pricer(work: Workspace) -> Callable[[Call], Call]:
    """A function that gives a call its ``cost`` and ``list_usd`` where it has none; what is unknown stays ``None``.

    A price of the user's own goes first: that of the model on the endpoint of ``skillforge.toml`` with the call's
    server, or of the public provider. Else it is the price list's for that server, for the API's own public one where
    the server is not known. Calls of a batch or of OpenAI's flex processing (``service_tier``) cost half.
    """

    @lru_cache(maxsize=256)
    def price_of(api: Api, server: str, model: str) -> Pricer:
        return pricer(_address(work, api, server, model))

    def priced(call: Call) -> Call:
        if call.cost.usd is not None and call.list_usd is not None:
            return call
        price = price_of(call.api, call.server, call.model)
        cost = price(call.usage, call.resolved)
        found: dict[str, object] = {}
        if call.cost.usd is None:
            tier = call.params.get("service_tier")
            found["cost"] = _halved(cost, tier) if tier in _HALF else cost
        if call.list_usd is None:
            cached = call.usage.cached_tokens or call.usage.written_tokens
            found["list_usd"] = (price(_uncached(call.usage), call.resolved) if cached else cost).usd
        return call.model_copy(update=found)

    return priced


def _address(work: Workspace, api: Api, server: str, model: str) -> Address:
    network = work.network
    wanted = _plain(server or PUBLIC[_PUBLIC_OF[api]].base_url)
    for prefix, public in PUBLIC.items():
        if _plain(public.base_url) == wanted:  # whatever address variable the shell holds: the call is from elsewhere
            name = f"{prefix}:{model}"
            return Address(name, api, public.base_url, model, network.settings.models.get(name, ModelOptions()))
    for prefix in (*network.settings.endpoints, *PUBLIC):
        with suppress(UsageError):  # an address variable that holds no address
            if _plain(network.endpoint(prefix).base_url) == wanted:
                return network.address(f"{prefix}:{model}")
    return Address(model, api, server, model, ModelOptions())


def _plain(url: str) -> str:
    """An address as two writings of it have it in common: programs end it with ``/v1`` or not."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    return f"{parts.netloc.lower()}{parts.path.rstrip('/').removesuffix('/v1')}"


def _uncached(usage: Usage) -> Usage:
    return usage.model_copy(update={"cached_tokens": 0, "written_tokens": 0})


def _halved(cost: Cost, tier: str) -> Cost:
    usd = None if cost.usd is None else cost.usd / 2
    return cost.model_copy(update={"usd": usd, "basis": f"{cost.basis}, half of it as {tier}" if usd else cost.basis})
