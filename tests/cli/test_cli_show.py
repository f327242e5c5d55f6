"""``skillforge save | list | show | models``: reading what is stored."""

from __future__ import annotations

from pathlib import Path

import pytest
from moods import SKILL, TEST, Cli


def measure(cli: Cli, *names: str) -> None:
    listed = ",".join(f"scripted:{name}.yaml" for name in names)
    cli("eval", "mood", "--students", listed, "--teacher", "scripted:teacher.yaml")


def test_saving_twice_is_one_version(cli: Cli, repo: Path) -> None:
    first = cli("save", "skills/mood", "--json").json
    assert (first["name"], first["version"], first["created"]) == ("mood", 1, True)
    again = cli("save", "skills/mood/skill.yaml")
    assert again.out.startswith(f"mood@1  {first['digest']}  unchanged")


def test_a_changed_file_is_a_new_version_and_that_is_said(cli: Cli, repo: Path) -> None:
    cli("save", "skills/mood")
    (repo / "skills/mood/skill.yaml").write_text(SKILL.replace("Say good or bad.", "Say good, or say bad."))
    shown = cli("show", "mood")
    assert "saved as draft mood@2" in shown.err
    assert "Say good, or say bad." in shown.out
    assert "versions: @1, @2" in shown.out
    assert "Say good or bad." in cli("show", "mood@1").out


def test_list_is_one_line_a_skill_however_narrow_the_terminal(
    cli: Cli, repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    assert cli("list").err.startswith("not stored yet: mood")
    measure(cli, "right")
    head, line = cli("list").out.splitlines()
    assert head.split()[:2] == ["NAME", "VERSION"]
    assert line.startswith("mood  @1")
    assert "REPLACE (scripted:right.yaml)" in line
    assert line.endswith("Use when sorting messages.")
    row = cli("list", "--json").json[0]
    assert (row["name"], row["version"], row["verdict"], row["examples"]) == ("mood", 1, "pass", 2)


def test_show_json_holds_skill_versions_and_evidence(cli: Cli, repo: Path) -> None:
    measure(cli, "right")
    shown = cli("show", "mood@latest", "--json").json
    assert shown["skill"]["name"] == "mood"
    assert shown["versions"] == [{"version": 1, "digest": shown["digest"]}]
    assert [item["verdict"] for item in shown["evidence"]] == ["pass"]


def test_lost_shows_everybodys_answer_for_every_student(cli: Cli, repo: Path) -> None:
    (repo / "good.yaml").write_text("default: {mood: good, why: I}\n")
    measure(cli, "wrong", "good")
    rows = cli("show", "mood", "--lost", "--json").json
    assert {row["student"] for row in rows} == {"scripted:wrong.yaml", "scripted:good.yaml"}
    assert len(rows) > TEST / 2
    row = next(row for row in rows if row["student"] == "scripted:good.yaml")
    assert row["expected"] == row["teacher"] == {"mood": "bad", "why": "sad"}
    assert row["answer"] == {"mood": "good", "why": "I"}
    assert "sad" in row["input"]["text"]
    told = cli("show", "mood", "--lost")
    assert "40 cases where scripted:good.yaml did worse than the teacher" in told.out
    assert '  student  {"mood": "good", "why": "I"}' in told.out


def test_lost_of_a_suite_that_changed_still_shows_what_is_stored(cli: Cli, repo: Path) -> None:
    (repo / "good.yaml").write_text("default: {mood: good, why: I}\n")
    measure(cli, "good")
    (repo / "evals/mood.yaml").unlink()
    row = cli("show", "mood", "--lost", "--json").json[0]
    assert row["expected"] is None
    assert "sad" in row["input"]["text"]
    assert row["teacher"] == {"mood": "bad", "why": "sad"}


def test_nothing_lost_and_nothing_measured(cli: Cli, repo: Path) -> None:
    told = cli("show", "mood", "--lost")
    assert told.code == 2
    assert "skillforge eval mood" in told.err
    measure(cli, "right")
    told = cli("show", "mood", "--lost")
    assert (told.code, told.out) == (0, "")
    assert "no case got worse" in told.err
    assert cli("show", "mood", "--lost", "--json").json == []


@pytest.mark.parametrize("ref", ["moode", "mood@9", "mood@v1", "mood@", "none/skill.yaml", "", "../x@1"])
def test_a_reference_to_nothing_says_what_there_is(cli: Cli, repo: Path, ref: str) -> None:
    cli("save", "skills/mood")
    told = cli("show", ref)
    assert (told.code, told.out) == (2, "")
    assert "  -> " in told.err


def test_models_need_no_repository(cli: Cli, empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKILLFORGE_CACHE", str(empty / "cache"))
    listed = cli("models", "list")
    assert "local:smollm2-135m" in listed.out
    assert "skillforge models pull smollm2-135m" in listed.out
    assert cli("models", "list", "--json").json[0]["pulled"] is False
    found = cli("models", "test", "scripted:wrong.yaml", "--json").json
    assert (found["json_ok"], found["logprobs"]) == (False, False)
    assert "tokens per s" in cli("models", "test", "scripted:wrong.yaml").out
    assert cli("models", "test", "scripted:right.yaml").code == 4
    assert cli("models", "test", "local:smollm2-135m").code == 2
    assert not (empty / ".skillforge").exists()


@pytest.mark.model
def test_a_real_model_answers_through_the_command(cli: Cli, repo: Path) -> None:
    (repo / "skills/mood/skill.yaml").write_text(SKILL.partition("checks:")[0])
    done = cli("run", "mood", "--student", "local:smollm2-135m", "-i", "text=I am so happy today", "--json")
    assert done.code == 0, done.err
    assert done.json["output"]["mood"] in ("good", "bad")
