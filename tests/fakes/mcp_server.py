"""An MCP server of its own making: well behaved tools, and hostile ones. ``python -m`` speaks stdio."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import mcp_types as types
import uvicorn
from mcp import MCPError
from mcp.server import Server
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import BaseModel


class Weather(BaseModel):
    city: str
    degrees: float


class State:
    """What the tools did, as the test sees it."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.hanging = threading.Event()


def weather_server(state: State) -> MCPServer:
    server = MCPServer("weather", version="1.2", log_level="CRITICAL")

    @server.tool(annotations=ToolAnnotations(read_only_hint=True))
    def forecast(city: str) -> Weather:
        """How warm it gets."""
        if city == "Nowhere":
            raise ToolError("there is no\ncity of that name")
        return Weather(city=city, degrees=21.5)

    @server.tool()
    def note(text: str) -> str:
        """Write a note."""
        state.notes.append(text)
        return "noted"

    @server.tool(annotations=ToolAnnotations(idempotent_hint=True))
    def pin(text: str) -> str:
        """Pin a note."""
        state.notes.append(text)
        return "pinned"

    @server.tool()
    def book(day: str, idempotency_key: str = "") -> str:
        """Book a day."""
        return f"{day} {idempotency_key}"

    @server.tool(structured_output=False)
    def text_json() -> str:
        return '{"now": [1, 2]}'

    @server.tool(structured_output=False)
    def huge() -> str:
        return "x" * 3_000_000

    @server.tool()
    async def hang() -> str:
        state.hanging.set()
        await anyio.sleep(30)
        return "late"

    @server.tool()
    def crash() -> str:
        raise KeyError("secret inner detail")

    @server.tool(structured_output=False)
    def environment() -> dict[str, str]:
        return {**os.environ, "PID": str(os.getpid())}

    @server.tool(structured_output=False)
    def die() -> str:
        print("out of \x1b[31mmemory", file=sys.stderr, flush=True)
        os._exit(7)

    return server


ODD_TOOLS = [
    {"name": "shop/orders.get", "input_schema": {"type": "object"}},
    {"name": "shop orders get", "input_schema": {"type": "object", "properties": {}}},
    {"name": "größe\x1b[31m" + "x" * 100, "input_schema": {"type": "object", "x-unknown": {"a": [None]}}},
    {"name": "", "input_schema": {"type": "object"}},
    {"name": "same", "input_schema": {"type": "object"}},
    {"name": "same", "input_schema": {"type": "object"}},
    {
        "name": "odd",
        "input_schema": {
            "$schema": "https://example.invalid/draft",
            "type": "object",
            "properties": {"a": {"$ref": "https://example.invalid/a"}, "b": {"type": "money", "pattern": "("}},
            "required": ["zzz"],
        },
        "output_schema": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]},
    },
]


def odd_server(*, endless: bool = False) -> Server[Any]:
    """Lists odd tools, one a page, and without end if ``endless``; answers with odd content."""

    async def list_tools(context: Any, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        place = int(params.cursor) if params and params.cursor else 0
        last = place + 1 >= len(ODD_TOOLS) and not endless
        tool = types.Tool.model_validate(ODD_TOOLS[place % len(ODD_TOOLS)])
        return types.ListToolsResult(tools=[tool], next_cursor=None if last else str(place + 1))

    async def call_tool(context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        if params.name == "same":
            return types.CallToolResult(content=[])
        if params.name == "odd":
            return types.CallToolResult(content=[], structured_content={"n": "many"})
        if params.name == "shop orders get":
            return types.CallToolResult(content=[], is_error=True)
        blocks: list[Any] = [
            types.TextContent(type="text", text=params.name),
            types.ImageContent(type="image", data="aGVsbG8=", mime_type="image/png"),
        ]
        return types.CallToolResult(content=blocks)

    return Server("odd", on_list_tools=list_tools, on_call_tool=call_tool)


def failing_server(code: int) -> Server[Any]:
    """Has one tool, whose calls end in a protocol error of that code."""

    async def list_tools(context: Any, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[types.Tool(name="fail", input_schema={"type": "object"})])

    async def call_tool(context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        raise MCPError(code, "it fails")

    return Server("failing", on_list_tools=list_tools, on_call_tool=call_tool)


@contextmanager
def over_http(server: MCPServer | Server[Any]) -> Iterator[str]:
    """The server's address on loopback."""
    listening = socket.create_server(("127.0.0.1", 0))
    app = server.streamable_http_app()
    serving = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="on", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=serving.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not serving.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"
    finally:
        serving.should_exit = True
        thread.join(5)
        listening.close()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["hang"]:
            time.sleep(60)
        case ["garbage"]:
            print("Welcome!\n{not json}\n[]", flush=True)
            weather_server(State()).run()
        case _:
            weather_server(State()).run()
