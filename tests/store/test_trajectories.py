"""Imported traces in the store: kept once, found by their beginnings, without secrets, and gone when erased."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database

from skillforge.errors import NotFound, StoreError, UsageError
from skillforge.messages import Cost, Message, ToolCall, ToolResult, Usage
from skillforge.redact import Redactor
from skillforge.store.erasure import Erasure
from skillforge.store.trajectories import TrajectoryLog
from skillforge.trace import Trace, Turn


def made(case_id: str = "1-0", **more: Any) -> Trace:
    call = ToolCall(id="c1", name="get_order", arguments={"order_id": "A1"})
    messages = (
        Message.of("user", f"cancel A1 ({case_id})"),
        Message(role="assistant", content=(call,)),
        Message(role="tool", content=(ToolResult(id="c1", content='{"status": "open"}'),)),
    )
    told: dict[str, Any] = {
        "case_id": case_id,
        "task": "cancel",
        "input": {"request": "cancel A1"},
        "messages": messages,
        "turns": (Turn(message=1, usage=Usage(input_tokens=4111111111111111), at="2026-01-01T00:00:00.000Z"),),
        "usage": Usage(input_tokens=4111111111111111),
        "cost": Cost(usd=0.5, basis="the log"),
        "format": "openai-chat",
        "source": "a.jsonl:1",
        "group": "1",
        "reward": 1.0,
        "untrusted": True,
    }
    return Trace.model_validate({**told, **more})


@pytest.fixture
def log(db: Database, redactor: Redactor) -> TrajectoryLog:
    return TrajectoryLog(db, redactor)


def test_what_is_stored_comes_back_as_it_was(log: TrajectoryLog) -> None:
    trace = made()
    assert log.add([trace]) == 1
    (stored,) = log.stored()
    assert stored.trace == trace
    assert log.get(stored.id[:6]).trace == trace
    assert log.get("1-0").trace == trace


def test_importing_twice_stores_once_wherever_the_file_lies(log: TrajectoryLog) -> None:
    assert log.add([made(), made("1-1"), made()]) == 2
    assert log.add([made(source="elsewhere.jsonl:9"), made("1-2")]) == 1
    assert log.count() == 3


def test_groups_and_limits(log: TrajectoryLog) -> None:
    log.add([made(f"{n}-0", group=str(n % 2) if n else "") for n in range(5)])
    assert log.groups() == {"0": 2, "1": 2}
    assert {stored.trace.case_id for stored in log.stored(group="1")} == {"1-0", "3-0"}
    assert [stored.trace.case_id for stored in log.stored(limit=2)] == ["4-0", "3-0"]


def test_an_unknown_and_an_ambiguous_name_are_errors(log: TrajectoryLog) -> None:
    log.add([made("same"), made("same", task="other")])
    with pytest.raises(NotFound):
        log.get("zz")
    with pytest.raises(NotFound):
        log.get("")
    with pytest.raises(UsageError, match="several"):
        log.get("same")


def test_secrets_are_taken_out_and_figures_stay(db: Database, path: Path, canary: str) -> None:
    trace = made(f"id {canary}", extra={"key": canary}, source=f"{canary}.jsonl:1", group=canary, error=canary)
    said = (*trace.messages, Message(role="tool", content=(ToolResult(id="c1", content={"token": canary}),)))
    TrajectoryLog(db, Redactor({}), "full").add([trace.model_copy(update={"messages": said})])
    db.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert canary.encode() not in path.read_bytes()
    (stored,) = TrajectoryLog(db, Redactor({})).stored()
    assert stored.trace.usage.input_tokens == 4111111111111111


def test_nothing_is_stored_where_nothing_may_be(db: Database, redactor: Redactor) -> None:
    with pytest.raises(UsageError, match="store_io") as refused:
        TrajectoryLog(db, redactor, "none").add([made()])
    assert "skillforge.toml" in refused.value.hint


def test_a_changed_content_is_found(log: TrajectoryLog, db: Database) -> None:
    log.add([made(), made("2-0")])
    assert list(log.verify()) == []
    with db.conn:
        db.conn.execute("UPDATE trajectories SET body = replace(body, 'cancel', 'refund') WHERE case_id = '2-0'")
    (problem,) = log.verify()
    assert "its content was changed" in problem


def test_a_body_that_cannot_be_read_is_an_error_that_names_it(log: TrajectoryLog, db: Database) -> None:
    log.add([made()])
    with db.conn:
        db.conn.execute("UPDATE trajectories SET body = ?", [json.dumps({"case_id": 5})])
    with pytest.raises(StoreError, match="cannot be read"):
        log.stored()


def test_an_erased_trace_is_gone_from_the_file(log: TrajectoryLog, db: Database, path: Path) -> None:
    log.add([made("1-0", task="order of Walburga"), made("2-0")])
    erasure = Erasure(db)
    found = erasure.holding(lambda value: b"Walburga" in value)
    assert list(found) == ["trajectories"]
    erasure.erase(found)
    erasure.scrub()
    assert b"Walburga" not in path.read_bytes()
    assert log.count() == 1
    assert len(erasure.older_than("9999")["trajectories"]) == 1
