"""What a call costs: the user's own price, else the list price of genai-prices, else unknown (never zero).

Each call is priced on its own: providers raise their rates above a prompt length, so the price of a sum of calls is not
the sum of their prices.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from skillforge.endpoints import Price
from skillforge.messages import Cost, Usage
from skillforge.providers.wires.wire import Address

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, Provider

Pricer = Callable[[Usage, str], Cost]

_OWN_HOSTS = {"api.anthropic.com": "anthropic", "api.openai.com": "openai"}
_MOST_TOKENS = 10**12  # of one call; what a server tells beyond that is nonsense
_LONGEST_NAME = 200  # characters of a model's name; a longer one is nobody's
_MILLION = Decimal(1_000_000)


def pricer(address: Address) -> Pricer:
    """A function from the usage of one call, and the model the server says it used (may be empty), to its cost.

    The price list is loaded at the first call of that function or of ``has_price``, and only where it is needed.
    """
    own = address.options.price

    def cost(usage: Usage, resolved: str = "") -> Cost:
        counts = _counts(usage)
        if isinstance(counts, str):
            return Cost(estimated=usage.estimated, basis=counts)
        usd, basis = _by_settings(own, counts) if own else _by_list(address, resolved, counts)
        if usd is not None and counts.clamped:
            basis += " (cached tokens beyond the input left out)"
        return Cost(usd=None if usd is None else float(usd), estimated=usage.estimated, basis=basis)

    return cost


def has_price(address: Address) -> bool:
    """Whether the cost of a call to the model is known as soon as its tokens are."""
    return pricer(address)(Usage(input_tokens=0, output_tokens=0), "").usd is not None


def list_says_deprecated(address: Address) -> str:
    """The price list's name where it marks the model as deprecated, else an empty string."""
    from genai_prices import __version__

    listed = None if _is_own_network(address.base_url) else _listed(address.base_url, address.model)
    return f"genai-prices {__version__}" if listed is not None and listed.model.deprecated else ""


@dataclass(frozen=True, slots=True)
class _Counts:
    """Tokens of one call. ``cached`` and ``written`` are parts of ``input``."""

    input: int
    cached: int
    written: int
    output: int
    clamped: bool


@dataclass(frozen=True, slots=True)
class _Listed:
    """A model of the price list, found for one provider."""

    provider: Provider
    model: ModelInfo


def _counts(usage: Usage) -> _Counts | str:
    """The tokens to price, or why there are none. Cached tokens that are not told are none."""
    if usage.input_tokens is None or usage.output_tokens is None:
        return "unknown: the server told no token counts"
    told = (usage.input_tokens, usage.cached_tokens or 0, usage.written_tokens or 0, usage.output_tokens)
    if not all(0 <= count <= _MOST_TOKENS for count in told):
        return "unknown: the server told token counts that cannot be"
    cached = min(told[1], told[0])
    written = min(told[2], told[0] - cached)
    return _Counts(told[0], cached, written, told[3], clamped=(cached, written) != told[1:3])


def _by_settings(price: Price, counts: _Counts) -> tuple[Decimal, str]:
    entry = Decimal(str(price.input))
    cached = entry if price.cached is None else Decimal(str(price.cached))
    written = entry if price.written is None else Decimal(str(price.written))
    output = Decimal(str(price.output))
    plain = counts.input - counts.cached - counts.written
    usd = (plain * entry + counts.cached * cached + counts.written * written + counts.output * output) / _MILLION
    figures = "/".join(f"{rate.normalize():f}" for rate in (entry, cached, written, output))
    return usd, f"skillforge.toml {figures} per M"


def _by_list(address: Address, resolved: str, counts: _Counts) -> tuple[Decimal | None, str]:
    if _is_own_network(address.base_url):
        return None, "unknown: a server on this machine or network may sell any model at any price"
    from genai_prices import Usage as ListUsage
    from genai_prices import __version__

    # asked first: what a server calls its model is its own affair
    listed = _listed(address.base_url, address.model) or _listed(address.base_url, resolved)
    source = f"genai-prices {__version__}"
    if listed is None:
        return None, f"unknown: {source} has no such model of this server"
    usage = ListUsage(
        input_tokens=counts.input,
        cache_read_tokens=counts.cached,
        cache_write_tokens=counts.written,
        output_tokens=counts.output,
    )
    name = f"{listed.provider.id}/{listed.model.id}"
    try:
        found = listed.model.calc_price(usage, listed.provider)
    except (LookupError, ValueError):
        return None, f"unknown: {source} cannot price {name}"
    if found.model_price.input_mtok is None or found.model_price.output_mtok is None:
        return None, f"unknown: {source} has no price of tokens for {name}"  # a missing rate would count as zero
    return found.total_price, f"{source} {name}"


@lru_cache(maxsize=256)
def _listed(base_url: str, model: str) -> _Listed | None:
    """The list's entry for a model of a server, ``None`` where it has none. .2 ms and more, so each is found once."""
    from genai_prices import Usage as ListUsage
    from genai_prices import calc_price

    if not model or len(model) > _LONGEST_NAME:
        return None
    parts = urlsplit(base_url)
    server = f"{parts.scheme}://{parts.hostname}"
    # the list's patterns look for hosts anywhere: the path must not look like one
    url = server + parts.path.replace(".", "_")
    own = _OWN_HOSTS.get(parts.hostname or "")
    nothing = ListUsage(input_tokens=0, output_tokens=0)
    try:
        found = calc_price(nothing, model, provider_id=own) if own else calc_price(nothing, model, provider_api_url=url)
    except (LookupError, ValueError):
        return None
    if own or _names_whole_host(found.provider.api_pattern, url, len(server)):
        return _Listed(found.provider, found.model)
    return None


def _names_whole_host(pattern: str, url: str, host_end: int) -> bool:
    """Whether a provider's pattern covers the host to its end: many are open there, so that
    ``api.openai.com.example.org`` would have OpenAI's prices. One that stops at a dot leaves out the last label.
    """
    match = re.match(pattern, url)
    if match is None:
        return False
    rest = url[match.end() : host_end]
    return not rest or (match[0].endswith(".") and "." not in rest)


def _is_own_network(base_url: str) -> bool:
    """Whether the server's address is none of the public network: loopback, private, or a name without a dot."""
    try:
        host = urlsplit(base_url).hostname or ""
    except ValueError:
        return True
    try:
        return not ipaddress.ip_address(host.partition("%")[0]).is_global
    except ValueError:
        return "." not in host or host.endswith((".localhost", ".local", ".internal", ".lan", ".home.arpa"))
