"""``skillforge promote | rollback | history``, and what ``run``, ``list`` and ``show`` make of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from moods import Cli

RIGHT = "scripted:right.yaml"
PROMOTE = ("promote", "mood", "--student", RIGHT)
RISK = ("--accept-risk", "a pilot")


@pytest.fixture
def proven(cli: Cli, repo: Path) -> Path:
    """A repository whose skill has a fresh pass."""
    done = cli("eval", "mood", "--students", RIGHT, "--teacher", "scripted:teacher.yaml")
    assert done.code == 0, done.err
    return repo


def test_a_proven_skill_is_promoted_run_listed_shown_and_rolled_back(cli: Cli, proven: Path) -> None:
    done = cli(*PROMOTE, "--fallback", "scripted:teacher.yaml", "--reason", "first week")
    assert (done.code, done.out) == (0, f"mood@production is @1 on {RIGHT}, else scripted:teacher.yaml\n")
    assert (proven / "skills/mood/deployed/1.json").is_file()
    ran = cli("run", "mood", "-i", "text=so happy")
    assert (ran.code, ran.json["mood"]) == (0, "good")
    assert "not promoted" not in ran.err
    assert "production @1" in cli("list").out
    (row,) = cli("list", "--json").json
    assert row["aliases"]["production"]["student"] == RIGHT
    assert f"alias: production is @1 on {RIGHT}, else scripted:teacher.yaml, since " in cli("show", "mood").out
    assert list(cli("show", "mood", "--json").json["aliases"]) == ["production"]
    assert "nothing changed" in cli(*PROMOTE, "--fallback", "scripted:teacher.yaml").err
    assert cli(*PROMOTE).out == f"mood@production is @1 on {RIGHT}\n"
    assert cli("rollback", "mood").out == f"mood@production is @1 on {RIGHT}, else scripted:teacher.yaml again\n"
    told = cli("history", "mood").out.splitlines()
    assert [line.split()[:1] for line in told[:1]] == [["WHEN"]]
    assert [("promote" in line, "rollback" in line) for line in told[1:]] == [
        (True, False),
        (True, False),
        (False, True),
    ]
    assert "REPLACE" in told[1]
    assert "first week" in told[1]
    assert [move["action"] for move in cli("history", "mood", "--json").json] == ["promote", "promote", "rollback"]


def test_what_is_not_proven_is_refused_with_2_and_every_reason(cli: Cli, repo: Path) -> None:
    done = cli(*PROMOTE)
    assert (done.code, done.out) == (2, "")
    assert f"error: mood@1 on {RIGHT} is not promoted:\n  - mood@1 with {RIGHT} was never measured" in done.err
    assert "skillforge eval mood --students" in done.err
    assert "--accept-risk" in done.err
    assert not (repo / "skillforge.lock").exists()


def test_an_accepted_risk_is_recorded_and_shown(cli: Cli, repo: Path) -> None:
    done = cli(*PROMOTE, *RISK, "--as", "staging", "--json")
    assert (done.code, done.json["accepted_risk"], done.json["alias"]) == (0, "a pilot", "staging")
    assert "accepted risk: a pilot" in cli("history", "mood").out
    assert "without a fresh pass: a pilot" in cli("promote", "mood@1", "--student", RIGHT, *RISK).err


@pytest.mark.parametrize("risk", ["", "  "])
def test_an_empty_reason_for_a_risk_is_refused(cli: Cli, repo: Path, risk: str) -> None:
    done = cli(*PROMOTE, "--accept-risk", risk)
    assert (done.code, "--accept-risk is empty" in done.err) == (2, True)


@pytest.mark.parametrize(
    "args",
    [
        ("promote", "mood"),
        ("promote", "mood", "--student", "gpt"),
        (*PROMOTE, *RISK, "--as", "latest"),
        (*PROMOTE, *RISK, "--as", "v2"),
        (*PROMOTE, "--suite", "nowhere.yaml"),
        ("rollback", "mood"),
        ("rollback", "nothing"),
        ("history", "nothing"),
    ],
)
def test_what_cannot_be_done_ends_with_2_and_says_how_to_go_on(cli: Cli, repo: Path, args: tuple[str, ...]) -> None:
    done = cli(*args)
    assert (done.code, done.out) == (2, "")
    assert "  -> " in done.err


def test_a_name_that_was_never_promoted_runs_as_its_newest_version_and_that_is_said(cli: Cli, repo: Path) -> None:
    done = cli("run", "mood", "--student", RIGHT, "-i", "text=so happy")
    assert done.code == 0
    assert "mood is not promoted to production: this is the newest version, mood@1" in done.err
    assert cli("run", "mood@production", "--student", RIGHT, "-i", "text=x").code == 2
    assert cli("history", "mood").err == "mood was never promoted: skillforge promote mood --student PROVIDER:MODEL\n"


def test_an_edited_file_is_not_what_a_name_runs(cli: Cli, proven: Path) -> None:
    cli(*PROMOTE)
    file = proven / "skills/mood/skill.yaml"
    file.write_text(file.read_text().replace("text:", "message:").replace("{{ text }}", "{{ message }}"))
    assert cli("run", "mood", "-i", "text=so happy", "--json").json["version"] == 1


def test_why_another_model_answered_is_told(cli: Cli, repo: Path) -> None:
    (repo / "down.yaml").write_text("fail_every: 1\n")
    cli("promote", "mood", "--student", "scripted:down.yaml", "--fallback", RIGHT, *RISK)
    done = cli("run", "mood", "-i", "text=so happy")
    assert (done.code, done.json["mood"]) == (0, "good")
    assert "scripted:down.yaml could not answer" in done.err
    shown = json.loads(cli("run", "mood", "-i", "text=so happy", "--json").out)
    assert (shown["student"], shown["alias"]) == (RIGHT, "production")


def test_a_lock_with_a_conflict_is_told_with_its_line(cli: Cli, repo: Path) -> None:
    cli(*PROMOTE, *RISK)
    lock = repo / "skillforge.lock"
    lock.write_text("<<<<<<< HEAD\n" + lock.read_text() + "=======\n>>>>>>> theirs\n")
    done = cli("run", "mood", "-i", "text=so happy")
    assert done.code == 2
    assert "skillforge.lock:1: holds a merge conflict" in done.err


def test_an_alias_is_taken_away_and_then_the_skill_can_be_deleted(cli, repo):
    assert cli("promote", "mood", "--student", RIGHT, "--accept-risk", "a try").code == 0
    refused = cli("delete", "mood", "--yes")
    assert (refused.code, "skillforge undeploy mood --as production" in refused.err) == (2, True)
    assert cli("undeploy", "mood", "--reason", "enough").out == "mood@production is taken away\n"
    assert cli("undeploy", "mood").code == 2
    assert cli("delete", "mood", "--yes").code == 0
