"""Imports real trajectories and holds the figures against the files' own.

Run it with the public data sets named by an environment variable::

    SKILLFORGE_DATA=/path/to/data python bench/trace_import.py

A line a file: records in it, traces made of them, messages, tool calls, tokens and dollars as imported and as the file
itself states them (read apart, by a few lines of this script), what was put aside, seconds, and MB a second. Where a
file states no tokens or no dollars, "-". Ends with an error where one of the figures differs.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _shared import finish, print_table

from skillforge.formats.trajectories.detect import read_trajectories
from skillforge.trace import Trace

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Told:
    """What a file says of itself; ``None`` where it says nothing."""

    messages: int
    calls: int
    tokens: int | None = None
    usd: float | None = None


def chat(rows: Rows) -> Told:
    said = [message for row in rows for message in row["messages"]]
    return Told(len(said), sum(len(message.get("tool_calls") or []) for message in said))


def pi(rows: Rows) -> Told:
    said = [row["message"] for row in rows if row["type"] == "message"]
    usage = [message["usage"] for message in said if message["role"] == "assistant"]
    calls = sum(block["type"] == "toolCall" for message in said for block in message["content"])
    tokens = sum(u["input"] + u["cacheRead"] + u["cacheWrite"] + u["output"] for u in usage)
    return Told(len(said), calls, tokens, sum(u["cost"]["total"] for u in usage))


def swe(rows: Rows) -> Told:
    history = [item for row in rows for item in row["history"]]
    return Told(len(history), sum(bool(item.get("action")) for item in history))


def tooltalk(rows: Rows) -> Told:
    said = [turn for row in rows for turn in row["conversation"]]
    calls = sum(len(turn.get("apis") or []) for turn in said)
    return Told(len(said) + 2 * calls, calls)  # a call and its result are messages of their own


def claude(rows: Rows) -> Told:
    said = [row for row in rows if row["type"] in ("user", "assistant")]
    answers: dict[str, Any] = {}
    for row in said:
        if row["type"] == "assistant":
            answers[row["message"].get("id", row["uuid"])] = row["message"].get("usage")
    blocks = [block for row in said for block in row["message"]["content"] if isinstance(block, dict)]
    known = [usage for usage in answers.values() if usage]
    kinds = ("input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    tokens = sum(usage.get(kind, 0) for usage in known for kind in kinds)
    people = sum(row["type"] == "user" for row in said)
    return Told(people + len(answers), sum(b["type"] == "tool_use" for b in blocks), tokens if known else None)


def mini(rows: Rows) -> Told:
    return Told(len(rows), sum(message["role"] == "assistant" for message in rows))


def spans(rows: Rows) -> Told:
    return Told(0, 0)


FILES: dict[str, Callable[[Rows], Told]] = {
    "trc_tau_airline/trajectories.jsonl": chat,
    "trc_coding_agents/pi_session_sonnet45.jsonl": pi,
    "trc_coding_agents/swe_agent_demos.jsonl": swe,
    "trc_coding_agents/format_fixtures/claude_code_format_sample_a.jsonl": claude,
    "trc_coding_agents/format_fixtures/claude_code_format_sample_b.jsonl": claude,
    "trc_coding_agents/format_fixtures/claude_code_format_sample_c.jsonl": claude,
    "trc_coding_agents/format_fixtures/mini_swe_agent.traj.json": mini,
    "trc_coding_agents/format_fixtures/otlp_traces_sample.json": spans,
    "trc_tooltalk/all.jsonl": tooltalk,
}


def rows_of(path: Path) -> Rows:
    text = path.read_text("utf-8")
    whole: Rows = json.loads(text) if text.startswith("[") else [json.loads(line) for line in text.splitlines()]
    return whole


def summed(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def tokens_of(trace: Trace) -> int | None:
    sent, made = trace.usage.input_tokens, trace.usage.output_tokens
    return None if sent is None or made is None else sent + made


def row_of(name: str, path: Path, told: Told, broken: list[str]) -> list[str]:
    started = time.perf_counter()
    found = list(read_trajectories(path))
    seconds = time.perf_counter() - started
    traces = [item for item in found if isinstance(item, Trace)]
    messages = sum(len(trace.messages) for trace in traces)
    calls = sum(len(message.tool_calls) for trace in traces for message in trace.messages)
    tokens, usd = summed(map(tokens_of, traces)), summed(trace.cost.usd for trace in traces)
    if (messages, calls, tokens) != (told.messages, told.calls, told.tokens):
        broken.append(f"{name}: messages, calls or tokens are not the file's own")
    if (usd is None) != (told.usd is None) or abs((usd or 0) - (told.usd or 0)) > 0.000001:
        broken.append(f"{name}: dollars are not the file's own")
    size = path.stat().st_size / 1e6
    return [
        name.rpartition("/")[2],
        traces[0].format if traces else "-",
        str(len(rows_of(path))),
        str(len(traces)),
        f"{messages:,}/{told.messages:,}",
        f"{calls:,}/{told.calls:,}",
        f"{shown(tokens, ',.0f')}/{shown(told.tokens, ',.0f')}",
        f"{shown(usd, '.6f')}/{shown(told.usd, '.6f')}",
        str(len(found) - len(traces)),
        f"{seconds:.3f}",
        f"{size / seconds:.1f}",
    ]


def shown(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def main() -> None:
    data = os.environ.get("SKILLFORGE_DATA")
    if not data:
        sys.exit("set SKILLFORGE_DATA to the folder of public data sets")
    broken: list[str] = []
    table = [["file", "format", "records", "traces", "messages", "calls", "tokens", "$", "aside", "s", "MB/s"]]
    for name, told in FILES.items():
        path = Path(data) / name
        table.append(row_of(name, path, told(rows_of(path)), broken))
    print("figures are imported/the file's own")
    print_table(table)
    finish(broken)


if __name__ == "__main__":
    main()
