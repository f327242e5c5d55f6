"""``skillforge create``, with a scripted teacher from end to end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from moods import TEST, TRAIN, Cli, calls

from skillforge.skillfile import read_skill

CREATE = ("create", "Tell the mood", "--teacher", "scripted:teacher.yaml")


def test_from_nothing_to_a_measured_skill(cli: Cli, empty: Path) -> None:
    made = cli(*CREATE, "--cases", "evals/mood.jsonl")
    assert made.code == 0, made.err
    assert made.out.startswith("mood@1  ")
    assert f"{TEST} stay unseen" in made.err
    assert "is a skillforge repository now" in made.err
    skill = read_skill(empty / "skills/mood").skill
    assert skill.task == "Tell the mood"
    assert {item.id for item in skill.examples.items} == {f"m{number}" for number in range(TRAIN)}
    assert (empty / ".skillforge/skill.v1.json").exists()
    measured = cli("eval", "mood", "--students", "scripted:right.yaml", "--teacher", "scripted:teacher.yaml")
    assert measured.code == 0, measured.err


def test_the_same_again_asks_for_no_input_twice(cli: Cli, empty: Path) -> None:
    first = cli(*CREATE, "--cases", "evals/mood.jsonl", "--json")
    asked = calls(empty / "teacher.log")
    again = cli(*CREATE, "--cases", "evals/mood.jsonl", "--json")
    assert (again.json["reused"], again.json["new"]) == (TRAIN, False)
    assert again.json["digest"] == first.json["digest"]
    assert calls(empty / "teacher.log") - asked == asked - TRAIN


def test_task_from_a_file_inputs_by_hand_name_and_folder(cli: Cli, repo: Path) -> None:
    (repo / "task.txt").write_text("Tell the mood\n")
    made = cli(
        *("create", "@task.txt", "--teacher", "scripted:teacher.yaml", "-i", "text=so happy"),
        *("--name", "my-mood", "-o", "made", "--suite", "evals/mood.yaml", "--json"),
    )
    assert made.code == 0, made.err
    assert made.json["path"] == "made/my-mood/skill.yaml"
    skill = read_skill(repo / "made/my-mood").skill
    assert (skill.task, skill.suite) == ("Tell the mood", "evals/mood.yaml")


def test_a_teacher_that_stays_wrong_ends_with_1_and_where_its_drafts_are(cli: Cli, repo: Path) -> None:
    (repo / "bad.yaml").write_text(
        "answers:\n  - {when: {role: author}, reply: {name: Bad Name}}\n"
        '  - {when: {role: author-repair}, reply: "no JSON"}\ndefault: {mood: good}\n'
    )
    told = cli("create", "Tell the mood", "--teacher", "scripted:bad.yaml", "-i", "text=x")
    assert (told.code, told.out) == (1, "")
    assert "stayed wrong after one repair" in told.err
    drafts = list((repo / ".skillforge/failed").glob("create-*.json"))
    assert str(drafts[0]) in told.err
    assert len(json.loads(drafts[0].read_text())["answers"]) == 2
    assert not (repo / "skills/bad-name").exists()


def test_a_teacher_that_cannot_answer_ends_with_4(cli: Cli, repo: Path) -> None:
    (repo / "mute.yaml").write_text("answers: []\n")
    told = cli("create", "Tell the mood", "--teacher", "scripted:mute.yaml", "-i", "text=x")
    assert told.code == 4
    assert "solved 0 of 1" in told.err


@pytest.mark.parametrize(
    "args",
    [
        CREATE,
        (*CREATE, "-i", "text=x", "--cases", "evals/mood.jsonl"),
        (*CREATE, "-i", "text"),
        (*CREATE, "-i", "text=x", "-i", "text=y"),
        (*CREATE, "--cases", "none.jsonl"),
        (*CREATE, "--cases", "evals"),
        (*CREATE, "--cases", "evals/mood.yaml"),
        (*CREATE, "-i", "text=x", "--name", "Bad Name"),
        ("create", "@none.txt", "--teacher", "scripted:teacher.yaml", "-i", "text=x"),
        ("create", "Tell the mood", "--teacher", "nobody:x", "-i", "text=x"),
        ("create", "Tell the mood", "-i", "text=x"),
    ],
)
def test_a_mistake_costs_no_call(cli: Cli, repo: Path, args: tuple[str, ...]) -> None:
    told = cli(*args)
    assert (told.code, told.out) == (2, "")
    assert told.err.startswith("error: ")
    assert calls(repo / "teacher.log") == 0


def test_a_wrong_command_makes_no_repository(cli: Cli, empty: Path) -> None:
    assert cli(*CREATE).code == 2
    assert not (empty / ".skillforge").exists()
