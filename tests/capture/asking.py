"""The same questions over each API of each SDK, sync and async: what a test compares with and without recording."""

from __future__ import annotations

import asyncio
import inspect
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import anthropic
import openai
from pydantic import BaseModel

from skillforge.call import Api

TOOL = {
    "name": "get_order",
    "description": "Look one order up.",
    "schema": {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]},
}


class Ticket(BaseModel):
    queue: Literal["billing", "bug"]


@dataclass(frozen=True)
class Kind:
    """One way to ask: an API, by its SDK's sync or async client."""

    api: Api
    is_async: bool

    def __str__(self) -> str:
        return f"{self.api}-{'async' if self.is_async else 'sync'}"

    def client(self, url: str, **options: Any) -> Any:
        """A client of this kind. ``http_client=None`` gives it the SDK's own; else one that shares its certificates."""
        sdk: Any = anthropic if self.api == "anthropic" else openai
        if "http_client" not in options:
            make = sdk.DefaultAsyncHttpxClient if self.is_async else sdk.DefaultHttpxClient
            options["http_client"] = make(verify=_tls())
        name = f"{'Async' if self.is_async else ''}{'Anthropic' if self.api == 'anthropic' else 'OpenAI'}"
        base_url = url if self.api == "anthropic" else f"{url}/v1"
        return getattr(sdk, name)(
            **{"base_url": base_url, "api_key": "sk-test", "timeout": 5.0, "max_retries": 2, **options}
        )

    def create(self, client: Any) -> Callable[..., Any]:
        return self._resource(client).create

    def body(self, text: str, **more: Any) -> dict[str, Any]:
        if self.api == "openai-responses":
            return {"model": "fake-large", "input": text, **more}
        limit = {"max_tokens": 64} if self.api == "anthropic" else {}
        return {"model": "fake-large", "messages": [{"role": "user", "content": text}], **limit, **more}

    def _resource(self, client: Any) -> Any:
        if self.api == "anthropic":
            return client.messages
        return client.chat.completions if self.api == "openai-chat" else client.responses

    @property
    def tools(self) -> dict[str, Any]:
        if self.api == "anthropic":
            return {
                "tools": [{"name": TOOL["name"], "description": TOOL["description"], "input_schema": TOOL["schema"]}]
            }
        function = {"name": TOOL["name"], "description": TOOL["description"], "parameters": TOOL["schema"]}
        if self.api == "openai-chat":
            return {"tools": [{"type": "function", "function": function}]}
        return {"tools": [{"type": "function", **function}]}

    # what a program does with a client; each gives what it got

    async def text(self, client: Any) -> Any:
        return dump(await now(self.create(client)(**self.body("hello there, how are you?"))))

    async def called_tool(self, client: Any) -> Any:
        return dump(await now(self.create(client)(**self.body("where is order 7?", **self.tools))))

    async def streamed(self, client: Any) -> Any:
        stream = await now(self.create(client)(**self.body("stream it, please", stream=True)))
        return [dump(event) for event in await items(stream)]

    async def helper(self, client: Any) -> Any:
        async with entered(self._resource(client).stream(**self.body("stream it, please"))) as stream:
            seen = [dump(event) for event in await items(stream)]
            final = {
                "anthropic": "get_final_message",
                "openai-chat": "get_final_completion",
                "openai-responses": "get_final_response",
            }[self.api]
            return [*seen, dump(await now(getattr(stream, final)()))]

    async def parsed(self, client: Any) -> Any:
        key = {"anthropic": "output_format", "openai-chat": "response_format", "openai-responses": "text_format"}
        return dump(await now(self._resource(client).parse(**self.body("sort it, please", **{key[self.api]: Ticket}))))

    async def raw(self, client: Any) -> Any:
        response = await now(self._resource(client).with_raw_response.create(**self.body("raw, please")))
        assert response.elapsed.total_seconds() > 0
        return [response.status_code, response.http_response.content, dump(await now(response.parse()))]

    async def raw_streamed(self, client: Any) -> Any:
        asked = self._resource(client).with_streaming_response.create(**self.body("raw, please"))
        async with entered(asked) as response:
            lines = await items(response.iter_lines())
        return [response.status_code, lines]

    async def options(self, client: Any) -> Any:
        other = client.with_options(timeout=4.0, max_retries=0)
        return dump(await now(self.create(other)(**self.body("with options"))))

    async def left_early(self, client: Any) -> Any:
        stream = await now(self.create(client)(**self.body("stream a long answer", stream=True)))
        events = stream.__aiter__() if self.is_async else iter(stream)
        seen = [dump(await events.__anext__() if self.is_async else next(events)) for _ in range(4)]
        await now(stream.close())
        return seen


SCENARIOS = ("text", "called_tool", "streamed", "helper", "parsed", "raw", "raw_streamed", "options")
KINDS = [Kind(api, is_async) for api in ("anthropic", "openai-chat", "openai-responses") for is_async in (False, True)]


def perform(kind: Kind, scenario: str, client: Any, close: bool = True) -> Any:
    """What a program gets: the value, or the error as it sees it."""

    async def one() -> Any:
        try:
            return await getattr(kind, scenario)(client)
        except Exception as exc:  # whatever it is: it must be the same
            told = [getattr(exc, name, None) for name in ("status_code", "body", "code", "type")]
            cause = type(exc.__cause__).__name__ if exc.__cause__ else ""
            return [type(exc), str(exc), told, cause]
        finally:
            if close:
                await now(client.close())

    return asyncio.run(one())


async def now(value: Any | Awaitable[Any]) -> Any:
    return await value if inspect.isawaitable(value) else value


async def items(stream: Any) -> list[Any]:
    return [item async for item in stream] if hasattr(stream, "__aiter__") else list(stream)


@cache
def _tls() -> ssl.SSLContext:
    """Reading the certificates takes longer than most tests."""
    return ssl.create_default_context()


class entered:  # noqa: N801
    """``async with`` around either kind of context manager."""

    def __init__(self, manager: Any) -> None:
        self._manager = manager

    async def __aenter__(self) -> Any:
        manager = self._manager
        return await manager.__aenter__() if hasattr(manager, "__aenter__") else manager.__enter__()

    async def __aexit__(self, *told: Any) -> None:
        manager = self._manager
        await (now(manager.__aexit__(*told)) if hasattr(manager, "__aexit__") else now(manager.__exit__(*told)))


def dump(value: Any) -> Any:
    return value.model_dump(mode="json", warnings=False) if isinstance(value, BaseModel) else value
