"""``forge.traces``: import what agents did, look at it, find it again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from skillforge.errors import NotFound, UsageError

MakeForge = Callable[..., Any]


def row(task: int, trial: int, reward: float | None = 1.0, text: str = "cancel my order") -> dict[str, Any]:
    told: dict[str, Any] = {"task_id": task, "trial": trial, "messages": [{"role": "user", "content": text}]}
    told["messages"].append({"role": "assistant", "content": f"done {task}-{trial}"})
    return told if reward is None else {**told, "reward": reward}


def pi(usd: float) -> list[dict[str, Any]]:
    usage = {"input": 1, "output": 2, "cacheRead": 0, "cacheWrite": 0, "cost": {"total": usd}}
    said = {"role": "assistant", "content": [{"type": "text", "text": "yes"}], "model": "m", "usage": usage}
    asked = {"role": "user", "content": "do it"}
    header = {"type": "session", "id": "p1", "cwd": "/"}
    return [header, {"type": "message", "message": asked}, {"type": "message", "message": said}]


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    (tmp_path / ".skillforge").mkdir()
    return tmp_path


def test_an_import_sums_up_by_format_and_leaves_what_is_known(repo: Path, forge_at: MakeForge) -> None:
    forge = forge_at(repo)
    tau = write(repo / "tau.jsonl", [row(1, 0), row(1, 1, 0.0), row(2, 0, None), '{"messages": [{"ro'])
    seen: list[int] = []
    done = forge.traces.load([tau, write(repo / "pi.jsonl", pi(0.25))], on_traces=seen.append)
    assert (done.count, done.new, done.aside) == (4, 4, 1)
    assert done.quarantined[0].place == f"{tau}:4"
    assert done.groups == {"1": 2, "2": 1}
    chat = done.formats["openai-chat"]
    assert (chat.traces, chat.messages, chat.rewarded, chat.solved, chat.unpriced) == (3, 6, 2, 1, 3)
    assert (done.formats["pi"].usd, done.formats["pi"].input_tokens, done.formats["pi"].unpriced) == (0.25, 1, 0)
    assert seen == [4]
    again = forge.traces.load([repo])
    assert (again.count, again.new) == (4, 0)


def test_traces_are_listed_found_and_grouped(repo: Path, forge_at: MakeForge) -> None:
    forge = forge_at(repo)
    forge.traces.load(write(repo / "tau.jsonl", [row(1, 1), row(1, 0), row(2, 0)]))
    listed = forge.traces.list()
    assert [stored.trace.case_id for stored in listed] == ["2-0", "1-0", "1-1"]
    assert forge.traces.get(listed[0].id[:8]) == listed[0]
    assert [stored.trace.case_id for stored in forge.traces.group("1")] == ["1-0", "1-1"]
    assert [trace.case_id for trace in forge.traces.find("1")] == ["1-0", "1-1"]
    assert [trace.case_id for trace in forge.traces.find(listed[0].id)] == ["2-0"]
    with pytest.raises(NotFound):
        forge.traces.group("7")
    with pytest.raises(NotFound):
        forge.traces.find("7")


def test_a_file_is_found_without_being_stored(repo: Path, forge_at: MakeForge, canary: str) -> None:
    told: list[str] = []
    forge = forge_at(repo, say=told.append)
    path = write(repo / "tau.jsonl", [row(1, 0, text=f"my key is {canary}"), "{"])
    (trace,) = forge.traces.find(path)
    assert canary not in trace.model_dump_json()
    assert "could not be read" in told[0]
    assert forge.traces.list() == ()
    with pytest.raises(NotFound, match="no trace could be read"):
        forge.traces.find(write(repo / "broken.jsonl", ['{"messages": 1']))


def test_the_latest_session_is_found(repo: Path, forge_at: MakeForge, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = repo / "agent" / "sessions"
    sessions.mkdir(parents=True)
    write(sessions / "x.jsonl", pi(0.5))
    monkeypatch.setenv("PI_CODING_AGENT_DIR", str(repo / "agent"))
    monkeypatch.setenv("HOME", str(repo / "home"))
    monkeypatch.chdir(repo)
    forge = forge_at(repo)
    with pytest.raises(NotFound, match="no session of a coding agent works in"):
        forge.traces.find("latest")  # the newest one belongs to another project
    lines = [record | {"cwd": str(repo)} if record["type"] == "session" else record for record in pi(0.5)]
    write(sessions / "x.jsonl", lines)
    (trace,) = forge.traces.find("latest")
    assert (trace.format, trace.cost.usd) == ("pi", 0.5)


def test_nothing_is_imported_where_nothing_may_be_stored(
    repo: Path, forge_at: MakeForge, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(repo / "tau.jsonl", [row(1, 0)])
    monkeypatch.setenv("SKILLFORGE_STORE_IO", "none")
    forge = forge_at(repo)
    with pytest.raises(UsageError, match="store_io"):
        forge.traces.load([path])
    assert forge.traces.find(path)[0].case_id == "1-0"


def test_an_unknown_format_and_a_missing_file_end_the_import(repo: Path, forge_at: MakeForge) -> None:
    forge = forge_at(repo)
    with pytest.raises(UsageError, match="no known format"):
        forge.traces.load([write(repo / "x.jsonl", [{"wheel": 1}])])
    with pytest.raises(NotFound):
        forge.traces.load([repo / "none.jsonl"])
    with pytest.raises(UsageError, match="no format 'x'"):
        forge.traces.load([repo / "x.jsonl"], format="x")


def test_every_method_works_inside_a_running_loop(repo: Path, forge_at: MakeForge) -> None:
    forge = forge_at(repo)
    path = write(repo / "tau.jsonl", [row(1, 0)])

    async def there() -> None:
        assert (await forge.traces.aload([path])).new == 1
        (stored,) = await forge.traces.alist(group="1")
        assert await forge.traces.aget(stored.id) == stored
        assert await forge.traces.agroup("1") == (stored,)
        assert await forge.traces.afind("1") == (stored.trace,)

    asyncio.run(there())


def test_verify_finds_a_changed_trace_and_purge_takes_old_ones(repo: Path, forge_at: MakeForge) -> None:
    forge = forge_at(repo)
    forge.traces.load(write(repo / "tau.jsonl", [row(1, 0), row(2, 0)]))
    assert forge.repository.verify() == []
    work = forge._work
    forge._portal.run(
        lambda: work.database.conn.execute("UPDATE trajectories SET body = body || ' ' WHERE case_id='1-0'")
    )
    assert any("its content was changed" in line for line in forge.repository.verify())
    gone = forge.repository.purge(older_than_s=0)
    assert gone.rows["trajectories"] == 2
    assert forge.traces.list() == ()
