from __future__ import annotations

from typing import Any

import pytest
from sqlite_utils import Database

from skillforge.errors import StoreError
from skillforge.store.database import immediate
from skillforge.store.evidence import EvidenceLog, Measured


def measured(**changes: Any) -> Measured:
    row: dict[str, Any] = {
        "skill": "a",
        "digest": "sha256:1",
        "student": "s",
        "student_identity": "s 1",
        "teacher": "t",
        "teacher_identity": "t 1",
        "suite": "triage",
        "suite_digest": "sha256:2",
        "split": "test",
        "cases": 7,
        "harness": "1",
        "verdict": "pass",
        "report": {"b": 1.5, "a": [None]},
        "samples": {"s + skill": {"c1": "sha256:3"}},
    }
    return Measured(**(row | changes))


def add(log: EvidenceLog, **changes: Any) -> int:
    return log.add(measured(**changes))


def test_the_newest_result_of_version_student_and_suite_is_found(db: Database) -> None:
    log = EvidenceLog(db)
    add(log, verdict="inconclusive")
    newest = add(log)
    add(log, student="other", verdict="fail")
    add(log, digest="sha256:9", verdict="fail")
    found = log.latest("sha256:1", "s", "sha256:2")
    assert found is not None
    assert (found.id, found.verdict, found.teacher, found.harness) == (newest, "pass", "t", "1")
    assert found.report == {"b": 1.5, "a": [None]}
    assert list(found.report) == ["b", "a"]
    assert found.columns() == measured().columns()
    assert found.created_at.endswith("Z")
    assert log.latest("sha256:1", "s", "sha256:other") is None


@pytest.mark.parametrize(
    "changes",
    [
        {"teacher": "u"},
        {"teacher_identity": "t 2"},
        {"student_identity": "s 2"},
        {"split": "all"},
        {"cases": 8},
        {"harness": "2"},
        {"report": {"b": 1.5, "a": []}},
    ],
)
def test_results_are_the_same_only_where_everything_that_counts_is(changes: dict[str, Any], db: Database) -> None:
    log = EvidenceLog(db)
    add(log, report={"b": 1.5, "a": [None], "reused": 3, "seconds": 0.5})
    found = log.latest("sha256:1", "s", "sha256:2")
    assert found is not None
    assert found.same_as(measured(report={"b": 1.5, "a": [None], "reused": 9, "seconds": 0.1}))
    assert not found.same_as(measured(**changes))


def test_all_results_of_a_skill_come_newest_first(db: Database) -> None:
    log = EvidenceLog(db)
    ids = [add(log), add(log, skill="b"), add(log, verdict="fail")]
    assert [found.id for found in log.for_skill("a")] == [ids[2], ids[0]]
    assert log.for_skill("other") == []


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE evidence SET verdict = 'pass'",
        "DELETE FROM evidence",
        "INSERT OR REPLACE INTO evidence SELECT * FROM evidence",
    ],
)
def test_evidence_cannot_be_changed(sql: str, db: Database) -> None:
    log = EvidenceLog(db)
    add(log, verdict="fail")
    with pytest.raises(StoreError, match=r"evidence (is )?never"), immediate(db) as conn:
        conn.execute(sql)
    assert [found.verdict for found in log.for_skill("a")] == ["fail"]
