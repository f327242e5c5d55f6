"""How far unfinished workflow runs have come, as the registry keeps it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database

from skillforge.config import StoreIO
from skillforge.messages import ToolCall
from skillforge.redact import Redactor
from skillforge.run import Attempt, CheckResult, StepRun
from skillforge.store.erasure import Erasure
from skillforge.store.runs import RunLog
from skillforge.store.workflow_state import KeptStep, WorkflowLog

KEYS = {"key": "sha256:k", "asked": "sha256:a", "skill": "refund"}


def log(db: Database, store_io: StoreIO = "redacted") -> WorkflowLog:
    found = WorkflowLog(db, Redactor({}), store_io)
    found.open("r1", **KEYS)
    return found


def step(key: str = "order", **changes: Any) -> StepRun:
    return StepRun(key=key, kind="tool", status="ok", tool="get_order", **changes)


def only(log: WorkflowLog) -> KeptStep:
    found = log.get("r1")
    assert found is not None
    (kept,) = found.steps
    return kept


def test_a_finished_step_is_kept_with_its_calls(db: Database) -> None:
    state, asked = log(db), Attempt(kind="student", text="{}", step="order")
    done = step(arguments={"id": "o1"}, output={"total": 1}, called=(ToolCall(id="c", name="t", arguments={"a": 1}),))
    state.start("r1", "order", writes=False)
    state.finish("r1", done, [asked], writes=False)
    kept = only(state)
    assert (kept.run, kept.attempts, kept.changed) == (done, (asked,), False)
    assert kept.ended_at


def test_a_begun_step_says_no_more_than_that(db: Database) -> None:
    state = log(db)
    state.start("r1", "refund", writes=True)
    kept = only(state)
    assert (kept.key, kept.writes, kept.run, kept.ended_at) == ("refund", True, None, "")


@pytest.mark.parametrize(("store_io", "kept"), [("redacted", False), ("full", True), ("none", False)])
def test_secrets_of_a_step_are_kept_under_full_alone(
    path: Path, db: Database, canary: str, store_io: StoreIO, kept: bool
) -> None:
    state = log(db, store_io)
    said = step(
        "refund",
        arguments={"to": canary},
        output={"receipt": canary},
        reason=f"said {canary}",
        called=(ToolCall(id="c", name="t", arguments={"a": canary}),),
        checks=(CheckResult(type="equals", passed=False, reason=canary),),
    )
    state.finish("r1", said, [Attempt(kind="student", text=canary, problems=(canary,), error=canary)], writes=True)
    stored = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert (canary.encode() in stored) is kept
    assert only(state).changed is not kept


def test_an_output_without_secrets_counts_as_kept_whole(db: Database, canary: str) -> None:
    state = log(db)
    state.finish("r1", step(arguments={"to": canary}, output={"total": 3}), [], writes=False)
    assert not only(state).changed


def test_under_none_only_writes_are_known_and_nothing_of_what_they_gave(db: Database) -> None:
    state = log(db, "none")
    state.start("r1", "order", writes=False)
    state.finish("r1", step("order", output={"total": 1}), [], writes=False)
    state.start("r1", "refund", writes=True)
    state.finish("r1", step("refund", arguments={"id": "o1"}, output={"done": True}), [], writes=True)
    kept = only(state)
    assert kept.run is not None
    assert (kept.key, kept.run.status, kept.run.arguments, kept.run.output) == ("refund", "ok", {}, None)
    assert kept.changed


def test_a_closed_run_leaves_nothing(db: Database) -> None:
    state = log(db)
    state.finish("r1", step(output=1), [], writes=False)
    state.close("r1")
    assert state.get("r1") is None
    assert state.asked("sha256:a") == []
    assert db["workflow_steps"].count == 0


def test_a_withdrawn_step_was_never_begun(db: Database) -> None:
    state = log(db)
    state.start("r1", "refund", writes=True)
    state.withdraw("r1", "refund")
    found = state.get("r1")
    assert found is not None
    assert found.steps == ()


def test_steps_come_in_the_order_in_which_they_ended(db: Database) -> None:
    state = log(db)
    state.start("r1", "slow", writes=False)
    for key in ("a", "b"):
        state.finish("r1", step(key), [], writes=False)
    state.finish("r1", step("slow"), [], writes=False)
    state.start("r1", "open", writes=True)
    found = state.get("r1")
    assert found is not None
    assert sorted(kept.key for kept in found.steps[:2]) == ["a", "b"]
    assert [kept.key for kept in found.steps[2:]] == ["slow", "open"]
    assert found.writes == ("open",)


def test_purging_a_text_keeps_that_the_write_was_made(db: Database) -> None:
    state = log(db)
    state.finish("r1", step("refund", output={"to": "Ada Lovelace, London"}), [], writes=True)
    erasure = Erasure(db)
    found = erasure.holding(lambda data: b"Ada Lovelace" in data)
    assert found == {"workflow_steps": ["r1"]}
    erasure.erase(found)
    assert erasure.tables_holding(lambda data: b"Ada Lovelace" in data) == []
    kept = only(state)
    assert (kept.key, kept.writes, kept.run, kept.changed) == ("refund", True, None, True)
    assert kept.ended_at


def test_old_unfinished_runs_go_by_age(db: Database) -> None:
    state = log(db)
    state.finish("r1", step(output=1), [], writes=False)
    erasure = Erasure(db)
    assert erasure.older_than("2000-01-01")["workflow_runs"] == []
    erasure.erase(erasure.older_than("2999-01-01"))
    assert state.get("r1") is None


@pytest.mark.parametrize("store_io", ["redacted", "none", "full"])
def test_a_run_keeps_its_steps_as_store_io_says(db: Database, make_run: Any, canary: str, store_io: StoreIO) -> None:
    runs = RunLog(db, Redactor({}), store_io)
    done = step("order[2]", arguments={"id": "o1"}, output={"total": 1, "note": canary}, tries=2, latency_s=0.5)
    run_id = runs.add(make_run(steps=(done,), attempts=(Attempt(kind="student", step="judge"),)), source="run")
    stored = runs.get(run_id).run
    (kept,) = stored.steps
    assert (kept.key, kept.tries, kept.latency_s, stored.attempts[0].step) == ("order[2]", 2, 0.5, "judge")
    if store_io == "full":
        assert kept == done
    elif store_io == "none":
        assert (kept.arguments, kept.output) == ({}, None)
    else:
        assert kept.arguments == {"id": "o1"}
        assert canary not in str(kept.output)


def test_a_run_that_went_on_replaces_its_earlier_row(db: Database, make_run: Any) -> None:
    runs = RunLog(db, Redactor({}))
    runs.replace(make_run(id="r1", status="error"), source="run")
    runs.replace(make_run(id="r1", status="ok", reason=""), source="run")
    assert [logged.run.status for logged in runs.recent(9)] == ["ok"]
    assert len(runs.get("r1").run.attempts) == 2
