from __future__ import annotations

import json
from pathlib import Path

import pytest
from moods import SKILL, Cli

MEASURE = ("eval", "mood", "--students", "scripted:right.yaml", "--teacher", "scripted:teacher.yaml")


def write(repo: Path, text: str, folder: str = "skills") -> Path:
    file = repo / folder / "mood" / "skill.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(SKILL.replace("Say good or bad.", text))
    return file


def test_sync_says_what_it_does_and_check_only_what_it_would(repo, cli: Cli):
    checked = cli("sync", "--check")
    assert (checked.code, checked.out) == (1, "mood  new  the file becomes a reviewed version\n")
    assert checked.err.endswith("-> skillforge sync\n")
    done = cli("sync")
    assert (done.code, done.out) == (0, "mood  new  the file is @1\n")
    again = cli("sync", "--check")
    assert (again.code, again.out) == (0, "mood  in sync\n")


def test_an_edit_by_hand_is_measured_and_its_evidence_is_a_file(repo, cli: Cli):
    cli("sync")
    write(repo, "Say whether it is good or bad.")
    assert cli(*MEASURE).code == 0
    assert (repo / "skills/mood/evidence/scripted%3Aright.yaml.json").is_file()
    assert cli("sync", "--check").code == 1
    assert cli("sync").code == 0
    assert cli("verify").code == 0


def test_a_conflict_shows_both_sides_and_exits_2(repo, cli: Cli):
    cli("sync")
    cli("save", str(write(repo, "The registry's words.", "elsewhere")))
    write(repo, "The file's words.")
    found = cli("sync")
    assert found.code == 2
    assert "-instructions: The registry's words." in found.out
    assert "+instructions: The file's words." in found.out
    assert "skillforge sync --take file" in found.err
    assert cli("sync", "--check", "--json").json["conflicts"] == ["mood"]
    assert cli("sync", "--take", "file").code == 0
    assert cli("sync", "--check").code == 0


@pytest.mark.parametrize("args", [("--take", "mine"), ("--take", "file", "--check")])
def test_sides_that_are_none_are_refused(repo, cli: Cli, args):
    assert cli("sync", *args).code == 2


def test_a_broken_lock_exits_2(repo, cli: Cli):
    (repo / "skillforge.lock").write_text("<<<<<<< a\n=======\n>>>>>>> b\n")
    found = cli("sync", "--check")
    assert found.code == 2
    assert "merge conflict" in found.err
    assert cli("verify").code == 1


def test_verify_prints_problems_and_exits_1(repo, cli: Cli):
    cli("sync")
    assert cli("verify").err.endswith("all is well\n")
    lock = json.loads((repo / "skillforge.lock").read_text())
    lock["skills"]["mood"]["deleted"] = [4]
    (repo / "skillforge.lock").write_text(json.dumps(lock))
    found = cli("verify", "--json")
    assert (found.code, found.json) == (1, ["skillforge.lock: mood: @4 is deleted, but none of its versions"])


def test_delete_hides_a_version_and_says_why_afterwards(repo, cli: Cli):
    cli("sync")
    write(repo, "Better.")
    cli("sync")
    done = cli("delete", "mood@1", "--reason", "it was rude")
    assert (done.code, done.out) == (0, "deleted: mood@1\n")
    shown = cli("show", "mood@1")
    assert shown.code == 2
    assert "was deleted on" in shown.err
    assert "it was rude" in shown.err
    assert cli("list", "--json").json[0]["version"] == 2


def test_what_is_not_there_is_not_asked_about(repo, cli: Cli):
    done = cli("delete", "nope", stdin=b"y\n")
    assert done.code == 2
    assert "nope" in done.err
    assert "Delete every version" not in done.err


def test_deleting_all_of_a_skill_asks_first(repo, cli: Cli):
    cli("save", "mood")
    assert cli("delete", "mood").code == 2
    assert cli("delete", "mood", stdin=b"n\n").code == 2
    assert cli("delete", "mood", "--yes", "--json").json == {"name": "mood", "versions": [1]}
    assert cli("list", "--json").json == []


def test_what_is_deployed_is_not_deleted(repo, cli: Cli):
    cli("promote", "mood", "--student", "scripted:right.yaml", "--accept-risk", "a test")
    found = cli("delete", "mood@1")
    assert found.code == 2
    assert "mood@1 is production" in found.err
    assert "skillforge undeploy" in found.err
