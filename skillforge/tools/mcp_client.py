"""Tools of an MCP server, over stdio or streamable HTTP, through the official SDK (the extra ``mcp``).

Everything a server says is hostile: names, schemas and results are taken as they are or refused, never obeyed.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
from anyio.abc import TaskStatus

from skillforge.canonical import canonical_json, digest_bytes
from skillforge.errors import MissingPackage, ToolUnavailable, UsageError
from skillforge.messages import Tool
from skillforge.suggest import did_you_mean
from skillforge.tools.base import ToolOutcome
from skillforge.tools.mcp_transport import Heard, Server, transport_to
from skillforge.tools.plain import from_text, one_line, outcome_of, refusal
from skillforge.tools.schema import TOOL_NAME

if TYPE_CHECKING:
    import mcp
    import mcp_types

START_S = 30.0  # a server that has not listed its tools by then never will
CALL_S = 120.0
MAX_TOOLS = 1_000
_MAX_PAGES = 100
_KEY = "idempotency_key"
_INSTALL = "pip install 'skillforge-distiller[mcp]'"
_SHOWN = 300  # characters of what a server wrote to stderr, or of an error


@asynccontextmanager
async def mcp_tools(target: str) -> AsyncIterator[McpTools]:
    """The tools of the server that ``target`` names, connected until the block ends; its process ends with it.

    A command gets the SDK's safe environment only (``PATH``, ``HOME`` and the like), so no keys of ours. Raises
    ``UsageError`` for what is no target, ``MissingPackage`` without the SDK, ``ToolUnavailable`` where the server does
    not start, answers no MCP, or has not answered in 30 seconds.
    """
    server = Server.of(target)
    _require_sdk()
    stop = anyio.Event()
    raised: Exception | None = None
    # The SDK's task groups live in a task of their own: what the block raises stays what it is, in no group.
    async with anyio.create_task_group() as group:
        try:
            tools: McpTools = await group.start(_serve, server, stop)
            yield tools
        except Exception as exc:
            raised = exc
        finally:
            stop.set()
    if raised is not None:
        raise raised


class McpTools:
    """The tools of one connected server. A tool whose name no model may be told gets one made of it.

    A tool only reads where the server says so (``readOnlyHint``), else it writes. One that takes an
    ``idempotency_key`` may be tried again, and one that the server says may be repeated (``idempotentHint``): that one
    gets such a parameter here, which the server never sees.
    """

    def __init__(self, server: Server, client: mcp.Client, listed: Sequence[mcp_types.Tool], heard: Heard) -> None:
        self._server = server
        self._client = client
        self._heard = heard
        names = _shown_names([tool.name for tool in listed])
        self._real = dict(zip(names, (tool.name for tool in listed), strict=True))
        self._tools = tuple(_tool(name, tool) for name, tool in zip(names, listed, strict=True))
        self._unkeyed = frozenset(
            name for name, tool in zip(names, listed, strict=True) if not _takes(tool.input_schema, _KEY)
        )
        self._closed = False

    @property
    def tools(self) -> tuple[Tool, ...]:
        return self._tools

    @property
    def identity(self) -> str:
        """Its address or command, its version, and what it says of its tools."""
        info = self._client.server_info
        version = one_line(f"{info.name} {info.version}", 100) if info else ""
        told = repr((self._server, [tool.model_dump() for tool in self._tools]))
        return f"mcp {version} {digest_bytes(told.encode('utf-8', 'replace'))}"

    async def call(self, name: str, arguments: dict[str, Any]) -> ToolOutcome:
        if name not in self._real:
            raise UsageError(f"there is no tool {name!r}", hint=did_you_mean(name, self._real))
        if self._closed:
            raise ToolUnavailable(f"the MCP server {self._server.shown} is closed")
        if name in self._unkeyed:  # the server knows of no key: the same arguments are the same call
            arguments = {field: value for field, value in arguments.items() if field != _KEY}
        started = time.perf_counter()
        try:
            result = await self._client.call_tool(self._real[name], arguments, read_timeout_seconds=CALL_S)
        except Exception as exc:
            return self._failed(exc, time.perf_counter() - started)
        outcome = outcome_of(_content(result), time.perf_counter() - started)
        if not result.is_error or outcome.is_error:
            return outcome
        text = outcome.content if isinstance(outcome.content, str) else canonical_json(outcome.content).decode()
        return refusal(text or "the tool gave no reason", outcome.latency_s)

    async def aclose(self) -> None:
        """No further calls; the connection ends with the block that opened it."""
        self._closed = True

    def _failed(self, error: Exception, latency_s: float) -> ToolOutcome:
        """What the server says no to is an outcome; raises ``ToolUnavailable`` where it did not say anything."""
        from mcp import MCPError
        from mcp_types import (
            CONNECTION_CLOSED,
            INTERNAL_ERROR,
            INVALID_REQUEST,
            METHOD_NOT_FOUND,
            PARSE_ERROR,
            REQUEST_TIMEOUT,
        )

        if isinstance(error, RuntimeError):  # its answer does not fit the schema that it gave itself
            return refusal(str(error), latency_s)
        if isinstance(error, MCPError):
            if error.code == REQUEST_TIMEOUT:
                why = f"gave no answer in {CALL_S:g} s"
                raise _unavailable(self._server, why, self._heard) from error
            # What JSON-RPC itself reserves means that no tool was reached, and the SDK says so of HTTP errors too.
            # Wrong arguments, and what a server defines, are an answer (MCP, Tools, Error Handling).
            lost = (CONNECTION_CLOSED, INTERNAL_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, PARSE_ERROR)
            if error.code not in lost:
                return refusal(error.message or f"error {error.code}", latency_s)
        raise _unavailable(self._server, f"does not answer: {_reason(error)}", self._heard) from error


async def _serve(server: Server, stop: anyio.Event, *, task_status: TaskStatus[McpTools]) -> None:
    """Hold the connection until ``stop``. Raises ``ToolUnavailable`` before it stands; later, calls tell."""
    import mcp

    heard, tools = Heard(), None
    try:
        with anyio.CancelScope(deadline=anyio.current_time() + START_S) as starting:
            async with transport_to(server, heard) as transport, mcp.Client(transport, cache=None) as client:
                tools = McpTools(server, client, await _listed(client), heard)
                starting.deadline = float("inf")
                task_status.started(tools)
                await stop.wait()
        if tools is None:
            raise _unavailable(server, f"has not listed its tools in {START_S:g} s", heard)
    except ToolUnavailable:
        raise
    except Exception as exc:
        if tools is None:
            raise _unavailable(server, f"cannot be used: {_reason(exc)}", heard) from exc


async def _listed(client: mcp.Client) -> list[mcp_types.Tool]:
    """All tools, page by page. Raises ``ValueError`` where they have no end."""
    found: list[mcp_types.Tool] = []
    cursor: str | None = None
    for _ in range(_MAX_PAGES):
        page = await client.list_tools(cursor=cursor)
        found.extend(page.tools)
        cursor = page.next_cursor
        if len(found) > MAX_TOOLS:
            break
        if not cursor:
            return found
    raise ValueError(f"it lists more than {MAX_TOOLS:,} tools or {_MAX_PAGES} pages of them")


def _tool(name: str, listed: mcp_types.Tool) -> Tool:
    hints = listed.annotations
    reads = bool(hints and hints.read_only_hint)
    schema, keyed = listed.input_schema, _takes(listed.input_schema, _KEY)
    if not reads and not keyed and hints and hints.idempotent_hint and isinstance(schema.get("properties"), dict):
        schema = {**schema, "properties": {**schema["properties"], _KEY: {"type": "string"}}}
        keyed = True
    return Tool(
        name=name,
        description=listed.description or listed.title or "",
        parameters=schema,
        effect="read" if reads else "write",
        idempotency_key=_KEY if keyed and not reads else "",
    )


def _takes(schema: dict[str, Any], name: str) -> bool:
    properties = schema.get("properties")
    return isinstance(properties, dict) and name in properties


def _shown_names(names: Iterable[str]) -> list[str]:
    """Names that every model's API takes, each one once; those that are fine stay as they are."""
    given = list(names)
    taken = {name for name in given if TOOL_NAME.match(name)}
    shown: list[str] = []
    for place, name in enumerate(given):
        plain = TOOL_NAME.match(name) and name not in given[:place]
        base = name if plain else re.sub(r"[^A-Za-z0-9_-]", "_", name[:60]) or "tool"
        new, number = base, 1
        while not plain and new in taken:
            number += 1
            new = f"{base[: 60 - len(str(number))]}_{number}"
        taken.add(new)
        shown.append(new)
    return shown


def _content(result: mcp_types.CallToolResult) -> Any:
    """What a call gave: its structured content, else its only text, else the list of its parts."""
    if result.structured_content is not None and not result.is_error:
        return result.structured_content
    parts = [_part(block) for block in result.content]
    if result.is_error:
        return " ".join(part for part in parts if isinstance(part, str))
    return from_text(parts[0]) if len(parts) == 1 and isinstance(parts[0], str) else parts or None


def _part(block: Any) -> Any:
    """One block: a text as it is, of everything else what can be said of it in words."""
    if block.type == "text":
        return block.text
    if block.type == "resource" and hasattr(block.resource, "text"):
        return block.resource.text
    told = block.model_dump(mode="json", by_alias=True, exclude_none=True)
    data = told.pop("data", None)
    return {**told, "characters": len(data)} if isinstance(data, str) else told


def _unavailable(server: Server, why: str, heard: Heard) -> ToolUnavailable:
    said = heard.text(_SHOWN)
    message = f"the MCP server {server.shown} {why}" + (f"; it said last: {said}" if said else "")
    hint = "see that it runs and that the address is right" if server.url else "run the command by hand to see why"
    return ToolUnavailable(message, hint=hint)


def _reason(error: BaseException) -> str:
    """The innermost cause in one line: the SDK's task groups wrap it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return one_line(str(error), _SHOWN) or type(error).__name__


def _require_sdk() -> None:
    try:
        import mcp  # noqa: F401
    except ImportError as exc:
        raise MissingPackage("MCP servers need the package mcp", hint=_INSTALL) from exc
    logger = logging.getLogger("mcp")
    if not logger.handlers:  # without one, Python prints the SDK's complaints about a server to the terminal
        logger.addHandler(logging.NullHandler())
