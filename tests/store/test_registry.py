from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlite_utils import Database

from skillforge.errors import NotFound, SecretFound, StoreError, UsageError
from skillforge.redact import Redactor
from skillforge.skill import Skill
from skillforge.store.database import immediate, rows
from skillforge.store.registry import Registry, SavedVersion

if TYPE_CHECKING:
    from conftest import MakeSkill, Opened, Processes


@pytest.fixture
def registry(db: Database) -> Registry:
    return Registry(db)


def test_a_saved_skill_comes_back_as_it_was(registry: Registry, make_skill: MakeSkill) -> None:
    skill = make_skill(license="MIT", metadata={"author": "acme"}, task="Route it.")
    saved = registry.save(skill, source=b"name: \xff", source_path="skills/a/skill.yaml", provenance={"teacher": "t"})
    assert saved == SavedVersion("ticket-triage", 1, skill.digest(), created=True)
    version = registry.get("ticket-triage")
    assert version.skill == skill
    assert list(version.skill.input) == ["ticket", "locale"]
    assert (version.version, version.digest, version.status) == (1, skill.digest(), "draft")
    assert (version.task, version.source_path, version.provenance) == (
        "Route it.",
        "skills/a/skill.yaml",
        {"teacher": "t"},
    )
    assert version.created_at.endswith("Z")
    assert registry.source("ticket-triage", 1) == b"name: \xff"


def test_identical_content_is_the_existing_version(registry: Registry, make_skill: MakeSkill) -> None:
    first = registry.save(make_skill())
    again = registry.save(make_skill(license="MIT", metadata={"reviewed": "yes"}))
    assert again == SavedVersion(first.name, 1, first.digest, created=False)
    changed = registry.save(make_skill(instructions="Think."))
    assert (changed.version, changed.created) == (2, True)
    assert registry.save(make_skill()).version == 1
    assert [version.version for version in registry.versions("ticket-triage")] == [1, 2]


def test_the_order_of_contract_fields_is_content(registry: Registry, make_skill: MakeSkill) -> None:
    fields: dict[str, Any] = {"b": {"type": "string"}, "a": {"type": "string"}}
    registry.save(make_skill(output=fields))
    assert registry.save(make_skill(output=dict(reversed(fields.items())))).version == 2
    assert list(registry.get("ticket-triage", "1").skill.output) == ["b", "a"]
    assert list(registry.get("ticket-triage", "2").skill.output) == ["a", "b"]


def test_selectors_pick_versions(registry: Registry, make_skill: MakeSkill) -> None:
    saved = [registry.save(make_skill(instructions=text)) for text in "abc"]
    assert registry.get("ticket-triage").version == 3
    assert registry.get("ticket-triage", "latest").version == 3
    assert registry.get("ticket-triage", "2").version == 2
    assert registry.get("ticket-triage", saved[1].digest).version == 2
    assert registry.get("ticket-triage", saved[0].digest[: len("sha256:") + 8]).version == 1
    with pytest.raises(UsageError, match="selects no version"):
        registry.get("ticket-triage", "production")


def test_an_ambiguous_digest_prefix_lists_its_matches(db: Database, registry: Registry) -> None:
    with immediate(db) as conn:
        conn.execute("INSERT INTO skills VALUES ('a', 'now')")
        for version, last in ((1, "0"), (2, "1")):
            conn.execute(
                "INSERT INTO versions VALUES ('a', ?, ?, '{}', NULL, NULL, '', '{}', 'draft', 'now')",
                (version, "sha256:" + "ab" * 31 + "0" + last),
            )
    with pytest.raises(UsageError, match=r"ambiguous: @1 .*, @2 "):
        registry.get("a", "sha256:abababab")


def test_what_is_not_there_lists_what_is(registry: Registry, make_skill: MakeSkill) -> None:
    with pytest.raises(NotFound, match="registry is empty"):
        registry.get("ticket-triage")
    registry.save(make_skill())
    registry.save(make_skill(name="summary"))
    with pytest.raises(NotFound) as caught:
        registry.get("ticket-traige")
    assert caught.value.hint == "did you mean ticket-triage? skills: summary, ticket-triage"
    with pytest.raises(NotFound, match="no version @7") as caught:
        registry.get("summary", "7")
    assert caught.value.hint == "versions of summary: 1"
    with pytest.raises(NotFound):
        registry.versions("other")
    with pytest.raises(NotFound):
        registry.source("summary", 7)


def test_skills_are_the_newest_of_each(registry: Registry, make_skill: MakeSkill) -> None:
    assert registry.skills() == []
    for name, text in (("b", "x"), ("a", "x"), ("b", "y")):
        registry.save(make_skill(name=name, instructions=text))
    assert [(version.name, version.version) for version in registry.skills()] == [("a", 1), ("b", 2)]


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE versions SET body = '{}'",
        "UPDATE versions SET status = 'production'",
        "UPDATE OR REPLACE versions SET digest = 'sha256:0'",
        "DELETE FROM versions",
        "INSERT OR REPLACE INTO versions SELECT * FROM versions",
        "REPLACE INTO versions SELECT skill, 9, digest, '{}', NULL, NULL, '', '{}', '', '' FROM versions",
        "DELETE FROM skills",
        "UPDATE skills SET name = 'other'",
    ],
)
@pytest.mark.parametrize("ours", [True, False])
def test_saved_versions_cannot_be_changed(
    sql: str, ours: bool, path: Path, registry: Registry, db: Database, make_skill: MakeSkill
) -> None:
    registry.save(make_skill())
    before = rows(db, "SELECT * FROM versions")
    if ours:
        with pytest.raises(StoreError, match="refuses the write"), immediate(db) as conn:
            conn.execute(sql)
    elif "skills" not in sql:  # a connection without our pragmas has no foreign keys, but it has the triggers
        stranger = sqlite3.connect(path)
        try:
            with pytest.raises(sqlite3.IntegrityError, match=r"a saved version (is )?never"):
                stranger.execute(sql)
        finally:
            stranger.close()
    assert rows(db, "SELECT * FROM versions") == before


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"instructions": "use CANARY"}, "instructions"),
        ({"metadata": {"key": "CANARY"}}, "metadata.key"),
        ({"examples": {"items": [{"id": "a", "input": {"t": "CANARY"}, "output": 1}]}}, "examples.items[0].input.t"),
        ({"output": {"x": {"enum": ["ok", "CANARY"]}}}, "output.x.enum[1]"),
        ({"input": {"CANARY": {}}}, "a key of input"),
    ],
)
def test_a_skill_with_a_secret_is_refused_and_the_field_named(
    changes: dict[str, Any], field: str, db: Database, registry: Registry, make_skill: MakeSkill, canary: str
) -> None:
    skill = make_skill(**json.loads(json.dumps(changes).replace("CANARY", canary)))
    with pytest.raises(SecretFound) as caught:
        registry.save(skill)
    assert str(caught.value).startswith(f"{field} holds")
    assert canary not in str(caught.value) + caught.value.hint
    assert rows(db, "SELECT * FROM skills") == []


def test_a_secret_in_the_source_or_the_provenance_is_refused_too(
    path: Path, registry: Registry, make_skill: MakeSkill, canary: str
) -> None:
    with pytest.raises(SecretFound, match="the source file"):
        registry.save(make_skill(), source=f"# {canary}\nname: a".encode())
    with pytest.raises(SecretFound, match=r"provenance\.call"):
        registry.save(make_skill(), provenance={"call": canary})
    for file in path.parent.iterdir():
        assert canary.encode() not in file.read_bytes()


def test_a_secret_of_the_environment_is_refused_with_its_field_before_and_at_saving(
    db: Database, make_skill: MakeSkill
) -> None:
    registry = Registry(db, Redactor({"DOOR_PASSWORD": "tulips in may"}))
    skill = make_skill(instructions="say tulips in may")
    for refused in (registry.refuse_secrets, registry.save):
        with pytest.raises(SecretFound, match=r"^instructions holds") as caught:
            refused(skill)
        assert "tulips" not in str(caught.value) + caught.value.hint
    with pytest.raises(SecretFound, match=r"^the source file"):
        registry.save(make_skill(), source=b"# tulips in may")
    with pytest.raises(SecretFound, match=r"^provenance\.note"):
        registry.refuse_secrets(make_skill(), provenance={"note": "tulips in may"})
    registry.refuse_secrets(make_skill())
    assert rows(db, "SELECT * FROM skills") == []


@pytest.mark.parametrize("value", [float("nan"), 2**60, "\ud800", {"a": float("inf")}])
def test_what_json_cannot_hold_is_a_usage_error(value: Any, registry: Registry, make_skill: MakeSkill) -> None:
    with pytest.raises(UsageError, match="cannot be stored"):
        registry.save(make_skill(checks=[{"type": "equals", "value": value}]))


def test_verify_finds_every_damaged_version_and_get_refuses_it(
    db: Database, registry: Registry, make_skill: MakeSkill
) -> None:
    for text in "abc":
        registry.save(make_skill(instructions=text))
    assert registry.verify() == []
    db.conn.execute("DROP TRIGGER versions_no_update")
    db.conn.execute("UPDATE versions SET body = replace(body, '\"a\"', '\"evil\"') WHERE version = 1")
    db.conn.execute("UPDATE versions SET body = '{' WHERE version = 3")
    problems = registry.verify()
    assert [problem.split(":")[0] for problem in problems] == [
        "trigger versions_no_update is missing or altered",
        "ticket-triage@1",
        "ticket-triage@3",
    ]
    assert registry.get("ticket-triage", "2").skill.instructions == "b"
    with pytest.raises(StoreError, match="ticket-triage@1 is damaged"):
        registry.get("ticket-triage", "1")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(1 - 2**53, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["b", "a", "é"]), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(value=JSON, instructions=st.text(st.characters(exclude_categories=["Cs"]), max_size=50))
def test_any_json_content_reads_back_with_its_digest(
    registry: Registry, make_skill: MakeSkill, value: Any, instructions: str
) -> None:
    example = {"id": "a", "input": {"ticket": "t"}, "output": value}
    skill: Skill = make_skill(
        instructions=instructions, examples={"items": [example]}, checks=[{"type": "equals", "value": value}]
    )
    saved = registry.save(skill)
    read = registry.get(saved.name, str(saved.version))
    assert read.digest == saved.digest == skill.digest()
    assert read.skill.examples == skill.examples


SAVES = """
    import sys, time
    from pathlib import Path
    from skillforge.run import Run
    from skillforge.redact import Redactor
    from skillforge.skill import Skill
    from skillforge.store.database import open_database
    from skillforge.store.registry import Registry
    from skillforge.store.runs import RunLog

    path, worker = Path(sys.argv[1]), sys.argv[2]
    with open_database(path) as db:
        registry, log = Registry(db), RunLog(db, Redactor({}))
        for n in range(50):
            # Every second skill is saved by all workers, the others are each worker's own.
            text = f"shared {n}" if n % 2 else f"{worker} {n}"
            skill = Skill.model_validate({"schema": "skillforge/v1", "name": "a", "description": "d", "input": {},
                                          "output": "text", "instructions": text, "prompt": "p"})
            saved = registry.save(skill)
            run = Run(skill="a", digest=saved.digest, student="s", status="ok", input={})
            print(saved.version, saved.digest, saved.created, log.add(run, source="run"))
"""


def test_8_processes_saving_lose_nothing_and_never_duplicate(path: Path, processes: Processes, opened: Opened) -> None:
    for worker in range(8):
        processes.start(SAVES, path, worker)
    acknowledged = [line.split() for out in processes.finish() for line in out.splitlines()]
    db = opened(path)
    stored = {(str(row["version"]), row["digest"]) for row in rows(db, "SELECT version, digest FROM versions")}
    assert len(acknowledged) == 8 * 50
    assert {(version, digest) for version, digest, _, _ in acknowledged} == stored
    assert len(stored) == 8 * 25 + 25 == sum(created == "True" for _, _, created, _ in acknowledged)
    assert sorted(int(version) for version, _ in stored) == list(range(1, 226))
    assert {row["id"] for row in rows(db, "SELECT id FROM runs")} == {run_id for *_, run_id in acknowledged}
    assert Registry(db).verify() == []
