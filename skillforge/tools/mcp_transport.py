"""How an MCP server is reached: its process over stdio, or its address over streamable HTTP."""

from __future__ import annotations

import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from skillforge.errors import UsageError
from skillforge.tools.plain import one_line
from skillforge.tools.tail import Tail


@dataclass(frozen=True, slots=True)
class Server:
    """Where a server is: the words of a command, or a URL. ``shown`` names it by the first words or without its query
    and user: what comes after may be credentials.
    """

    command: tuple[str, ...] = ()
    url: str = ""

    @classmethod
    def of(cls, target: str) -> Server:
        """``COMMAND …`` as a shell would split it (none ever runs it), or ``http(s)://…``. Raises ``UsageError``."""
        if target.startswith(("http://", "https://")):
            if not urlsplit(target).hostname:
                raise UsageError(f"{target} is no address", hint="for example http://127.0.0.1:8000/mcp")
            return cls(url=target)
        try:
            words = tuple(shlex.split(target))
        except ValueError as exc:
            raise UsageError(f"the command of an MCP server cannot be read: {exc}", hint="mend its quotes") from exc
        if not words or "\0" in target:
            raise UsageError("the command of an MCP server is empty", hint='--mcp "python -m mcp_server_time"')
        return cls(command=words)

    @property
    def shown(self) -> str:
        if not self.url:
            return one_line(shlex.join(self.command[:3]) + (" …" if len(self.command) > 3 else ""), 100)
        parts = urlsplit(self.url)
        return one_line(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}", 100)


@dataclass
class Heard:
    """What a server said beside the protocol: the end of its stderr, or the last HTTP error."""

    tail: Tail | None = None
    status: str = ""

    def text(self, limit: int) -> str:
        """In one line; "" where it said nothing."""
        return self.tail.text(limit) if self.tail is not None else self.status


@asynccontextmanager
async def transport_to(server: Server, heard: Heard) -> AsyncIterator[Any]:
    """What ``mcp.Client`` takes. A command gets the SDK's safe environment, and its stderr stays off the terminal."""
    if server.url:
        import httpx2
        from mcp.client.streamable_http import streamable_http_client

        async def note(response: Any) -> None:
            heard.status = f"HTTP {response.status_code}" if response.status_code >= 400 else ""

        timeout = httpx2.Timeout(30.0, read=300.0)  # the SDK's own: a stream may be silent for long
        async with httpx2.AsyncClient(timeout=timeout, event_hooks={"response": [note]}) as client:
            yield streamable_http_client(server.url, http_client=client)
    else:
        from mcp import StdioServerParameters
        from mcp.client.stdio import stdio_client

        with closing(Tail()) as heard.tail:
            parameters = StdioServerParameters(command=server.command[0], args=[*server.command[1:]])
            yield stdio_client(parameters, heard.tail.writer)
