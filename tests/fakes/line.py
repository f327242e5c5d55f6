"""One connection, at its answer: what is written on it, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Mapping
from typing import Any

REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests"}


class Gone(Exception):
    """The client left."""


class Line:
    """One connection, at its answer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def silence(self, seconds: float | None) -> None:
        """Nothing, until the seconds are over; raises ``Gone`` as soon as the client leaves."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.reader.read(1), seconds)
            raise Gone

    async def put(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def send(self, status: int, chunks: list[bytes], stream: bool = False, *, number: int, **named: Any) -> bool:
        """A whole answer; the connection stays open."""
        start, frames, end = framed(status, chunks, stream, number, **named)
        await self.put(b"".join((start, *frames, end)))
        return True


def framed(
    status: int,
    chunks: list[bytes],
    stream: bool,
    number: int,
    headers: Mapping[str, str] | None = None,
    kind: str = "application/json",
    extra: int = 0,
) -> tuple[bytes, list[bytes], bytes]:
    """(head, body in frames, end of the body). ``extra``: bytes that the length promises beyond the body."""
    length = sum(map(len, chunks)) + extra
    rows = {
        "content-type": "text/event-stream; charset=utf-8" if stream else kind,
        **({"transfer-encoding": "chunked"} if stream else {"content-length": str(length)}),
        "x-request-id": f"req_{number}",
        "request-id": f"req_{number}",
        **(headers or {}),
    }
    lines = (f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}", *(f"{k}: {v}" for k, v in rows.items()), "", "")
    frames = [b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks] if stream else chunks
    return "\r\n".join(lines).encode("latin-1"), frames, b"0\r\n\r\n" if stream else b""
