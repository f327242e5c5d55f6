"""Run a program on some input: bounded in time and output, and ended with everything it started."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

import anyio
from anyio.abc import ByteReceiveStream, ByteSendStream, Process

_ERRORS_KEPT = 4096  # bytes of what it said last on its standard error
_GRACE_S = 1.0  # for what it wrote last, where something that it left behind keeps its output open


@dataclass
class Exited:
    """How a program ended. ``status`` is negative for a signal; ``too_long``: it printed too much and was ended."""

    status: int = 0
    output: bytearray = field(default_factory=bytearray)
    errors: bytearray = field(default_factory=bytearray)
    too_long: bool = False


async def run_program(
    arguments: Sequence[str], given: bytes, environment: Mapping[str, str], timeout_s: float, most: int
) -> Exited:
    """Run ``arguments`` in the current folder, with ``given`` as its standard input, and wait for its end.

    It leads a process group of its own, which is killed after ``timeout_s`` seconds (``TimeoutError``), when it prints
    more than ``most`` bytes, and when the caller is cancelled. Raises ``OSError`` where it cannot be started.
    """
    process = await anyio.open_process(arguments, env=environment, start_new_session=True)
    ended = Exited()
    try:
        with anyio.fail_after(timeout_s):
            await _talk(process, given, most, ended)
            ended.status = await process.wait()
    finally:
        await _end(process)
    return ended


async def _talk(process: Process, given: bytes, most: int, ended: Exited) -> None:
    """Write its input and read what it says until it closes both its outputs, ends, or says too much."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    output, errors = process.stdout, process.stderr

    async with anyio.create_task_group() as group:

        async def read_output() -> None:
            async for part in _parts(output):
                ended.output += part
                if len(ended.output) > most:
                    ended.too_long = True
                    ended.output.clear()
                    _kill(process)
                    return

        async def read_errors() -> None:
            async for part in _parts(errors):
                ended.errors += part
                del ended.errors[:-_ERRORS_KEPT]

        async def read_both() -> None:
            async with anyio.create_task_group() as readers:
                readers.start_soon(read_output)
                readers.start_soon(read_errors)
            group.cancel_scope.cancel()

        async def wait() -> None:
            await process.wait()
            await anyio.sleep(_GRACE_S)  # something it left behind may hold its outputs open for ever
            group.cancel_scope.cancel()

        group.start_soon(read_both)
        group.start_soon(wait)
        await _write(process.stdin, given)


async def _write(stream: ByteSendStream, given: bytes) -> None:
    with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):  # it need not read it
        await stream.send(given)
    with contextlib.suppress(anyio.BrokenResourceError, OSError):
        await stream.aclose()


async def _parts(stream: ByteReceiveStream) -> AsyncIterator[bytes]:
    with contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
        while True:
            yield await stream.receive()


def _kill(process: Process) -> None:
    """Kill it with all that it started, where the system knows groups of processes."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


async def _end(process: Process) -> None:
    """Nothing of it is left behind, whatever happened: asyncio closes an output only when it has come to its end."""
    with anyio.CancelScope(shield=True):
        _kill(process)
        await process.wait()
        with anyio.move_on_after(_GRACE_S):
            for output in (process.stdout, process.stderr):
                if output is not None:
                    async for _ in _parts(output):
                        pass
        await process.aclose()
