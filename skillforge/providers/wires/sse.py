"""Server-sent events of a streamed answer, read from bytes: only their JSON, which names its own kind.

Rules: https://html.spec.whatwg.org/multipage/server-sent-events.html. Not left to an SDK, whose decoder holds any
amount, and hands on what fits its types only.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from skillforge.providers.wires.reading import parsed

_DONE = b"[DONE]"  # how chat completions end; a server may keep the connection open after it
_BOM = b"\xef\xbb\xbf"


async def json_events(chunks: AsyncIterator[bytes], *, most_event: int, most_stream: int) -> AsyncGenerator[Any, None]:
    """The JSON value of each event, up to the end or ``[DONE]``.

    Raises ``ValueError`` for an event that is no JSON, longer than ``most_event`` bytes, or for a longer stream than
    ``most_stream`` bytes. An event that nothing ends was cut, and is left out.
    """
    lines: list[bytes] = []
    held = 0
    async with aclosing(_lines(chunks, most_event, most_stream)) as found:
        async for line in found:
            if line.startswith(b"data:"):
                lines.append(line[5:].removeprefix(b" "))
                held += len(line)
                if held > most_event:
                    raise ValueError(f"an event is longer than {most_event:,} bytes")
            elif not line and lines:
                data = b"\n".join(lines)
                if data.strip() == _DONE:
                    return
                if data.strip():
                    yield parsed(data)
                lines, held = [], 0


async def _lines(chunks: AsyncIterator[bytes], most_line: int, most: int) -> AsyncGenerator[bytes, None]:
    """Lines without their ends (LF, CRLF or CR); what follows the last end is no line."""
    rest = bytearray()
    total = 0
    after_cr = False
    async for chunk in chunks:
        if not total:
            chunk = chunk.removeprefix(_BOM)
        total += len(chunk)
        if total > most or len(rest) > most_line:
            raise ValueError(f"the stream is longer than {most:,} bytes, or an event than {most_line:,}")
        if after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
        after_cr = chunk.endswith(b"\r")
        ended = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        for piece in ended[:-1]:
            rest += piece
            yield bytes(rest)
            rest.clear()
        rest += ended[-1]
