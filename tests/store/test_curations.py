from __future__ import annotations

from sqlite_utils import Database

from skillforge.store.curations import CurationLog


def test_verdicts_are_found_by_node_and_row_and_the_first_stays(db: Database) -> None:
    log = CurationLog(db)
    log.add("n1", {"a": {}, "b": {"keep": False, "reason": "the teacher refused"}})
    log.add("n1", {"a": {"keep": False}})
    assert log.known("n1", ["a", "b", "c"]) == {"a": {}, "b": {"keep": False, "reason": "the teacher refused"}}
    assert log.known("n2", ["a"]) == {}


def test_many_rows_are_asked_for_in_parts(db: Database) -> None:
    log = CurationLog(db)
    rows = [f"r{number}" for number in range(1_300)]
    log.add("n", {row: {} for row in rows})
    assert set(log.known("n", rows)) == set(rows)
    assert log.known("n", []) == {}
