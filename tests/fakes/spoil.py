"""Serves the faults: takes the answer that would have come and spoils it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.fakes.faults import Fault
from tests.fakes.line import Line, framed
from tests.fakes.wire_answers import Answer, Api, dump, render
from tests.fakes.wire_errors import error_body, error_event

HUGE = "@HUGE@"  # stands in the answer where a huge text goes; shorter than a streamed piece
BLOCK = b"x" * 65_536


async def spoil(line: Line, fault: Fault, answer: Answer, api: Api, body: Any, number: int, anthropic: bool) -> bool:
    """Serve a fault; whether the connection can go on."""
    stream = bool(isinstance(body, dict) and body.get("stream"))
    if fault.kind == "status" or (fault.kind == "stream_error" and not stream):
        return await refused(line, fault, number, anthropic)
    if fault.kind == "empty":
        return await line.send(200, [], number=number)
    if fault.kind == "huge":
        answer = replace(answer, text=HUGE)
    chunks = render(api, answer, body, number, finished=fault.kind != "no_stop")
    if fault.kind == "malformed":
        chunks = malformed(chunks, stream)
    elif fault.kind == "stream_error":
        chunks = [*chunks[: int(len(chunks) * fault.part)], error_event(api, fault.message, number)]
    if fault.kind in ("no_stop", "malformed", "stream_error"):
        return await line.send(200, chunks, stream, number=number)
    if fault.kind == "huge":
        return await huge(line, fault.size, chunks, stream, number)
    start, frames, end = framed(200, chunks, stream, number)
    if fault.kind == "drip":
        await line.put(start)
        for byte in b"".join((*frames, end)):
            await line.silence(fault.every_ms / 1000)
            await line.put(bytes((byte,)))
        return True
    return await parted(line, fault, start, frames, end)


async def parted(line: Line, fault: Fault, start: bytes, frames: list[bytes], end: bytes) -> bool:
    """The faults that stop somewhere in the answer: in a stream between two events, else between two bytes."""
    units = frames if end else [frames[0][at : at + 1] for at in range(len(frames[0]))]
    kept = int(len(units) * fault.part)
    early = fault.part == 0 and fault.kind != "cut"  # not even the headers
    sent = b"" if early else start + b"".join(units[:kept])
    if fault.kind == "cut":
        await line.put(sent + (end if fault.clean else b""))
        return fault.clean and bool(end)
    await line.put(sent)
    if fault.kind == "reset":
        line.reset()
        return False
    await line.silence(fault.seconds)
    await line.put((start if early else b"") + b"".join(units[kept:]) + end)
    return True


async def refused(line: Line, fault: Fault, number: int, anthropic: bool) -> bool:
    body, kind = fault.body, "application/json"
    if body is None:
        body = error_body(anthropic, fault.status, fault.message, number)
    if isinstance(body, str | bytes):
        raw = body.encode() if isinstance(body, str) else body
        kind = "text/html" if raw.lstrip().startswith(b"<") else kind
    else:
        raw = dump(body)
    headers = dict(fault.headers)
    if fault.retry_after is not None:
        headers["retry-after"] = str(fault.retry_after)
    return await line.send(fault.status, [raw], number=number, headers=headers, kind=kind)


def malformed(chunks: list[bytes], stream: bool) -> list[bytes]:
    if not stream:
        return [chunks[0][: len(chunks[0]) // 2]]
    return [b"data: {no json\n\n" if place % 2 else chunk for place, chunk in enumerate(chunks)]


async def huge(line: Line, size: int, chunks: list[bytes], stream: bool, number: int) -> bool:
    """The answer with ``size`` bytes where its text stands, written a block at a time: nobody holds it all."""
    place = next(place for place, chunk in enumerate(chunks) if HUGE.encode() in chunk)
    before, _, after = chunks[place].partition(HUGE.encode())
    start, _, end = framed(200, chunks, stream, number, extra=size - len(HUGE))
    full, rest = divmod(size, len(BLOCK))
    parts = [*chunks[:place], before, *([BLOCK] * full), BLOCK[:rest], after, *chunks[place + 1 :]]
    await line.put(start)
    for part in filter(None, parts):
        await line.put(b"%x\r\n%b\r\n" % (len(part), part) if stream else part)
    await line.put(end)
    return True
