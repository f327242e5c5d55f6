"""Real trajectories, where they are at hand: nothing is lost, and figures are the files' own."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from skillforge.formats.trajectories.detect import read_trajectories
from skillforge.formats.trajectories.lines import Quarantined
from skillforge.messages import ToolResult
from skillforge.trace import Trace

DATA = os.environ.get("SKILLFORGE_DATA", "")
pytestmark = pytest.mark.skipif(not DATA, reason="SKILLFORGE_DATA is not set")


def path_of(*names: str) -> Path:
    path = Path(DATA, *names)
    if not path.exists():
        pytest.skip(f"SKILLFORGE_DATA holds no {names[0]}")
    return path


def read(path: Path) -> list[Trace]:
    found = list(read_trajectories(path))
    assert [item for item in found if isinstance(item, Quarantined)] == []
    return [item for item in found if isinstance(item, Trace)]


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def calls(trace: Trace) -> int:
    return sum(len(message.tool_calls) for message in trace.messages)


def results(trace: Trace) -> int:
    return sum(isinstance(part, ToolResult) for message in trace.messages for part in message.content)


def test_tau_bench_is_imported_without_loss() -> None:
    path = path_of("trc_tau_airline", "trajectories.jsonl")
    rows, traces = rows_of(path), read(path)
    assert len(traces) == len(rows) == 100
    for row, trace in zip(rows, traces, strict=True):
        assert (trace.group, trace.reward) == (str(row["task_id"]), row["reward"])
        assert trace.case_id == f"{row['task_id']}-{row['trial']}"
        assert [message.role for message in trace.messages] == [said["role"] for said in row["messages"]]
        assert calls(trace) == sum(len(said.get("tool_calls") or []) for said in row["messages"])
        assert results(trace) == sum(said["role"] == "tool" for said in row["messages"])
        assert [message.text for message in trace.messages if message.role != "tool"] == [
            said.get("content") or "" for said in row["messages"] if said["role"] != "tool"
        ]
        assert trace.extra["gold_actions"] == row["gold_actions"]
    assert sum(trace.reward or 0 for trace in traces) == sum(row["reward"] for row in rows)


def test_a_pi_session_has_its_own_tokens_and_dollars() -> None:
    path = path_of("trc_coding_agents", "pi_session_sonnet45.jsonl")
    messages = [row["message"] for row in rows_of(path) if row["type"] == "message"]
    told = [message["usage"] for message in messages if message["role"] == "assistant"]
    (trace,) = read(path)
    assert Counter(message.role for message in trace.messages) == Counter(
        {"toolResult": "tool"}.get(message["role"], message["role"]) for message in messages
    )
    assert trace.usage.input_tokens == sum(u["input"] + u["cacheRead"] + u["cacheWrite"] for u in told)
    assert trace.usage.cached_tokens == sum(u["cacheRead"] for u in told)
    assert trace.usage.written_tokens == sum(u["cacheWrite"] for u in told)
    assert trace.usage.output_tokens == sum(u["output"] for u in told)
    assert trace.cost.usd == pytest.approx(sum(u["cost"]["total"] for u in told), abs=1e-9)
    blocks = [block for message in messages for block in message["content"]]
    assert calls(trace) == sum(block["type"] == "toolCall" for block in blocks)
    assert results(trace) == sum(message["role"] == "toolResult" for message in messages)


def test_swe_agent_demonstrations_keep_their_steps() -> None:
    path = path_of("trc_coding_agents", "swe_agent_demos.jsonl")
    rows, traces = rows_of(path), read(path)
    assert len(rows) == len(traces) == 8
    for row, trace in zip(rows, traces, strict=True):
        assert trace.extra["n_steps"] == row["n_steps"]
        assert trace.extra.get("model_stats", {}) == (row["model_stats"] or {})
        assert trace.extra.get("exit_status") == row["exit_status"]
        assert len(trace.messages) == len(row["history"])
        assert calls(trace) == sum(bool(item.get("action")) for item in row["history"])
        assert trace.cost.usd is None  # no model was asked: api_calls is 0, or not told


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_claude_code_sessions_count_every_answer_once(name: str) -> None:
    path = path_of("trc_coding_agents", "format_fixtures", f"claude_code_format_sample_{name}.jsonl")
    rows = [row for row in rows_of(path) if row["type"] in ("user", "assistant")]
    answers = {row["message"].get("id", row["uuid"]): row["message"] for row in rows if row["type"] == "assistant"}
    (trace,) = read(path)
    assert len(trace.messages) == len(answers) + sum(row["type"] == "user" for row in rows)
    told = [message["usage"]["output_tokens"] for message in answers.values() if "usage" in message]
    assert trace.usage.output_tokens == (sum(told) if told else None)


def test_samples_of_other_sessions_are_no_copies() -> None:
    folder = path_of("trc_coding_agents", "format_fixtures")
    found = [item for item in read_trajectories(folder) if isinstance(item, Trace)]
    assert Counter(trace.format for trace in found) == {"claude-code": 3, "mini-swe-agent": 1}
    assert sum(len(trace.messages) for trace in found) == 11 + 11 + 7 + 22


def test_mini_swe_agent_s_commands_are_calls() -> None:
    path = path_of("trc_coding_agents", "format_fixtures", "mini_swe_agent.traj.json")
    (trace,) = read(path)
    told = json.loads(path.read_text("utf-8"))
    assert len(trace.messages) == len(told)
    assert calls(trace) == sum(message["role"] == "assistant" for message in told)


def test_spans_without_a_model_call_are_told() -> None:
    path = path_of("trc_coding_agents", "format_fixtures", "otlp_traces_sample.json")
    found = list(read_trajectories(path))
    assert len(found) == len(rows_of(path))
    assert all(isinstance(item, Quarantined) and "no model call" in item.reason for item in found)


def test_tooltalk_is_imported_without_loss() -> None:
    path = path_of("trc_tooltalk", "all.jsonl")
    rows, traces = rows_of(path), read(path)
    assert len(rows) == len(traces) == 39
    for row, trace in zip(rows, traces, strict=True):
        apis = [api for said in row["conversation"] for api in said.get("apis") or []]
        assert trace.case_id == row["id"]
        assert (calls(trace), results(trace)) == (len(apis), len(apis))
        assert len(trace.messages) == len(row["conversation"]) + 2 * len(apis)
        assert [tool.name for tool in trace.tools] == row["apis"]
