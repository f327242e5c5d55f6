from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sqlite_utils import Database

from skillforge.config import StoreIO
from skillforge.errors import NotFound, StoreError
from skillforge.messages import Usage
from skillforge.redact import Redactor
from skillforge.run import Attempt, CheckResult, Run
from skillforge.sample import Sample
from skillforge.secretpatterns import is_credential
from skillforge.store.database import rows
from skillforge.store.runs import RunLog, new_run_id
from skillforge.store.samples import SampleLog
from skillforge.store.traces import TraceLog
from skillforge.trace import Trace

if TYPE_CHECKING:
    from conftest import MakeRun


@pytest.fixture
def log(db: Database, redactor: Redactor) -> RunLog:
    return RunLog(db, redactor)


def test_a_run_comes_back_as_it_was_with_its_attempts(log: RunLog, make_run: MakeRun) -> None:
    run = make_run()
    run_id = log.add(run, source="run")
    logged = log.get(run_id)
    assert logged.run == run.model_copy(update={"id": run_id})
    assert logged.source == "run"
    assert logged.created_at.endswith("Z")


def test_a_bare_run_keeps_unknown_figures_unknown(log: RunLog) -> None:
    run = Run(id="mine", skill="a", digest="sha256:0", student="s", status="error", input={}, reason="no answer")
    assert log.add(run, source="create") == "mine"
    assert log.get("mine").run == run
    assert log.get("mine").run.usage == Usage()


def test_an_id_is_taken_once(log: RunLog, make_run: MakeRun) -> None:
    log.add(make_run(id="a"), source="run")
    with pytest.raises(StoreError, match="refuses the write"):
        log.add(make_run(id="a"), source="run")
    assert len(log.get("a").run.attempts) == 2


def test_recent_runs_come_newest_first_and_by_skill(log: RunLog, make_run: MakeRun) -> None:
    ids = [log.add(make_run(skill=skill), source="run") for skill in ("a", "b", "a")]
    assert [logged.run.id for logged in log.recent(2)] == [ids[2], ids[1]]
    assert [logged.run.id for logged in log.recent(9, skill="a")] == [ids[2], ids[0]]
    assert log.recent(9, skill="other") == []
    assert all(len(logged.run.attempts) == 2 for logged in log.recent(9))


def test_an_unknown_id_is_not_found(log: RunLog) -> None:
    with pytest.raises(NotFound, match="no run"):
        log.get("nothing")


def test_run_ids_are_uuids_of_version_7_that_sort_by_time() -> None:
    before = time.time_ns() // 1_000_000
    ids = []
    for _ in range(200):
        ids.append(new_run_id())
        time.sleep(0.00001)
    assert ids == sorted(ids)
    assert len(set(ids)) == 200
    first = uuid.UUID(ids[0])
    assert (first.version, first.variant) == (7, uuid.RFC_4122)
    assert before <= first.int >> 80 <= time.time_ns() // 1_000_000


def leaky(canary: str) -> Run:
    check = CheckResult(type="equals", passed=False, reason=f"{canary} is wrong")
    attempt = Attempt(kind="student", text=canary, problems=(f"got {canary}",), error=f"401 for {canary}")
    return Run(
        skill="a",
        digest="sha256:0",
        student="s",
        status="error",
        reason=f"no answer: {canary}",
        input={"ticket": f"my key is {canary}", "deep": [{"x": canary}]},
        output={"quote": canary},
        checks=(check,),
        attempts=(attempt,),
        tags={"note": canary},
    )


@pytest.mark.parametrize("store_io", ["none", "redacted"])
def test_a_secret_never_reaches_the_disk(store_io: StoreIO, path: Path, db: Database, canary: str) -> None:
    env_value = "plain-looking-env-value-8391"
    redactor = Redactor({"ACME_API_KEY": env_value})
    log = RunLog(db, redactor, store_io)
    for n, secret in enumerate((canary, env_value)):
        log.add(leaky(secret), source="run")
        SampleLog(db, log).add(Sample(key=f"{n}", arm="bare", case_id="1", status="ok", run=leaky(secret)))
        trace = Trace(case_id="1", task=secret, input={"t": secret}, output=secret, error=secret)
        TraceLog(db, redactor).add(f"{n}", trace, "t")
    for secret in (canary, env_value):
        for file in path.parent.iterdir():
            assert secret.encode() not in file.read_bytes(), file
    db.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert canary.encode() not in path.read_bytes()


def test_redaction_keeps_everything_that_is_no_secret(log: RunLog, canary: str) -> None:
    run = log.get(log.add(leaky(canary), source="run")).run
    assert run.input["ticket"].startswith("my key is ")
    assert run.attempts[0].error.startswith("401 for ")
    assert canary not in run.model_dump_json()


def test_store_io_none_keeps_figures_and_nothing_that_was_said(
    db: Database, redactor: Redactor, make_run: MakeRun
) -> None:
    log = RunLog(db, redactor, "none")
    run = log.get(log.add(make_run(), source="run")).run
    assert (run.input, run.output, run.reason) == ({}, None, "")
    assert [(attempt.text, attempt.problems) for attempt in run.attempts] == [("", ()), ("", ())]
    assert [(check.passed, check.reason) for check in run.checks] == [(False, "")]
    assert (run.usage, run.cost, run.latency_s) == (make_run().usage, make_run().cost, 1.25)
    stored = rows(db, "SELECT input, output, text FROM runs JOIN attempts ON run_id = id")
    assert stored == [{"input": None, "output": None, "text": None}] * 2
    failed = log.add(make_run(status="error", reason="the server said 500"), source="run")
    assert log.get(failed).run.reason == "the server said 500"


def test_store_io_none_keeps_of_an_error_what_stands_before_the_colon(
    db: Database, redactor: Redactor, make_run: MakeRun
) -> None:
    message = 'replay:x has no answer for a request with input {"ticket": "I was charged"}'
    run = make_run(status="error", reason=message, attempts=(Attempt(kind="student", error=message),))
    read = RunLog(db, redactor, "none").add(run, source="run")
    stored = RunLog(db, redactor).get(read).run
    assert (stored.reason, stored.attempts[0].error) == ("replay", "replay")
    kept = RunLog(db, redactor).get(RunLog(db, redactor).add(run, source="run")).run
    assert kept.reason == kept.attempts[0].error == message


def test_store_io_full_keeps_inputs_and_outputs_but_no_secret_in_errors(
    db: Database, redactor: Redactor, canary: str
) -> None:
    log = RunLog(db, redactor, "full")
    run = log.get(log.add(leaky(canary), source="run")).run
    assert (run.input, run.output, run.attempts[0].text) == (
        leaky(canary).input,
        leaky(canary).output,
        canary,
    )
    assert canary not in run.reason + run.attempts[0].error + str(run.tags)


@pytest.mark.parametrize("value", ["\ud800 half a pair", "nul \0 inside", 2**70, -0.0, [], "", {"é": {"b": 1, "a": 2}}])
def test_awkward_values_from_models_survive(value: Any, log: RunLog, make_run: MakeRun) -> None:
    run = make_run(input={"x": value}, output=value)
    read = log.get(log.add(run, source="run")).run
    assert (read.input, read.output) == (run.input, run.output)


def test_absurd_token_counts_are_a_store_error_and_nothing_is_half_written(
    db: Database, log: RunLog, make_run: MakeRun
) -> None:
    attempt = Attempt(kind="student", usage=Usage(output_tokens=2**70))
    with pytest.raises(StoreError, match="too large"):
        log.add(make_run(attempts=(attempt,)), source="run")
    assert rows(db, "SELECT id FROM runs") == []


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(text=st.text(max_size=60), key=st.text(max_size=10))
def test_any_text_from_a_model_reads_back(text: str, key: str, log: RunLog, make_run: MakeRun) -> None:
    assume(not is_credential(key, text))
    run = make_run(input={key: text}, output=[text], attempts=(Attempt(kind="student", text=text, problems=(text,)),))
    read = log.get(log.add(run, source="run")).run
    assert (read.input, read.output, read.attempts) == (run.input, run.output, run.attempts)


def test_what_a_deployment_did_comes_back_without_secrets(db, redactor, make_run, canary):
    log = RunLog(db, redactor)
    run_id = log.add(make_run(alias="production", fallback=f"a:b could not answer: key {canary}"), source="run")
    stored = log.get(run_id).run
    assert stored.alias == "production"
    assert stored.fallback.startswith("a:b could not answer: key [redacted:")
    quiet = RunLog(db, redactor, store_io="none")
    told = quiet.get(quiet.add(make_run(fallback="a:b could not answer: I quote"), source="run")).run
    assert (told.alias, told.fallback) == ("", "a:b could not answer")
