from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from synced import NAME, deploy, instructions, states

from skillforge.errors import NotFound, SecretFound, SkillFileError, StoreError
from skillforge.forge.deploy.deployed import snapshot_path
from skillforge.forge.files import catchup
from skillforge.lockfile import Lock, LockedSkill, lock_path, read_lock, write_lock
from skillforge.skillfile import write_skill


@pytest.fixture
def elsewhere(triage: Any, tmp_path: Path) -> Callable[..., Path]:
    """Writes the skill outside of ``skills/``: saved from there, only the registry has it."""

    def write(**changes: Any) -> Path:
        return write_skill(triage(**changes), tmp_path / "elsewhere" / NAME)

    return write


def files(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and ".skillforge" not in path.parts
    }


def test_a_new_file_becomes_a_reviewed_version(repo, skill_in, forge_at, triage):
    skill_in(repo)
    forge = forge_at(repo)
    checked = forge.repository.sync(check=True)
    assert (checked.exit_code, checked.changed) == (1, True)
    assert not lock_path(repo).exists()
    assert not (repo / ".skillforge" / "registry.db").exists()
    assert states(forge) == [("new", 1)]
    digest = triage().digest()
    assert read_lock(repo).skill(NAME) == LockedSkill(head=digest, versions={1: digest})
    before = files(repo)
    assert states(forge) == [("in_sync", 1)]
    assert forge.repository.sync(check=True).exit_code == 0
    assert files(repo) == before


def test_saving_and_evaluating_alone_write_no_lock(repo, skill_in, forge_at):
    forge_at(repo).save(skill_in(repo))
    assert not lock_path(repo).exists()


def test_a_changed_file_is_the_next_version(repo, skill_in, forge_at):
    skill_in(repo)
    forge = forge_at(repo)
    forge.repository.sync()
    for text in ("draft", "second"):  # what was a draft of this file meanwhile is no change of the registry's own
        skill_in(repo, instructions=text)
        forge.show(NAME)
    assert states(forge, check=True) == [("file_changed", None)]
    assert states(forge) == [("file_changed", 3)]
    assert sorted(read_lock(repo).skill(NAME).versions) == [1, 3]
    assert states(forge) == [("in_sync", 3)]


def test_a_file_put_back_to_a_reviewed_version_moves_the_head_back(repo, skill_in, forge_at, triage):
    forge = forge_at(repo)
    for text in ("one", "two", "one"):
        skill_in(repo, instructions=text)
        forge.repository.sync()
    entry = read_lock(repo).skill(NAME)
    assert (entry.head, sorted(entry.versions)) == (triage(instructions="one").digest(), [1, 2])
    assert states(forge) == [("in_sync", 1)]


def test_a_version_that_only_the_registry_has_is_written_to_the_file(repo, skill_in, elsewhere, forge_at):
    skill_in(repo)
    forge = forge_at(repo)
    forge.repository.sync()
    file = elsewhere(instructions="from elsewhere")
    file.write_text("# why it is so\n" + file.read_text())
    forge.save(file)
    assert states(forge, check=True) == [("registry_changed", None)]
    assert instructions(repo) != "from elsewhere"
    assert states(forge) == [("registry_changed", 2)]
    assert instructions(repo) == "from elsewhere"
    assert "# why it is so" in (repo / "skills" / NAME / "skill.yaml").read_text()
    assert states(forge) == [("in_sync", 2)]


def test_a_version_that_was_in_the_file_once_never_comes_back_over_it(repo, skill_in, elsewhere, forge_at):
    skill_in(repo)
    forge = forge_at(repo)
    forge.repository.sync()
    before = lock_path(repo).read_bytes()
    forge.save(elsewhere(instructions="on a branch"))
    forge.repository.sync()
    lock_path(repo).write_bytes(before)  # the other branch again
    skill_in(repo)
    again = forge_at(repo)
    assert states(again) == [("in_sync", 1)]
    assert instructions(repo) != "on a branch"


def test_a_conflict_writes_nothing_for_no_skill_and_shows_the_difference(repo, skill_in, elsewhere, forge_at, triage):
    skill_in(repo)
    forge = forge_at(repo)
    forge.repository.sync()
    forge.save(elsewhere(instructions="the registry's"))
    skill_in(repo, instructions="the file's")
    write_skill(triage(name="another"), repo / "skills" / "another")
    before, stored = files(repo), forge.versions(NAME)
    for check in (True, False):
        report = forge.repository.sync(check=check)
        assert (report.exit_code, report.conflicts) == (2, (NAME,))
        told = {item.name: item for item in report.skills}[NAME]
        assert "-instructions: the registry's" in told.diff
        assert "+instructions: the file's" in told.diff
    assert files(repo) == before
    assert forge.versions(NAME) == stored


@pytest.mark.parametrize(("take", "kept"), [("theirs", "the file's"), ("ours", "the registry's")])
def test_a_conflict_is_decided_by_taking_a_side(repo, skill_in, elsewhere, forge_at, take, kept):
    skill_in(repo)
    forge = forge_at(repo)
    forge.repository.sync()
    forge.save(elsewhere(instructions="the registry's"))
    skill_in(repo, instructions="the file's")
    report = forge.repository.sync(take=take)
    assert (report.exit_code, instructions(repo)) == (0, kept)
    assert {item.skill.instructions for item in forge.versions(NAME)} >= {"the file's", "the registry's"}
    assert states(forge) == [("in_sync", report.skills[0].version)]


def test_a_lost_file_is_written_again(repo, skill_in, forge_at):
    skill_in(repo)
    forge = forge_at(repo)
    forge.repository.sync()
    shutil.rmtree(repo / "skills" / NAME)
    assert forge.repository.sync(check=True).exit_code == 1
    assert states(forge) == [("missing_file", 1)]
    assert states(forge) == [("in_sync", 1)]


def test_a_lost_file_that_nobody_holds_is_told(repo, forge_at, triage):
    digest = triage().digest()
    write_lock(repo, Lock(skills={NAME: LockedSkill(head=digest, versions={1: digest})}))
    report = forge_at(repo).repository.sync()
    assert report.skills[0].state == "missing_file"
    assert "restore it from git" in report.skills[0].note
    assert forge_at(repo).repository.sync(check=True).exit_code == 1


def test_a_broken_lock_or_skill_file_stops_it_and_nothing_is_written(repo, skill_in, forge_at):
    path = skill_in(repo)
    forge = forge_at(repo)
    forge.repository.sync()
    lock_path(repo).write_text("<<<<<<< HEAD\n=======\n>>>>>>> other\n")
    for check in (True, False):
        with pytest.raises(SkillFileError, match="merge conflict"):
            forge.repository.sync(check=check)
    lock_path(repo).unlink()
    path.write_text("name: [")
    with pytest.raises(SkillFileError):
        forge.repository.sync()
    assert not lock_path(repo).exists()


def test_a_secret_in_a_file_stops_it(repo, skill_in, forge_at, monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "x7-plain-words")
    skill_in(repo, instructions="say x7-plain-words")
    with pytest.raises(SecretFound):
        forge_at(repo).repository.sync()
    assert not lock_path(repo).exists()


def test_after_a_promotion_everything_is_in_sync(repo, skill_in, forge_at):
    skill_in(repo)
    forge = forge_at(repo)
    forge.repository.sync()
    skill_in(repo, instructions="better")
    forge.show(NAME)
    deploy(forge, repo)
    assert forge.repository.sync(check=True).exit_code == 0
    assert forge.repository.verify() == []
    assert states(forge) == [("in_sync", 2)]


def test_deployed_versions_are_restored_and_strangers_and_leftovers_go(repo, skill_in, forge_at):
    skill_in(repo)
    forge = forge_at(repo)
    forge.show(NAME)
    deploy(forge, repo)
    forge.repository.sync()
    snapshot = snapshot_path(repo, NAME, 1)
    whole = snapshot.read_bytes()
    snapshot.write_bytes(whole.replace(b"Choose", b"Take"))
    stranger = snapshot_path(repo, NAME, 7)
    stranger.write_bytes(whole)
    left = [repo / ".skillforge.lock.0123.new", snapshot.with_name(".1.json.0123.new")]
    for path in left:
        path.touch()
    young = repo / "skills" / NAME / ".skill.yaml.0123.new"
    young.touch()
    assert len(forge.repository.verify()) == 1
    checked = forge.repository.sync(check=True)
    assert (checked.exit_code, len(checked.files)) == (1, 4)
    report = forge.repository.sync()
    assert report.files == checked.files
    assert snapshot.read_bytes() == whole
    assert not any(path.exists() for path in (stranger, *left))
    assert young.exists()  # somebody may be writing it
    assert forge.repository.verify() == []
    assert forge.repository.sync(check=True).exit_code == 0


@pytest.mark.parametrize("room", ["deployed", "evidence"])
def test_nothing_is_removed_through_a_link_out_of_the_repository(repo, skill_in, forge_at, tmp_path, room):
    skill_in(repo)
    forge = forge_at(repo)
    forge.repository.sync()
    deploy(forge, repo)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.rmtree(repo / "skills" / NAME / room, ignore_errors=True)
    (repo / "skills" / NAME / room).symlink_to(elsewhere)
    for name in ("settings.json", ".important.new"):
        (elsewhere / name).write_text("{}")
    report = forge.repository.sync()
    assert {path.name for path in elsewhere.iterdir()} == {"settings.json", ".important.new"}
    assert report.exit_code == 1
    assert f"skills/{NAME}/{room} is a link out of the repository" in report.problems[0]


def test_a_deployed_version_that_nobody_holds_is_told(repo, skill_in, forge_at):
    skill_in(repo)
    with forge_at(repo) as forge:
        forge.show(NAME)
        deploy(forge, repo)
    snapshot_path(repo, NAME, 1).unlink()
    shutil.rmtree(repo / ".skillforge")
    (repo / ".skillforge").mkdir()
    skill_in(repo, instructions="another")
    report = forge_at(repo).repository.sync()
    assert report.exit_code == 1
    assert "deployed/1.json: the deployed version cannot be read" in report.problems[0]


def test_a_database_is_built_from_the_files(repo, skill_in, forge_at, triage, tmp_path):
    forge = forge_at(repo)
    for text in ("one", "two", "three", "four"):
        skill_in(repo, instructions=text)
        forge.repository.sync()
        if text != "one":
            deploy(forge, repo)
    clone = tmp_path / "clone"
    shutil.copytree(repo, clone, ignore=shutil.ignore_patterns(".skillforge"))
    fresh = forge_at(clone)
    assert fresh.repository.verify() == []
    assert [(item.version, item.skill.instructions) for item in fresh.versions(NAME)] == [
        (2, "two"),
        (3, "three"),
        (4, "four"),
    ]
    with pytest.raises(NotFound, match="only in git's history"):
        fresh.show(f"{NAME}@1")
    skill_in(clone, instructions="five")
    assert fresh.show(NAME).version == 5
    assert fresh.repository.verify() == []


def test_a_draft_gives_its_number_to_a_reviewed_version(repo, skill_in, forge_at, triage):
    skill_in(repo)
    forge = forge_at(repo)
    forge.repository.sync()
    skill_in(repo, instructions="a draft of mine")
    forge.show(NAME)
    theirs, entry = triage(instructions="theirs"), read_lock(repo).skill(NAME)
    write_skill(theirs, repo / "skills" / NAME)
    pulled = LockedSkill(head=theirs.digest(), versions={**entry.versions, 2: theirs.digest()})
    write_lock(repo, Lock(skills={NAME: pulled}))
    said: list[str] = []
    pulling = forge_at(repo, say=said.append)
    assert [(item.version, item.skill.instructions) for item in pulling.versions(NAME)][1:] == [
        (2, "theirs"),
        (3, "a draft of mine"),
    ]
    assert said == [f"{NAME}@2 is @3 from now on, because the reviewed @2 is another: skillforge.lock says"]
    assert states(pulling) == [("in_sync", 2)]
    assert pulling.repository.verify() == []


def test_a_broken_lock_is_said_and_drafts_go_on(repo, skill_in, forge_at):
    skill_in(repo)
    lock_path(repo).write_text("{")
    said: list[str] = []
    assert forge_at(repo, say=said.append).show(NAME).version == 1
    assert "not JSON" in said[0]


def test_a_skills_file_is_read_once_however_many_versions_git_holds(repo, skill_in, forge_at, monkeypatch):
    skill_in(repo)
    versions = {number: f"sha256:{number:064}" for number in range(1, 100)}
    write_lock(repo, Lock(skills={NAME: LockedSkill(versions=versions)}))
    read: list[Path] = []
    real = catchup.read_skill
    monkeypatch.setattr(catchup, "read_skill", lambda folder: read.append(folder) or real(folder))
    forge_at(repo).skills()
    assert len(read) == 1


def test_checking_needs_no_registry_that_can_be_written_beside(repo, skill_in, forge_at):
    """As in a read-only checkout: SQLite cannot make the files beside its own."""
    said: list[str] = []
    skill_in(repo)
    forge = forge_at(repo)
    forge.repository.sync()
    forge.close()
    folder = repo / ".skillforge"
    for path in folder.glob("registry.db-*"):
        path.unlink()
    (folder / "registry.db-wal").mkdir()
    checking = forge_at(repo, say=said.append)
    report = checking.repository.sync(check=True)
    assert (report.exit_code, states(checking, check=True)) == (0, [("in_sync", None)])
    assert "cannot be" in said[0]
    assert "the files alone are checked" in said[0]
    with pytest.raises(StoreError, match="cannot be"):
        forge_at(repo).versions(NAME)
