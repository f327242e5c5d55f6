"""OpenAI's two APIs, and every server that speaks one of them, through OpenAI's SDK.

The SDK makes the connection, the headers and the body; answers are read from the bytes, because its own readers hold
any amount of them and hand on only what fits its types.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, suppress
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import anyio
from anyio.lowlevel import RunVar

from skillforge.errors import ServerFailure
from skillforge.messages import Completion, Request
from skillforge.providers.wires.body import MAX_BODY, MAX_ERROR_BODY, MAX_STREAM, client_timeout, whole_body
from skillforge.providers.wires.chat_request import chat_body
from skillforge.providers.wires.chat_response import ChatAnswer
from skillforge.providers.wires.reading import parsed, refuse_page
from skillforge.providers.wires.responses_format import completion_of_response, cut_at, final_response, responses_body
from skillforge.providers.wires.sdk_errors import server_error, translating
from skillforge.providers.wires.sse import json_events
from skillforge.providers.wires.tls import tls_context
from skillforge.providers.wires.wire import STREAM_ABOVE, Address, Dialect, options_for

_ERROR_S = 5.0  # to read an error's body


class _OpenAI:
    """What both wires share: the client, the one request, its bounds. Implements ``Wire``.

    ``headers`` go out as they are and may take the place of the key's own. ``clean`` takes secrets out of a text.
    """

    def __init__(self, address: Address, *, key: str, headers: Mapping[str, str], clean: Callable[[str], str]) -> None:
        self._address = address
        self._key = key
        self._headers = dict(headers)
        self._clean = clean
        self._client: RunVar[Any] = RunVar("client")  # connections belong to one event loop

    async def call(self, request: Request, dialect: Dialect) -> Completion:
        """Raises a ``ProviderError`` whose class says whether to ask again."""
        options = options_for(self._address, request)
        stream = request.max_output_tokens + (options.thinking_tokens or 0) > STREAM_ABOVE
        body = self._body(request, dialect, stream)
        seconds = options.timeout_s or request.timeout_s
        client = self._connected()
        started = time.monotonic()
        with translating(self._address.name, self._clean), anyio.fail_after(seconds):
            async with self._sent(client, body, seconds) as response, aclosing(response.iter_bytes()) as chunks:
                refuse_page(response.headers, self._address.name)
                if stream and not response.headers.get("content-type", "").startswith("application/json"):
                    events = json_events(chunks, most_event=MAX_BODY, most_stream=MAX_STREAM)
                    async with aclosing(events):
                        return await self._streamed(events, started)
                return self._whole(parsed(await whole_body(chunks)), started)

    async def aclose(self) -> None:
        """Close the connections of this event loop."""
        client = self._client.get(None)
        if client is not None:
            self._client.set(None)
            await client.close()

    def _body(self, request: Request, dialect: Dialect, stream: bool) -> dict[str, Any]:
        raise NotImplementedError

    def _create(self, client: Any) -> Any:
        raise NotImplementedError

    def _whole(self, answer: Any, started: float) -> Completion:
        raise NotImplementedError

    async def _streamed(self, events: AsyncIterator[Any], started: float) -> Completion:
        raise NotImplementedError

    def _sent(self, client: Any, body: dict[str, Any], seconds: float) -> Any:
        """The response in a context manager, its body not yet read."""
        timeout = client_timeout(seconds)
        # Past the SDK's own copying of the body, which checks every part against every type: 6 of 8 ms a call.
        return self._create(client)(extra_body=body, timeout=timeout, extra_headers=self._left_out())

    def _connected(self) -> Any:
        client = self._client.get(None)
        if client is None:
            with translating(self._address.name, self._clean):  # a header may hold what no header can
                client = self._new_client()
            self._client.set(client)
        return client

    def _new_client(self) -> Any:
        import openai

        key = self._key or "none"  # the SDK takes no empty one, and looks for another in the environment
        authorized = any(name.lower() == "authorization" for name in self._headers)
        return openai.AsyncOpenAI(
            api_key=key,
            admin_api_key="",  # unsaid, it is taken from the environment
            base_url=self._address.base_url,
            max_retries=0,
            default_headers=self._headers if authorized else {"Authorization": f"Bearer {key}", **self._headers},
            http_client=openai.DefaultAsyncHttpxClient(
                verify=tls_context(),
                follow_redirects=False,  # one call is one request, and headers with secrets go to one server
                event_hooks={"response": [self._refused]},
            ),
        )

    def _left_out(self) -> dict[str, Any]:
        """Headers that the SDK would take from the environment: they are meant for OpenAI, or for other programs."""
        import openai

        named = [line.partition(":")[0].strip() for line in os.environ.get("OPENAI_CUSTOM_HEADERS", "").split("\n")]
        host = urlsplit(self._address.base_url).hostname or ""
        if host != "api.openai.com" and not host.endswith(".api.openai.com"):
            named += ["OpenAI-Organization", "OpenAI-Project"]
        own = {"authorization", *(name.lower() for name in self._headers)}
        return {name: openai.Omit() for name in named if name and name.lower() not in own}

    async def _refused(self, response: Any) -> None:
        """Raise what a response other than a success says, without reading more than the start of its body."""
        if response.is_success:
            return
        said = bytearray()
        with suppress(Exception), anyio.move_on_after(_ERROR_S):  # a refusal that breaks off is a refusal still
            async for chunk in response.aiter_bytes():
                said += chunk
                if len(said) > MAX_ERROR_BODY:
                    break
        text = bytes(said[:MAX_ERROR_BODY]).decode("utf-8", "replace")
        try:
            body = parsed(text)
        except ValueError:
            body = text
        raise server_error(
            body,
            name=self._address.name,
            clean=self._clean,
            status=response.status_code,
            headers=response.headers,
            request_id=response.headers.get("x-request-id", ""),
        )


class OpenAIChat(_OpenAI):
    """Chat completions: OpenAI and most other servers."""

    def _body(self, request: Request, dialect: Dialect, stream: bool) -> dict[str, Any]:
        return chat_body(request, self._address, dialect, stream=stream)

    def _create(self, client: Any) -> Any:
        # what it insists on is taken from the body all the same
        return partial(client.chat.completions.with_streaming_response.create, model="", messages=())

    def _whole(self, answer: Any, started: float) -> Completion:
        read = ChatAnswer(self._address.name, self._clean)
        read.add(answer)
        return read.completion(latency_s=time.monotonic() - started)

    async def _streamed(self, events: AsyncIterator[Any], started: float) -> Completion:
        read = ChatAnswer(self._address.name, self._clean)
        async for event in events:
            read.add(event)
        return read.completion(latency_s=time.monotonic() - started)


class OpenAIResponses(_OpenAI):
    """The Responses API: OpenAI's own models, and some servers."""

    async def call(self, request: Request, dialect: Dialect) -> Completion:
        completion = await super().call(request, dialect)
        thinking = options_for(self._address, request).thinking_tokens or 0
        return cut_at(request.max_output_tokens + thinking, completion)

    def _body(self, request: Request, dialect: Dialect, stream: bool) -> dict[str, Any]:
        return responses_body(request, self._address, dialect, stream=stream)

    def _create(self, client: Any) -> Any:
        return client.responses.with_streaming_response.create

    def _whole(self, answer: Any, started: float) -> Completion:
        seconds = time.monotonic() - started
        return completion_of_response(answer, name=self._address.name, latency_s=seconds, clean=self._clean)

    async def _streamed(self, events: AsyncIterator[Any], started: float) -> Completion:
        name = self._address.name
        async for event in events:
            response = final_response(event, name=name, clean=self._clean)
            if response is not None:
                return self._whole(response, started)
        raise ServerFailure(f"{name}: the stream ended before the answer did", hint="try again", maybe_billed=True)
