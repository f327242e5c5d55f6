"""What ``forge.wrap`` costs a call: a wrapped client beside an unwrapped one, taking turns against a loopback server.

    python -m bench.capture [--calls 400] [--size 4000]

The server answers at once from a process of its own, so what is measured is the client; a real model takes a thousand
times as long. Both clients share one connection pool. Every wrapped call is recorded: at the end all must be stored,
without a call dropped. "burst" asks without a pause, so that the recorder's thread works beside the calls; "paced"
leaves 5 ms between them. Wall-clock time is what a program waits (other programs on the machine blur it); CPU time is
that of the calling thread alone. The last lines are the steps by themselves: what a call pays inside ``wrap``, and what
the recorder's thread pays for it later.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from bench._shared import finish, print_table
from skillforge import Forge

Sides = tuple[
    list[tuple[float, float]], list[tuple[float, float]]
]  # of each call, wall and CPU seconds: plain, wrapped
PACE_S = 0.005
HEAD = [
    "µs a call",
    *(f"{clock} {kind}" for clock in ("p50", "p95", "CPU") for kind in ("plain", "wrapped", "adds", "ratio")),
]


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def turns(calls: int) -> list[bool]:
    """Which side goes next: in pairs, each pair in an order of its own."""
    draw = random.Random(1)
    pairs = [draw.sample([False, True], 2) for _ in range(calls)]
    return [side for pair in pairs for side in pair]


def timed(ask: Callable[[bool], None], calls: int, pace_s: float) -> Sides:
    for side in turns(20):
        ask(side)
    times: Sides = ([], [])
    for side in turns(calls):
        started, cpu = time.perf_counter(), time.thread_time()
        ask(side)
        times[side].append((time.perf_counter() - started, time.thread_time() - cpu))
        if pace_s:
            time.sleep(pace_s)
    return times


async def timed_async(ask: Any, calls: int, pace_s: float) -> Sides:
    for side in turns(20):
        await ask(side)
    times: Sides = ([], [])
    for side in turns(calls):
        started, cpu = time.perf_counter(), time.thread_time()
        await ask(side)
        times[side].append((time.perf_counter() - started, time.thread_time() - cpu))
        if pace_s:
            await asyncio.sleep(pace_s)
    return times


def measure(forge: Forge, url: str, calls: int, size: int, pace_s: float) -> dict[str, Sides]:
    import anthropic

    body: dict[str, Any] = {
        "model": "claude-x",
        "max_tokens": 64,
        "messages": [{"role": "user", "content": ("the order of Tuesday has not come " * 200)[:size]}],
    }
    plain = anthropic.Anthropic(base_url=url, api_key="k")
    pair = (plain, forge.wrap(plain))

    def one(side: bool) -> None:
        pair[side].messages.create(**body)

    def streamed(side: bool) -> None:
        for _ in pair[side].messages.create(**body, stream=True):
            pass

    async def both_async() -> dict[str, Sides]:
        async with anthropic.AsyncAnthropic(base_url=url, api_key="k") as plain:
            pair = (plain, forge.wrap(plain))

            async def one(side: bool) -> None:
                await pair[side].messages.create(**body)

            async def streamed(side: bool) -> None:
                async for _ in await pair[side].messages.create(**body, stream=True):
                    pass

            return {
                "async": await timed_async(one, calls, pace_s),
                "async, streamed": await timed_async(streamed, calls, pace_s),
            }

    with plain:
        found = {"sync": timed(one, calls, pace_s), "sync, streamed": timed(streamed, calls, pace_s)}
    return {**found, **asyncio.run(both_async())}


def rows(found: dict[str, Sides], how: str) -> list[list[object]]:
    told: list[list[object]] = []
    for name, (plain, wrapped) in found.items():
        row: list[object] = [f"{name}, {how}"]
        for clock, share in ((0, 0.5), (0, 0.95), (1, 0.5)):
            before, after = (percentile([call[clock] for call in side], share) * 1e6 for side in (plain, wrapped))
            row += [f"{before:.0f}", f"{after:.0f}", f"{after - before:+.0f}", f"{after / before:.3f}"]
        told.append(row)
    return told


def steps(forge: Forge, size: int) -> None:
    """The recording alone, without a client or a server."""
    import httpx2

    from skillforge.capture.context import Labels
    from skillforge.capture.exchange import Exchange, Policy
    from skillforge.capture.wrap import Tap

    recorder, count = forge._capture.recorder, 1000
    tap = Tap(recorder, Policy("redacted"), Labels(), (("/messages", "anthropic"),))
    body = {"model": "m", "messages": [{"role": "user", "content": "x " * (size // 2)}]}
    request = httpx2.Request("POST", "http://127.0.0.1/v1/messages", json=body)
    answer = (
        b'{"type": "message", "model": "m", "stop_reason": "end_turn", "content": [{"type": "text", "text": "yes"}]}'
    )
    spent = []
    for _ in range(count):
        started = time.thread_time()
        exchange = tap.begin(request)
        assert isinstance(exchange, Exchange)
        exchange.answered(200, "")
        exchange.take(answer)
        exchange.end()
        spent.append(time.thread_time() - started)
    started = time.process_time()
    forge.flush(60)
    later = (time.process_time() - started) / count
    print(f"inside a call: {median(spent) * 1e6:.1f} µs of CPU; later on the recorder's thread: {later * 1e6:.0f} µs")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--calls", type=int, default=400, help="calls of each side in each row (default 400)")
    parser.add_argument("--size", type=int, default=4_000, help="characters of a prompt (default 4000)")
    args = parser.parse_args()
    command = [sys.executable, "-m", "tests.fakes.llm_server", "--answer", "It is on its way, we are sorry. " * 10]
    said: list[str] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server,
    ):
        try:
            assert server.stdout is not None
            url = server.stdout.readline().strip()
            (Path(folder) / ".skillforge").mkdir()
            table: list[list[object]] = []
            with Forge(folder, say=said.append) as forge:
                for how, pace_s in (("burst", 0.0), ("paced", PACE_S)):
                    table += rows(measure(forge, url, args.calls, args.size, pace_s), how)
                    forge.flush(60)
                stored = forge._work.database.execute("SELECT count(*) FROM calls").fetchone()[0]
                print_table([HEAD, *table])
                steps(forge, args.size)
        finally:
            server.terminate()
    wanted = 8 * (args.calls + 20)
    print(f"{stored} of {wanted} wrapped calls are stored; prompts of {args.size} characters")
    finish([*said, *([f"{wanted - stored} calls are missing"] if stored != wanted else [])])


if __name__ == "__main__":
    main()
