"""Does a scan find planted groups in a mixed log, with their right shares? And how long does it take?

    SKILLFORGE_DATA=/path/to/data python bench/scan.py [--lines 20000] [--seed 1] [--set known|second|third|fourth]

A log of ``{request, response}`` lines is put together from public data sets, read where they lie and never copied:
grade-school questions under ZeroEval's prompt, function calls with the functions as tools, messages of CLINC150 under
several templates, growing conversations of an airline agent, and one-off calls. Three models, list prices, thirty days.
The miner was written with ``known`` in mind. ``second``, ``third`` and ``fourth`` were each written after it worked on
the sets before; what each showed at first is in RESULTS.md, the miner was mended since.

For every planted group the best found group is named: precision (of what was found), recall (of what was planted),
shares of calls and bill as found and as planted, kind. Then seconds and peak memory, in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from _log_fourth import FOURTH
from _log_templates import KNOWN, SECOND, THIRD, Line, Planted
from _shared import print_table

# US dollars per million tokens: input, output. Written into the log, so that the figures do not move with a price list.
PRICES = {"gpt-4o": (2.5, 10.0), "gpt-4o-mini": (0.15, 0.6), "claude-sonnet-4-5": (3.0, 15.0)}
SPAN_S = 30 * 86_400
HEAD = ["planted", "calls", "found as", "precision", "recall", "calls %", "true", "bill %", "true", "kind", "true"]
HEAD += ["varies", "fields", "worth"]
SETS = {"known": KNOWN, "second": SECOND, "third": THIRD, "fourth": FOURTH}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--set", choices=sorted(SETS), default="known")
    parser.add_argument("--scan", metavar="LOG", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.scan:
        run_scan(Path(args.scan))
        return
    data = os.environ.get("SKILLFORGE_DATA")
    if not data:
        sys.exit("SKILLFORGE_DATA is not set: the folder of the public data sets")
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log.jsonl"
        planted = SETS[args.set]
        truth = write_log(log, planted, Path(data), args.lines, args.seed)
        print(f"{sum(map(len, truth.values())):,} lines, {log.stat().st_size / 1e6:.0f} MB, seed {args.seed}")
        done = subprocess.run(
            [sys.executable, __file__, "--scan", str(log)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(done.stderr)
        compare(truth, json.loads(done.stdout), {group.name: group.kind for group in planted})


def write_log(
    path: Path, planted: tuple[Planted, ...], data: Path, lines: int, seed: int
) -> dict[str, dict[str, float]]:
    """The log, shuffled in time (conversations stay in order). The cost of every call by planted group and call id."""
    rng = random.Random(seed)
    truth: dict[str, dict[str, float]] = defaultdict(dict)
    records: list[tuple[float, dict[str, Any]]] = []
    for group in planted:
        wanted = max(6, round(group.share * lines))
        made: Iterator[Line] = group.lines(data, random.Random(f"{seed} {group.name}"))
        for number in range(wanted):
            line = next(made)
            call_id = f"planted/{group.name}/{number:08d}"
            record, usd = _record(line, call_id, group.model, rng)
            truth[group.name][call_id] = usd
            records.append((line.at if line.at is not None else rng.random(), record))
    records.sort(key=lambda item: item[0])
    with path.open("w", encoding="utf-8") as handle:
        for at, record in records:
            stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(1_780_000_000 + at * SPAN_S))
            handle.write(json.dumps({**record, "at": stamp}, ensure_ascii=False) + "\n")
    return truth


def _record(line: Line, call_id: str, model: str, rng: random.Random) -> tuple[dict[str, Any], float]:
    size = len(json.dumps(line.messages)) + len(json.dumps(line.tools)) + len(line.system)
    tokens, written = size // 4 + 8, max(1, (len(line.answer) + len(json.dumps(line.calls))) // 4)
    cached = tokens // 2 if len(line.messages) > 3 and rng.random() < 0.7 else 0
    price_in, price_out = PRICES[model]
    usd = ((tokens - cached) * price_in + cached * price_in * 0.1 + written * price_out) / 1e6
    if model.startswith("claude"):
        return _anthropic(line, call_id, model, tokens, cached, written, usd), usd
    message: dict[str, Any] = {"role": "assistant", "content": line.answer or None}
    if line.calls:
        message["tool_calls"] = [
            {"id": f"c{at}", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
            for at, (name, arguments) in enumerate(line.calls)
        ]
    system = [{"role": "system", "content": line.system}] if line.system else []
    request: dict[str, Any] = {"model": model, "messages": [*system, *line.messages]}
    if line.tools:
        request["tools"] = [{"type": "function", "function": tool} for tool in line.tools]
    if line.schema:
        form = {"name": "answer", "schema": line.schema}
        request["response_format"] = {"type": "json_schema", "json_schema": form}
    usage = {"prompt_tokens": tokens, "completion_tokens": written, "prompt_tokens_details": {"cached_tokens": cached}}
    finish = "tool_calls" if line.calls else "stop"
    choices = [{"index": 0, "message": message, "finish_reason": finish}]
    response = {"id": call_id, "object": "chat.completion", "model": model, "choices": choices, "usage": usage}
    return {"id": call_id, "request": request, "response": response, "cost_usd": usd}, usd


def _anthropic(
    line: Line, call_id: str, model: str, tokens: int, cached: int, written: int, usd: float
) -> dict[str, Any]:
    request: dict[str, Any] = {"model": model, "max_tokens": 1024, "messages": line.messages}
    if line.system:
        request["system"] = line.system
    usage = {"input_tokens": tokens - cached, "cache_read_input_tokens": cached, "output_tokens": written}
    content = [{"type": "text", "text": line.answer}]
    response = {"id": call_id, "type": "message", "role": "assistant", "model": model, "content": content}
    response |= {"stop_reason": "end_turn", "usage": usage}
    return {"id": call_id, "request": request, "response": response, "cost_usd": usd}


def run_scan(log: Path) -> None:
    """In a process of its own: the report, the calls of every group, seconds and peak memory, as JSON on stdout."""
    from skillforge import Forge
    from skillforge.call import Call
    from skillforge.formats.logs import read_logs

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / ".skillforge").mkdir()
        with Forge(Path(folder)) as forge:
            started, busy = time.perf_counter(), time.process_time()
            report = forge.traffic.scan([log])
            seconds, cpu = time.perf_counter() - started, time.process_time() - busy
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    members: dict[str, list[str]] = {group.id: [] for group in report.groups}
    started = time.process_time()
    calls = [call for call in read_logs([log]) if isinstance(call, Call)]
    reading = time.process_time() - started
    for call in calls:
        for group in report.groups:
            if group.skeleton.matches(call):
                members[group.id].append(call.id)
    groups = [
        {**group.model_dump(mode="json", exclude={"skeleton"}), "fields": group.skeleton.field_names}
        for group in report.groups
    ]
    told = {"groups": groups, "members": members, "seconds": seconds, "cpu": cpu, "reading": reading, "peak_mib": peak}
    print(json.dumps({**told, "summary": report.summary, "rest": report.rest.calls}))


def compare(truth: dict[str, dict[str, float]], told: dict[str, Any], kinds: dict[str, str]) -> None:
    home = {call: name for name, calls in truth.items() for call in calls}
    bill, count = sum(sum(calls.values()) for calls in truth.values()), len(home)
    found = {group["id"]: group for group in told["groups"]}
    used: Counter[str] = Counter()
    rows: list[list[object]] = [HEAD]
    for name, calls in truth.items():
        if kinds[name] == "-":
            continue
        best = max(found, key=lambda group: sum(call in calls for call in told["members"][group]), default="")
        members = told["members"].get(best, [])
        both = sum(call in calls for call in members)
        if not both:
            rows.append([name, len(calls), "not found", *["-"] * 11])
            continue
        used[best] += 1
        group = found[best]
        rows.append(
            [
                name,
                len(calls),
                group["name"],
                f"{both / len(members):.3f}",
                f"{both / len(calls):.3f}",
                f"{group['share']:.2%}",
                f"{len(calls) / count:.2%}",
                f"{group['cost_share']:.2%}",
                f"{sum(calls.values()) / bill:.2%}",
                group["kind"],
                kinds[name],
                "-" if group["variability"] is None else f"{group['variability']:.2f}",
                ",".join(group["fields"]),
                "yes" if group["worth"] else "no",
            ]
        )
    print_table(rows)
    for group_id, group in found.items():
        if group_id not in used:
            who = Counter(home[call] for call in told["members"][group_id]).most_common(3)
            print(f"also found: {group['name']} ({group['calls']} calls, {group['kind']}): {who}")
    noise = {call for name, calls in truth.items() if kinds[name] == "-" for call in calls}
    taken = sum(call in noise for calls in told["members"].values() for call in calls)
    print(f"{len(noise):,} one-off calls: {taken} in some group; {told['rest']:,} calls are in no group")
    print(told["summary"])
    print(
        f"{told['seconds']:.1f} s, {told['cpu']:.1f} s of them on the processor, {told['peak_mib']:.0f} MiB at most "
        f"(reading the log takes {told['reading']:.1f} s of processor; it is read twice)"
    )


if __name__ == "__main__":
    main()
