from __future__ import annotations

import shutil

import pytest
from synced import NAME, deploy, instructions, states

from skillforge.errors import NotFound, UsageError
from skillforge.forge.deploy.deployed import snapshot_path
from skillforge.lockfile import read_lock


def test_a_deleted_version_is_hidden_here_and_in_git(repo, skill_in, forge_at, tmp_path):
    forge = forge_at(repo)
    for text in ("one", "two"):
        skill_in(repo, instructions=text)
        forge.repository.sync()
    assert forge.repository.delete(f"{NAME}@1", reason="leaks") == [1]
    assert [item.version for item in forge.versions(NAME)] == [2]
    assert read_lock(repo).skill(NAME).deleted == (1,)
    with pytest.raises(NotFound, match=r"@1 was deleted on .*: leaks"):
        forge.repository.delete(f"{NAME}@1")
    assert forge.repository.verify() == []
    assert forge.repository.sync(check=True).exit_code == 0
    skill_in(repo, instructions="one")
    with pytest.raises(UsageError, match="@1 was deleted"):
        forge.show(NAME)
    assert states(forge) == [("deleted", None)]


def test_what_is_deployed_is_not_deleted(repo, skill_in, forge_at):
    skill_in(repo)
    forge = forge_at(repo)
    forge.show(NAME)
    deploy(forge, repo)
    for ref in (f"{NAME}@1", NAME, f"{NAME}@latest"):
        with pytest.raises(UsageError, match="is production") as caught:
            forge.repository.delete(ref)
        assert "skillforge promote" in caught.value.hint
        assert "skillforge undeploy" in caught.value.hint
    assert forge.versions(NAME)


def test_a_whole_skill_is_deleted_and_its_file_stays_without_coming_back(repo, skill_in, forge_at):
    said: list[str] = []
    forge = forge_at(repo, say=said.append)
    for text in ("one", "two"):
        path = skill_in(repo, instructions=text)
        forge.repository.sync()
    assert forge.repository.delete(NAME) == [1, 2]
    assert said[-1].endswith("or git rm skills/ticket-triage/skill.yaml")
    assert forge.skills() == []
    with pytest.raises(UsageError, match="@2 was deleted"):
        forge.show(NAME)
    report = forge.repository.sync()
    assert (report.exit_code, report.skills[0].state, report.changed) == (0, "deleted", False)
    shutil.rmtree(path.parent)
    assert states(forge) == [("deleted", None)]
    skill_in(repo, instructions="three")
    assert forge.show(NAME).version == 3


def test_a_deleted_file_is_replaced_by_the_registrys_when_that_is_taken(repo, skill_in, forge_at):
    forge = forge_at(repo)
    for text in ("one", "two"):
        skill_in(repo, instructions=text)
        forge.repository.sync()
    forge.repository.delete(f"{NAME}@2")
    assert states(forge, take="ours") == [("deleted", 1)]
    assert instructions(repo) == "one"
    assert states(forge) == [("in_sync", 1)]


@pytest.mark.parametrize("ref", [f"{NAME}@production", "a/b", ""])
def test_only_versions_can_be_deleted(repo, forge_at, ref):
    with pytest.raises(UsageError, match="name the version"):
        forge_at(repo).repository.delete(ref)


def test_what_is_not_there_cannot_be_deleted(repo, forge_at):
    with pytest.raises(NotFound):
        forge_at(repo).repository.delete(NAME)


def test_what_was_deployed_once_goes_with_its_version_and_what_is_deployed_stays(repo, skill_in, forge_at):
    forge = forge_at(repo)
    for text in ("one", "two"):
        skill_in(repo, instructions=text)
        forge.repository.sync()
        deploy(forge, repo)
    old, now = (snapshot_path(repo, NAME, number) for number in (1, 2))
    content = old.read_bytes()
    forge.repository.delete(f"{NAME}@1")
    assert (old.exists(), now.exists()) == (False, True)
    old.write_bytes(content)  # a merge brought it back
    assert forge.repository.sync().files == (f"skills/{NAME}/deployed/1.json (removed)",)
    assert (old.exists(), now.exists()) == (False, True)
    assert forge.repository.verify() == []
    assert forge.repository.sync(check=True).exit_code == 0
