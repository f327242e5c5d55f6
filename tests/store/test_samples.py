from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest
from sqlite_utils import Database

from skillforge.errors import StoreError
from skillforge.redact import Redactor
from skillforge.sample import Sample
from skillforge.store.database import rows
from skillforge.store.runs import RunLog
from skillforge.store.samples import SampleLog

if TYPE_CHECKING:
    from conftest import MakeRun, Opened, Processes


@pytest.fixture
def samples(db: Database, redactor: Redactor) -> SampleLog:
    return SampleLog(db, RunLog(db, redactor))


def sample(make_run: MakeRun, key: str, status: Literal["ok", "error"] = "ok", output: str = "x") -> Sample:
    run = make_run(output=output, status="error" if status == "error" else "failed")
    return Sample(key=key, arm="bare", case_id="case-1", status=status, run=run)


def test_finished_samples_come_back_with_their_runs(samples: SampleLog, make_run: MakeRun) -> None:
    given = sample(make_run, "a")
    samples.add(given)
    known = samples.known(["a", "b", "a"])
    assert list(known) == ["a"]
    read = known["a"]
    assert read.run == given.run.model_copy(update={"id": read.run.id})
    assert read.created_at.endswith("Z")
    assert read == given.model_copy(update={"run": read.run, "created_at": read.created_at})


def test_a_given_time_is_kept(samples: SampleLog, make_run: MakeRun) -> None:
    samples.add(sample(make_run, "a").model_copy(update={"created_at": "2026-01-01T00:00:00Z"}))
    assert samples.known(["a"])["a"].created_at == "2026-01-01T00:00:00Z"


def test_the_first_finished_sample_of_a_key_stays(db: Database, samples: SampleLog, make_run: MakeRun) -> None:
    for output in ("first", "second"):
        samples.add(sample(make_run, "a", output=output))
    samples.add(sample(make_run, "a", status="error"))
    assert samples.known(["a"])["a"].run.output == "first"
    assert len(rows(db, "SELECT id FROM runs")) == 1


def test_an_error_is_asked_again_and_replaced_by_what_comes_later(
    db: Database, samples: SampleLog, make_run: MakeRun
) -> None:
    samples.add(sample(make_run, "a", status="error"))
    samples.add(sample(make_run, "a", status="error"))
    assert samples.known(["a"]) == {}
    samples.add(sample(make_run, "a", output="later"))
    assert samples.known(["a"])["a"].run.output == "later"
    assert len(rows(db, "SELECT id FROM runs")) == 3
    assert {row["source"] for row in rows(db, "SELECT source FROM runs")} == {"eval"}


def test_samples_written_together_follow_the_same_rules(db: Database, samples: SampleLog, make_run: MakeRun) -> None:
    given = [sample(make_run, "a", status="error"), sample(make_run, "a", output="first"), sample(make_run, "b")]
    samples.write([samples.prepare(each) for each in (*given, sample(make_run, "a", output="later"))])
    known = samples.known(["a", "b"])
    assert (known["a"].run.output, known["b"].run.output) == ("first", "x")
    assert len(rows(db, "SELECT id FROM runs")) == 3


def test_samples_written_together_are_stored_all_or_none(db: Database, samples: SampleLog, make_run: MakeRun) -> None:
    twice = [samples.prepare(sample(make_run, key)) for key in ("a", "b")]
    taken = replace(twice[1], run=replace(twice[1].run, id=twice[0].run.id, run=twice[0].run.run))
    with pytest.raises(StoreError):
        samples.write([twice[0], taken])
    assert samples.known(["a", "b"]) == {}
    assert rows(db, "SELECT id FROM runs") == []


def test_thousands_of_keys_are_asked_for_in_chunks(samples: SampleLog, make_run: MakeRun) -> None:
    for n in range(1200):
        samples.add(sample(make_run, f"k{n}"))
    known = samples.known(f"k{n}" for n in range(5000))
    assert len(known) == 1200
    assert all(len(found.run.attempts) == 2 for found in known.values())
    assert samples.known([]) == {}


def test_samples_keep_their_output_where_nothing_else_is_kept(
    db: Database, redactor: Redactor, make_run: MakeRun, canary: str
) -> None:
    samples = SampleLog(db, RunLog(db, redactor, "none"))
    samples.add(sample(make_run, "a", output=f"billing {canary}"))
    run = samples.known(["a"])["a"].run
    assert run.output.startswith("billing ")
    assert canary not in run.output
    assert (run.input, run.attempts[0].text, run.status) == ({}, "", "failed")


def test_where_all_is_kept_an_output_that_redaction_changed_is_asked_again_and_replaced(
    db: Database, redactor: Redactor, make_run: MakeRun, canary: str
) -> None:
    redacted, full = (SampleLog(db, RunLog(db, redactor, mode)) for mode in ("redacted", "full"))
    redacted.add(sample(make_run, "changed", output=canary))
    redacted.add(sample(make_run, "same", output="x"))
    assert set(redacted.known(["changed", "same"])) == {"changed", "same"}
    assert set(full.known(["changed", "same"])) == {"same"}
    assert canary not in full.stored(["changed"])["changed"].run.output
    full.add(sample(make_run, "changed", status="error"))
    redacted.add(sample(make_run, "changed", output=f"again {canary}"))
    assert not full.stored(["changed"])["changed"].run.output.startswith("again")  # neither replaces it
    full.add(sample(make_run, "changed", output=canary))
    assert full.known(["changed"])["changed"].run.output == canary
    redacted.add(sample(make_run, "changed", output=f"again {canary}"))
    assert redacted.known(["changed"])["changed"].run.output == canary  # what is whole serves everywhere and stays
    kept = {row["key"]: row["kept"] for row in rows(db, "SELECT key, kept FROM samples")}
    assert kept == {"changed": "full", "same": "full"}


WRITES = """
    import sys
    from pathlib import Path
    from skillforge.redact import Redactor
    from skillforge.run import Attempt, Run
    from skillforge.sample import Sample
    from skillforge.store.database import open_database
    from skillforge.store.runs import RunLog
    from skillforge.store.samples import SampleLog

    with open_database(Path(sys.argv[1])) as db:
        samples = SampleLog(db, RunLog(db, Redactor({})))
        for n in range(10**9):
            run = Run(skill="a", digest="d", student="s", status="ok", input={"n": n}, output="x" * 500,
                      attempts=(Attempt(kind="student", text="y"),))
            key = f"{sys.argv[2]}-{n}"
            samples.add(Sample(key=key, arm="bare", case_id="c", status="ok", run=run))
            print(key, flush=True)
"""


def test_kill_9_loses_no_acknowledged_sample(path: Path, processes: Processes, opened: Opened) -> None:
    writers = [processes.start(WRITES, path, worker) for worker in range(4)]
    acknowledged: list[str] = []
    for count, writer in zip((3, 50, 200, 400), writers, strict=True):
        assert writer.stdout is not None
        acknowledged += [writer.stdout.readline() for _ in range(count)]
        writer.kill()
        acknowledged += writer.stdout.readlines()
    keys = [line.strip() for line in acknowledged if line.endswith("\n")]
    assert len(keys) >= 653
    db = opened(path)
    stored = {row["key"] for row in rows(db, "SELECT key FROM samples")}
    assert set(keys) <= stored
    assert len(stored) <= len(keys) + 4  # at most one written but not yet acknowledged per writer
    assert rows(db, "PRAGMA integrity_check") == [{"integrity_check": "ok"}]
    assert rows(db, "PRAGMA foreign_key_check") == []
    assert len(rows(db, "SELECT n FROM samples JOIN attempts USING (run_id)")) == len(stored)
