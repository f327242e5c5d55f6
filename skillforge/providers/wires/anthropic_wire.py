"""Anthropic's messages API, and servers that speak it, through the ``anthropic`` SDK.

Facts this rests on (anthropic 2.12): an explicit ``api_key`` and ``base_url`` beat every environment variable and
profile on disk, but headers from ANTHROPIC_CUSTOM_HEADERS are merged in, even an ``authorization``. The key goes out as
``authorization: Bearer`` only; many compatible servers want ``x-api-key``. The SDK follows redirects, with the body and
that header even to other hosts; it reads error bodies of any size; and it takes a stream without its end for an answer.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from typing import Any
from urllib.parse import urlsplit

import anyio
from anyio.lowlevel import RunVar

from skillforge.errors import ProviderTimeout, ServerFailure, UsageError
from skillforge.messages import Completion, Request
from skillforge.providers.wires.body import MAX_BODY, MAX_ERROR_BODY, MAX_STREAM, client_timeout, whole_body
from skillforge.providers.wires.messages_format import completion_of, messages_body, output_limit
from skillforge.providers.wires.messages_stream import MessageStream
from skillforge.providers.wires.reading import parsed, refuse_page
from skillforge.providers.wires.sdk_errors import translating
from skillforge.providers.wires.sse import json_events
from skillforge.providers.wires.tls import tls_context
from skillforge.providers.wires.wire import STREAM_ABOVE, Address, Dialect

_PUBLIC_HOST = "api.anthropic.com"
_CUSTOM_HEADERS = "ANTHROPIC_CUSTOM_HEADERS"
_EFFORTS = ("none", "low", "medium", "high", "xhigh", "max")


class AnthropicMessages:
    """A ``Wire``. The SDK is imported and a client made at the first call in each event loop.

    ``key`` may be empty for servers that need none. ``headers`` are sent as they are, over those of the wire.
    ``clean`` takes secrets out of a server's words. Raises ``UsageError`` for an effort the API does not have.
    """

    def __init__(self, address: Address, *, key: str, headers: Mapping[str, str], clean: Callable[[str], str]) -> None:
        effort = address.options.effort
        if effort is not None and effort not in _EFFORTS:
            raise UsageError(
                f"{address.name} has no effort {effort!r}", hint=f"set effort to one of {', '.join(_EFFORTS)}"
            )
        self._address = address
        self._key = key
        self._headers = dict(headers)
        self._clean = clean
        self._client: RunVar[Any] = RunVar("client")  # connections belong to their event loop

    async def call(self, request: Request, dialect: Dialect) -> Completion:
        """One POST. The time limit bounds the whole call, a slow drip of bytes included; cancelling closes the
        connection.
        """
        address = self._address
        stream = output_limit(request, address) > STREAM_ABOVE
        body = messages_body(request, address, dialect, stream=stream)
        timeout_s = address.options.timeout_s or request.timeout_s
        with translating(address.name, self._clean):
            client = self._open()
            started = time.monotonic()
            with anyio.move_on_after(timeout_s):
                response = await self._response(client, body, timeout_s)
                latency_s = time.monotonic() - started
                return completion_of(response, address=address, latency_s=latency_s, clean=self._clean)
        raise ProviderTimeout(
            f"{address.name} gave no answer within {timeout_s:g} s",
            hint="allow more time (timeout_s), or ask for fewer output tokens",
            maybe_billed=True,
        )

    async def aclose(self) -> None:
        """Close the connections of this event loop. Idempotent; a later call opens new ones."""
        client = self._client.get(None)
        if client is not None:
            self._client.set(None)
            with anyio.CancelScope(shield=True):
                await client.close()

    def _open(self) -> Any:
        client = self._client.get(None)
        if client is None:
            client = self._new_client()
            self._client.set(client)
        return client

    def _new_client(self) -> Any:
        import anthropic

        base_url = self._address.base_url
        with _no_custom_headers():
            return anthropic.AsyncAnthropic(
                api_key=self._key or "none",  # with none at all the SDK looks for profiles on disk
                base_url=base_url,
                default_headers=self._default_headers(),
                max_retries=0,
                open_telemetry=False,  # else environment variables could send the texts to a collector
                http_client=anthropic.DefaultAsyncHttpxClient(
                    verify=tls_context(),
                    base_url=base_url,
                    follow_redirects=False,
                    event_hooks={"response": [_shorten_error]},
                ),
            )

    async def _response(self, client: Any, body: dict[str, Any], timeout_s: float) -> Mapping[str, Any]:
        """The response as JSON, unparsed by the SDK: its models take anything for an answer."""
        timeout = client_timeout(timeout_s)
        create = client.messages.with_streaming_response.create
        async with create(**body, timeout=timeout) as sdk_response:
            http = sdk_response.http_response
            refuse_page(http.headers, self._address.name)
            async with aclosing(http.aiter_bytes()) as chunks:
                if "stream" in body and not http.headers.get("content-type", "").startswith("application/json"):
                    return await self._streamed(chunks)
                value = parsed(await whole_body(chunks))
        if not isinstance(value, Mapping):
            raise ServerFailure(f"{self._address.name}: the answer is no JSON object", maybe_billed=True)
        return value

    async def _streamed(self, chunks: AsyncIterator[bytes]) -> Mapping[str, Any]:
        stream = MessageStream(self._address.name, self._clean)
        async with aclosing(json_events(chunks, most_event=MAX_BODY, most_stream=MAX_STREAM)) as events:
            async for event in events:
                if stream.add(event):
                    return stream.response()
        raise stream.cut()

    def _default_headers(self) -> dict[str, str]:
        """Never given per call: the SDK's debug log shows those."""
        own_server = urlsplit(self._address.base_url).hostname == _PUBLIC_HOST
        second = {"x-api-key": self._key} if self._key and not own_server else {}
        return {**second, **self._headers}


@contextmanager
def _no_custom_headers() -> Iterator[None]:
    """Without ANTHROPIC_CUSTOM_HEADERS while the SDK looks: they would go to any server, and over the key's own."""
    lines = os.environ.pop(_CUSTOM_HEADERS, None)
    try:
        yield
    finally:
        if lines is not None:
            os.environ[_CUSTOM_HEADERS] = lines


async def _shorten_error(response: Any) -> None:
    """Cut an error's body: the SDK reads all of it, whatever its size. What is left is dropped with the connection."""
    if not response.is_success:
        response.stream = _shortened(response.stream)


def _shortened(stream: Any) -> Any:
    import httpx2

    class Shortened(httpx2.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            left = MAX_ERROR_BODY
            async for chunk in stream:
                yield chunk[:left]
                left -= len(chunk)
                if left <= 0:
                    return

        async def aclose(self) -> None:
            await stream.aclose()

    return Shortened()
