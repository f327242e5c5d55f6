"""An MCP server from PyPI (``mcp-server-time``, over stdio) as the tools of a workflow, and what that costs.

    python bench/mcp_tools.py [--student local:smollm2-135m] [--calls 300] [--connects 8]

First ``skillforge run … --mcp`` as a user types it: two tool steps, one of them for each of a list, and a language step
that the student answers; the times are compared with ``zoneinfo``. Once more with a recording in the server's place
must give the same. Then connecting and calling, beside the bare SDK: calls of both kinds alternate in one session. Last
the same over streamable HTTP, with a server made with the SDK's own server class on loopback.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shlex
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from _shared import finish, print_table, skillforge

from skillforge.messages import Tool
from skillforge.tools.binding import bind
from skillforge.tools.mcp_client import McpTools, mcp_tools
from skillforge.tools.mcp_transport import Heard, Server

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.fakes.mcp_server import State, over_http, weather_server

TIME = shlex.join([sys.executable, "-m", "mcp_server_time", "--local-timezone", "UTC"])
GIVEN = {"time": "14:30", "zone": "Europe/Berlin", "others": ["America/New_York", "Asia/Tokyo", "Asia/Kathmandu"]}
SKILL = """\
schema: skillforge/v1
name: meeting-times
description: Say when a meeting begins in other time zones, and invite to it.
input:
  time: {type: string}
  zone: {type: string}
  others: {type: array, items: {type: string}}
output:
  now: {type: string}
  begins: {type: array}
  invitation: {type: string}
tools:
- {name: get_current_time, parameters: {type: object, properties: {timezone: {type: string}}, required: [timezone]}}
- name: convert_time
  parameters:
    type: object
    properties: {source_timezone: {type: string}, time: {type: string}, target_timezone: {type: string}}
    required: [source_timezone, time, target_timezone]
steps:
- {id: now, tool: get_current_time, args: {timezone: {from: zone}}}
- id: there
  each: {from: others}
  tool: convert_time
  args: {source_timezone: {from: zone}, time: {from: time}, target_timezone: {from: item}}
- {id: invite, prompt: "Invite a colleague in one short sentence to a meeting at {{ time }}, {{ zone }} time."}
result: {now: {from: steps.now.datetime}, begins: {from: steps.there}, invitation: {from: steps.invite}}
"""
CALL = ("convert_time", {"source_timezone": "Europe/Berlin", "time": "14:30", "target_timezone": "Asia/Tokyo"})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--student", default="local:smollm2-135m", help="who answers the language step")
    parser.add_argument("--calls", type=int, default=300, help="timed calls of each kind")
    parser.add_argument("--connects", type=int, default=8, help="timed connections of each kind")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        broken = run_workflow(Path(folder), args.student)
    rows: list[list[str]] = [["", "bare SDK", "skillforge"]]
    rows += asyncio.run(costs("stdio, mcp-server-time", TIME, CALL, args.connects, args.calls))
    with over_http(weather_server(State())) as url:
        call = ("forecast", {"city": "Ulm"})
        rows += asyncio.run(costs("HTTP, own server", url, call, args.connects, args.calls))
    print()
    print_table(rows)
    finish(broken)
    return 0


def run_workflow(root: Path, student: str) -> list[str]:
    """The command on the real server, then on a recording of it; what broke."""
    folder = root / "skills" / "meeting-times"
    folder.mkdir(parents=True)
    (folder / "skill.yaml").write_text(SKILL)
    (root / "in.json").write_text(json.dumps(GIVEN))
    skillforge("init", cwd=root)
    command = ("run", "skills/meeting-times", "-f", "in.json", "--student", student, "--json")
    done = skillforge(*command, "--mcp", TIME, cwd=root, timeout_s=300)
    print(f"skillforge run skills/meeting-times -f in.json --student {student} --mcp 'python -m mcp_server_time …'")
    print(f"{done.err}exit code {done.code}, {done.seconds:.1f} s")
    if done.code != 0:
        return [f"run --mcp: exit code {done.code}"]
    run = json.loads(done.out)
    broken = [] if run["status"] == "ok" else [f"run --mcp: {run['status']}: {run['reason']}"]
    for row in run["output"]["begins"]:
        source, target = (datetime.fromisoformat(row[side]["datetime"]) for side in ("source", "target"))
        right = source.astimezone(ZoneInfo(row["target"]["timezone"])) == target and target.tzinfo is not None
        print(f"  {row['target']['timezone']:18} {target:%H:%M}  {'as zoneinfo says' if right else 'WRONG'}")
        broken += [] if right else [f"{row['target']['timezone']}: {target}"]
    print(f"  invitation: {run['output']['invitation'][:80]!r}")
    calls = [step for step in run["steps"] if step["kind"] == "tool"]
    lines = [{"tool": s["tool"], "arguments": s["arguments"], "content": s["output"]} for s in calls]
    (root / "calls.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    again = skillforge(*command, "--tool-recording", "calls.jsonl", cwd=root, timeout_s=300)
    same = again.code == 0 and json.loads(again.out)["output"]["begins"] == run["output"]["begins"]
    print(f"on a recording of the {len(calls)} calls: {'the same' if same else 'DIFFERENT'}, {again.seconds:.1f} s")
    return broken if same else [*broken, f"--tool-recording: exit code {again.code}"]


async def costs(what: str, target: str, call: tuple[str, dict[str, Any]], connects: int, calls: int) -> list[list[str]]:
    """Two rows: connecting with the list of tools, and one call; milliseconds, median and 95th percentile."""
    connecting = await alternate(lambda: connect_bare(target), lambda: connect_ours(target), connects)
    async with bare(target) as client:
        listed = (await client.list_tools()).tools
        ours = bind(McpTools(Server.of(target), client, listed, Heard()), [Tool(name=call[0])])
        calling = await alternate(lambda: client.call_tool(*call), lambda: ours.call(*call), calls)
    return [
        [f"{what}: connect and list, ms", *map(spread, connecting)],
        [f"{what}: one call, ms", *map(spread, calling)],
    ]


def bare(target: str) -> Any:
    from mcp import Client, StdioServerParameters

    server = Server.of(target)
    if server.url:
        return Client(server.url)
    return Client(StdioServerParameters(command=server.command[0], args=[*server.command[1:]]))


async def connect_bare(target: str) -> float:
    started = time.perf_counter()
    async with bare(target) as client:
        await client.list_tools()
        return time.perf_counter() - started


async def connect_ours(target: str) -> float:
    started = time.perf_counter()
    async with mcp_tools(target):
        return time.perf_counter() - started


async def alternate(
    first: Callable[[], Awaitable[Any]], second: Callable[[], Awaitable[Any]], times: int
) -> tuple[list[float], list[float]]:
    """Seconds of each, taken in turns; a function that gives seconds has measured itself."""
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(times + 1):
        for place, function in enumerate((first, second)):
            started = time.perf_counter()
            said = await function()
            if number:  # the first of each warms up
                taken[place].append(said if isinstance(said, float) else time.perf_counter() - started)
    return taken


def spread(seconds: Sequence[float]) -> str:
    cut = statistics.quantiles(seconds, n=20)[-1] if len(seconds) > 1 else seconds[0]
    return f"{statistics.median(seconds) * 1000:.2f} (p95 {cut * 1000:.2f})"


if __name__ == "__main__":
    raise SystemExit(main())
