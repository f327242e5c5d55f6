from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlite_utils import Database

from skillforge.errors import NotFound, UsageError
from skillforge.store import migrations
from skillforge.store.database import immediate, open_database, rows
from skillforge.store.evidence import EvidenceLog, Measured
from skillforge.store.imports import ImportLog
from skillforge.store.migrations import MIGRATIONS, TRIGGERS, missing_triggers, unguarded
from skillforge.store.numbers import Renumbered
from skillforge.store.registry import Registry
from skillforge.store.runs import RunLog

if TYPE_CHECKING:
    from conftest import MakeRun, MakeSkill, Opened

NAME = "ticket-triage"


@pytest.fixture
def registry(db: Database) -> Registry:
    return Registry(db)


def numbers(registry: Registry) -> dict[int, str]:
    return {item.version: item.skill.instructions for item in registry.versions(NAME)}


def test_reviewed_content_gets_its_own_number_whenever_it_comes(registry: Registry, make_skill: MakeSkill) -> None:
    third, fifth = make_skill(instructions="third"), make_skill(instructions="fifth")
    assert registry.adopt(NAME, {3: third.digest(), 5: fifth.digest()}) == []
    assert registry.save(make_skill(instructions="draft")).version == 6
    assert registry.save(third).version == 3
    with pytest.raises(NotFound, match="only in git's history") as caught:
        registry.get(NAME, "5")
    assert "skillforge save" in caught.value.hint
    assert registry.save(fifth).version == 5
    assert numbers(registry) == {3: "third", 5: "fifth", 6: "draft"}


def test_the_reviewed_number_wins_and_what_belongs_to_the_draft_follows_it(
    db: Database, registry: Registry, make_skill: MakeSkill, make_run: MakeRun, redactor: object
) -> None:
    for text in ("one", "draft", "later"):
        registry.save(make_skill(instructions=text))
    log = RunLog(db, registry._redactor)
    run = log.add(make_run(version=2), source="run")
    registry.delete(NAME, [2], "a bad idea")
    reviewed = make_skill(instructions="reviewed")
    moved = registry.adopt(NAME, {1: make_skill(instructions="one").digest(), 2: reviewed.digest()})
    draft = make_skill(instructions="draft").digest()
    assert moved == [Renumbered(NAME, 2, 4, draft)]
    assert registry.save(reviewed).version == 2
    assert numbers(registry) == {1: "one", 2: "reviewed", 3: "later"}
    with pytest.raises(NotFound, match=r"@4 was deleted on .*: a bad idea"):
        registry.get(NAME, "4")
    assert log.get(run).run.version == 4
    assert missing_triggers(db) == []
    assert registry.verify() == []
    with pytest.raises(sqlite3.IntegrityError, match="never changes"):
        db.conn.execute("UPDATE versions SET version = 9")


def test_going_to_and_fro_between_branches_swaps_the_numbers(registry: Registry, make_skill: MakeSkill) -> None:
    ours, theirs = make_skill(instructions="ours"), make_skill(instructions="theirs")
    for skill in (ours, theirs):
        registry.save(skill)
    for first, second in ((theirs, ours), (ours, theirs), (theirs, ours)):
        registry.adopt(NAME, {1: first.digest(), 2: second.digest()})
        assert numbers(registry) == {1: first.instructions, 2: second.instructions}
    assert registry.adopt(NAME, {1: theirs.digest(), 2: ours.digest()}) == []


@given(st.dictionaries(st.integers(1, 8), st.integers(0, 9), max_size=8), st.lists(st.integers(0, 9), unique=True))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_numbers_are_taken_over_and_nothing_is_lost(
    tmp_path_factory: pytest.TempPathFactory, make_skill: MakeSkill, locked: dict[int, int], saved: list[int]
) -> None:
    skills = [make_skill(instructions=str(number)) for number in range(10)]
    unique = {number: which for number, which in locked.items() if list(locked.values()).count(which) == 1}
    with open_database(tmp_path_factory.mktemp("any") / "registry.db") as db:
        registry = Registry(db)
        for which in saved:
            registry.save(skills[which])
        registry.adopt(NAME, {number: skills[which].digest() for number, which in unique.items()})
        stored = {digest: number for number, digest in registry.digests(NAME).items()}
        assert set(stored) == {skills[which].digest() for which in saved}
        for number, which in unique.items():
            assert stored.get(skills[which].digest(), number) == number
            assert registry.save(skills[which]).version == number
        assert missing_triggers(db) == []


def test_deleted_versions_are_hidden_and_say_when_and_why(registry: Registry, make_skill: MakeSkill) -> None:
    for text in "abc":
        registry.save(make_skill(instructions=text))
    registry.delete(NAME, [3, 1], "wrong queue")
    registry.delete(NAME, [3], "said again")
    assert list(numbers(registry)) == [2]
    assert registry.get(NAME).version == registry.get(NAME, "latest").version == 2
    assert [item.version for item in registry.skills()] == [2]
    for selector in ("3", make_skill(instructions="c").digest()):
        with pytest.raises(NotFound, match=r"@3 was deleted on 2.*Z: wrong queue\n") as caught:
            registry.get(NAME, selector)
        assert caught.value.hint == f"versions of {NAME}: 2"
    assert registry.digests(NAME).keys() == {1, 2, 3}
    assert registry.verify() == []


def test_deleted_content_does_not_come_back_and_its_number_is_not_given_again(
    registry: Registry, make_skill: MakeSkill
) -> None:
    registry.save(make_skill())
    registry.delete(NAME, [1], "")
    with pytest.raises(UsageError, match="@1 was deleted") as caught:
        registry.save(make_skill())
    assert "never comes back" in caught.value.hint
    assert registry.skills() == []
    with pytest.raises(NotFound, match="every version of ticket-triage was deleted"):
        registry.get(NAME)
    assert registry.save(make_skill(instructions="changed")).version == 2


def test_what_git_says_of_a_reviewed_number_counts(registry: Registry, make_skill: MakeSkill) -> None:
    saved = registry.save(make_skill())
    registry.delete(NAME, [1], "here")
    registry.adopt(NAME, {1: saved.digest})  # on this branch it is not deleted
    assert registry.get(NAME).version == 1
    registry.adopt(NAME, {1: saved.digest}, deleted=[1])
    with pytest.raises(NotFound, match="was deleted on"):
        registry.get(NAME, "1")
    registry.adopt(NAME, {2: "sha256:" + "0" * 64}, deleted=[2])
    assert registry.adopted() == [NAME]


def test_a_version_without_its_content_is_gone_whatever_git_says(
    db: Database, registry: Registry, make_skill: MakeSkill
) -> None:
    saved = registry.save(make_skill())
    registry.delete(NAME, [1], "purged")
    with immediate(db) as conn, unguarded(conn):
        conn.execute("UPDATE versions SET body = ''")
    registry.adopt(NAME, {1: saved.digest})
    with pytest.raises(NotFound, match="purged"):
        registry.get(NAME, "1")
    assert registry.verify() == []


@pytest.mark.parametrize(
    "sql",
    ["UPDATE tombstones SET reason = ''", "DELETE FROM tombstones", "REPLACE INTO tombstones SELECT * FROM tombstones"],
)
def test_a_deletion_never_changes(db: Database, registry: Registry, make_skill: MakeSkill, sql: str) -> None:
    registry.save(make_skill())
    registry.delete(NAME, [1], "why")
    with pytest.raises(sqlite3.IntegrityError, match="a deletion"):
        db.conn.execute(sql)


@pytest.mark.parametrize("version", range(len(MIGRATIONS)))
def test_every_trigger_exists_after_every_migration(
    path: Path, opened: Opened, make_skill: MakeSkill, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "MIGRATIONS", MIGRATIONS[:version])
        patch.setattr(migrations, "SCHEMA_VERSION", version)
        db = open_database(path)
        if version:
            with immediate(db) as conn:
                conn.execute("INSERT INTO skills VALUES ('a', 'now')")
                conn.execute("INSERT INTO versions VALUES ('a', 1, 'd', '{}', NULL, NULL, '', '{}', 'draft', 'now')")
        db.close()
    db = opened(path)
    assert missing_triggers(db) == []
    assert set(db.triggers_dict) == set(TRIGGERS)
    if version:
        with pytest.raises(sqlite3.IntegrityError):
            db.conn.execute("UPDATE versions SET body = ''")


def evidence(**changes: object) -> Measured:
    body: dict[str, object] = dict.fromkeys(
        ("skill", "digest", "student", "student_identity", "teacher", "teacher_identity", "suite", "suite_digest"), "x"
    )
    body |= {"split": "test", "cases": 1, "harness": "1", "verdict": "pass", "report": {"teacher": {}, "arms": []}}
    return Measured(**body | changes)  # type: ignore[arg-type]


def test_results_from_elsewhere_are_stored_once_and_ordered_by_when_they_were_measured(db: Database) -> None:
    log = EvidenceLog(db)
    log.add(evidence(verdict="pass"))
    old = (evidence(verdict="fail"), "2001-01-31T09:30:00.123Z")
    assert log.adopt([old, old]) == 1
    assert log.adopt([old, (evidence(), "2001-01-31T09:30:00.124Z")]) == 0
    assert [item.verdict for item in log.for_skill("x")] == ["pass", "fail"]
    newest = log.latest("x", "x", "x")
    assert newest is not None
    assert newest.verdict == "pass"


def test_what_was_read_is_remembered(db: Database) -> None:
    log = ImportLog(db)
    log.add("a", "sha256:1", "s1")
    log.add("a", "sha256:2", "s2")
    log.add_held("f", "sha256:3")
    assert log.known()["a"] == ("sha256:2", "s2")
    assert log.held("f") == {"sha256:3"}
    assert log.held("a") == set()
    assert rows(db, "SELECT count(*) AS n FROM imported") == [{"n": 2}]
