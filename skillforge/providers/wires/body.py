"""Bounds of one call that every wire keeps: how long it may take to connect, how much of an answer is read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

CONNECT_S = 10.0
MAX_BODY = 32 * 2**20  # bytes of an answer, or of one event of a stream
MAX_STREAM = 16 * MAX_BODY  # bytes: a stream says some 150 to 300 around every few characters
MAX_ERROR_BODY = 64 * 2**10  # bytes of an error's explanation that are read


async def whole_body(chunks: AsyncIterator[bytes]) -> bytes:
    """An answer's bytes. Raises ``ValueError`` for more than anybody would send."""
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > MAX_BODY:
            raise ValueError(f"it is larger than {MAX_BODY:,} bytes")
    return bytes(body)


def client_timeout(seconds: float) -> Any:
    """The HTTP client's limits: each of its waits may take the call's whole time, connecting less."""
    import httpx2

    return httpx2.Timeout(seconds, connect=min(CONNECT_S, seconds))
