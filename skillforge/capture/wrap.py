"""A client of the official SDKs that records what it asks."""

from __future__ import annotations

from functools import cached_property
from typing import Any, TypeVar

from skillforge.call import Api
from skillforge.capture.context import Labels, current_labels
from skillforge.capture.exchange import Exchange, Policy
from skillforge.capture.recorder import Recorder
from skillforge.capture.transport import library_of, twin_of
from skillforge.errors import UsageError

Client = TypeVar("Client")

# What is recorded, by the SDK that asks: how the path ends, and the API. What stands before it is the server's address.
_PATHS: dict[str, tuple[tuple[str, Api], ...]] = {
    "anthropic": (("/v1/messages", "anthropic"), ("/messages", "anthropic")),
    "openai": (("/chat/completions", "openai-chat"), ("/responses", "openai-responses")),
}
# clients whose requests go to paths, and in shapes, of their clouds
_OTHER_PATHS = ("anthropic.lib.bedrock._client", "anthropic.lib.vertex")


def wrap_client(client: Client, recorder: Recorder, policy: Policy, labels: Labels) -> Client:
    """A client like ``client`` whose calls ``recorder`` receives. ``client`` itself stays as it is.

    It is the SDK's own copy of the client (``client.copy``, which knows what belongs to one) around a twin of its HTTP
    client, so all that the SDK does above HTTP is the SDK's: helpers, retries, parsing, errors. Copies of it record
    too. Raises ``UsageError`` for what is no such client.
    """
    sdk = _sdk_of(type(client))
    http: Any = getattr(client, "_client", None)
    if not sdk or not library_of(type(http)):
        hint = "give it a client: anthropic.Anthropic(), openai.OpenAI(), their Async forms, or a subclass"
        raise UsageError(f"cannot wrap a {type(client).__name__}", hint=hint)
    twin = twin_of(http, Tap(recorder, policy, labels, _PATHS[sdk]))
    try:
        wrapped: Client = client.copy(http_client=twin)  # type: ignore[attr-defined]
    except TypeError as exc:
        hint = "its class must take its base class's arguments, as client.copy() and client.with_options() need"
        raise UsageError(f"cannot copy a {type(client).__name__}: {exc}", hint=hint) from exc
    _carry_over(client, wrapped)
    return wrapped


def keys_of(client: object) -> list[str]:
    """The keys that a client sends, which must not be found in what is stored."""
    named = (getattr(client, name, None) for name in ("api_key", "auth_token", "admin_api_key"))
    return [key for key in named if isinstance(key, str) and key]


class Tap:
    """Follows the requests of one wrapped client that ask a model something."""

    def __init__(self, recorder: Recorder, policy: Policy, labels: Labels, paths: tuple[tuple[str, Api], ...]) -> None:
        self._recorder = recorder
        self._policy = policy
        self._labels = labels
        self._paths = paths

    def begin(self, request: Any) -> Exchange | None:
        """The exchange to follow. Files, batches, token counts and looked-up responses ask no model."""
        try:
            if request.method != "POST":
                return None
            path = request.url.path
            for ending, api in self._paths:
                if path.endswith(ending):
                    server = _server(request.url, path.removesuffix(ending))
                    labels = current_labels().over(self._labels)
                    return Exchange(api, server, request.content, labels, self._policy, self._recorder.put)
        except Exception as exc:
            self.lost(exc)
        return None

    def lost(self, exc: BaseException) -> None:
        self._recorder.drop(f"a request could not be followed ({type(exc).__name__})")


def _server(url: Any, path: str) -> str:
    """The base address, without user, password and query."""
    port = f":{url.port}" if url.port else ""
    host = f"[{url.host}]" if ":" in url.host else url.host
    return f"{url.scheme}://{host}{port}{path}"


def _sdk_of(cls: type) -> str:
    """Which SDK a class of clients is of; empty for none, and for those that ask elsewhere."""
    modules = [base.__module__ for base in cls.__mro__]
    if any(module.startswith(_OTHER_PATHS) for module in modules):
        raise UsageError(
            f"the calls of {cls.__name__} cannot be recorded: they go to its cloud's own paths",
            hint="wrap an Anthropic client, or import that cloud's logs: skillforge log import FILE",
        )
    roots = {module.partition(".")[0] for module in modules if module.endswith("._base_client")}
    return next((sdk for sdk in _PATHS if sdk in roots), "")


def _carry_over(client: Any, wrapped: Any) -> None:
    """What ``copy`` forgets: strict validation, and what a subclass or the caller put on the client."""
    for name, value in vars(client).items():
        cached = isinstance(getattr(type(client), name, None), cached_property)  # bound to the other client
        if not cached and name not in vars(wrapped):
            setattr(wrapped, name, value)
    wrapped._strict_response_validation = client._strict_response_validation
