from __future__ import annotations

import pytest
from sqlite_utils import Database

from skillforge.errors import StoreError
from skillforge.store.database import immediate
from skillforge.store.evidence import EvidenceLog


def add(log: EvidenceLog, **changes: str) -> int:
    row = {
        "skill": "a",
        "digest": "sha256:1",
        "student": "s",
        "teacher": "t",
        "suite": "triage",
        "suite_digest": "sha256:2",
        "harness": "1",
        "verdict": "pass",
    }
    return log.add(**(row | changes), report={"b": 1.5, "a": [None]})


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
    assert found.created_at.endswith("Z")
    assert log.latest("sha256:1", "s", "sha256:other") is None


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
