"""From the name of a network model to a provider: its address, key, wire, limiter and price."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from urllib.parse import urlsplit

from skillforge.canonical import compact
from skillforge.config import Settings
from skillforge.endpoints import Endpoint, Kind, ModelOptions
from skillforge.errors import UsageError
from skillforge.keys import KEY_VARIABLES, find_key
from skillforge.providers.limiter import Limiter, LimiterPool
from skillforge.providers.prices import pricer
from skillforge.providers.remote import Remote
from skillforge.providers.wires.tls import tls_context
from skillforge.providers.wires.wire import THINKING_TOKENS, Address, Wire
from skillforge.redact import Redactor

CONCURRENCY = 32  # calls at once at most; the limiter finds out how many the provider takes
LOCAL_CONCURRENCY = 4  # a server on this machine gets slower, not faster, beyond that


_SDK: Mapping[Kind, str] = {
    "anthropic": "anthropic.resources.messages",
    "openai-chat": "openai.resources.chat.completions",
    "openai-responses": "openai.resources.responses",
}


_CREDENTIAL_HEADER = re.compile(r"authorization|cookie|credential|key|passw|secret|token", re.IGNORECASE)


@dataclass(frozen=True)
class _Public:
    """A provider known by name. ``variable`` overrides its address, as its own SDK does."""

    kind: Kind
    base_url: str
    variable: str


PUBLIC: Mapping[str, _Public] = {
    "anthropic": _Public("anthropic", "https://api.anthropic.com", "ANTHROPIC_BASE_URL"),
    "openai": _Public("openai-responses", "https://api.openai.com/v1", "OPENAI_BASE_URL"),
}


@dataclass(frozen=True)
class Network:
    """What the network models of one repository share: settings, environment, limiters, and the redactor, which learns
    every key that is used.
    """

    settings: Settings
    env: Mapping[str, str]
    redactor: Redactor
    limiters: LimiterPool

    def knows(self, prefix: str) -> bool:
        return prefix in PUBLIC or prefix in self.settings.endpoints

    def provider(self, name: str) -> Remote:
        """The model called ``name`` (``anthropic:…``, ``openai:…``, ``ENDPOINT:…``). No key is looked up yet.

        Raises ``UsageError`` for options that its API does not have.
        """
        prefix = name.partition(":")[0]
        endpoint, address = self.endpoint(prefix), self.address(name)
        most = address.options.concurrency or (LOCAL_CONCURRENCY if is_local(endpoint.base_url) else CONCURRENCY)
        wire_of = _wire_class(address)

        def connect() -> Wire:
            key, headers = self.key(prefix), self._headers(endpoint)
            import_module(_SDK[address.kind])  # now: in the middle of an eval it would hold up every other answer
            tls_context()
            return wire_of(address, key=key, headers=headers, clean=self.redactor.text)

        def limiter() -> Limiter:
            return self.limiters.get(endpoint.base_url, self.key(prefix), most)

        return Remote(address, connect, limiter=limiter, price=pricer(address), most=most)

    def address(self, name: str) -> Address:
        """Where that model is asked, and how."""
        prefix, _, model = name.partition(":")
        endpoint = self.endpoint(prefix)
        options = self.settings.models.get(name, ModelOptions()).over(endpoint)
        if options.thinking_tokens is None:
            thinks = options.effort != "none" and (prefix in PUBLIC or options.effort is not None)
            options = options.model_copy(update={"thinking_tokens": THINKING_TOKENS if thinks else 0})
        return Address(name, endpoint.kind, endpoint.base_url, model, options, _route(endpoint))

    def endpoint(self, prefix: str) -> Endpoint:
        """The server behind a prefix. The address of a public one is its own or its environment variable's."""
        if prefix not in PUBLIC:
            found = self.settings.endpoints[prefix]
            return found.model_copy(update={"base_url": _rooted(found.kind, found.base_url)})
        public = PUBLIC[prefix]
        base_url = self.env.get(public.variable, "").strip() or public.base_url
        try:
            endpoint = Endpoint(kind=public.kind, base_url=base_url, api_key_env=KEY_VARIABLES[prefix])
        except ValueError:  # not the cause: it quotes the address, which may hold a password
            raise UsageError(
                f"{public.variable} is no address", hint="unset it, or make it https://HOST/PATH"
            ) from None
        return endpoint.model_copy(update={"base_url": _rooted(endpoint.kind, endpoint.base_url)})

    def key(self, prefix: str) -> str:
        """The key of a server, empty where it needs none. Raises ``UsageError`` when it is not set anywhere."""
        variable = self.endpoint(prefix).api_key_env
        return self._secret(variable, f"no key for {prefix}", f"skillforge keys set {prefix}") if variable else ""

    def _headers(self, endpoint: Endpoint) -> dict[str, str]:
        from_env = {
            header: self._secret(variable, f"no value for the header {header}", f"skillforge keys set {variable}")
            for header, variable in endpoint.header_env.items()
        }
        for header, value in endpoint.headers.items():  # they belong in header_env, but people write them here
            if _CREDENTIAL_HEADER.search(header):
                self.redactor.learn(value)
                self.redactor.learn(value.rpartition(" ")[2])  # without "Bearer"
        return {**endpoint.headers, **from_env}

    def _secret(self, variable: str, problem: str, command: str) -> str:
        found = find_key(variable, self.env)
        if found is None:
            raise UsageError(f"{problem}: {variable} is not set", hint=f"export {variable}=…, or {command}")
        self.redactor.learn(found.value)
        return found.value


def _route(endpoint: Endpoint) -> str:
    """The headers that are no credentials, as one text: some gateways choose the model by them. Of a value in the
    environment only its variable counts.
    """
    told = {**endpoint.headers, **{header: f"${variable}" for header, variable in endpoint.header_env.items()}}
    plain = {header.lower(): value for header, value in told.items() if not _CREDENTIAL_HEADER.search(header)}
    return compact(dict(sorted(plain.items()))) if plain else ""


def is_local(base_url: str) -> bool:
    """Whether the address is on this machine."""
    host = urlsplit(base_url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _rooted(kind: Kind, base_url: str) -> str:
    """The address as its SDK wants it: Anthropic's adds ``/v1`` itself, OpenAI's does not.

    People write both, and a server's root; all servers of these kinds answer below ``/v1``.
    """
    if kind == "anthropic":
        return base_url.removesuffix("/v1")
    return base_url if urlsplit(base_url).path else f"{base_url}/v1"


def _wire_class(address: Address) -> Callable[..., Wire]:
    """The class that speaks this kind. Its SDK is imported at the first call only."""
    if address.kind == "anthropic":
        from skillforge.providers.wires.anthropic_wire import AnthropicMessages

        return AnthropicMessages
    from skillforge.providers.wires.openai_wire import OpenAIChat, OpenAIResponses

    return OpenAIChat if address.kind == "openai-chat" else OpenAIResponses
