"""``skillforge dataset``: build, show, validate."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from moods import TRAIN, Cli

from skillforge.canonical import digest


@pytest.fixture
def recorded(repo: Path) -> Path:
    """The repository with a teacher's recording of its suite."""
    lines, rows = [], []
    for number in range(TRAIN + 2):
        text = " ".join(random.Random(number).choices("abcdefghijklmnopqrstuvwxyz", k=20)) + " happy"
        split = "train" if number < TRAIN else "test"
        rows.append({"id": f"m{number}", "input": {"text": text}, "split": split})
        rows[-1]["expected"] = {"mood": "good", "why": "happy"}
    (repo / "evals" / "mood.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for row in rows:
        asked = {"role": "solve", "task": digest("Tell the mood"), "input": row["input"]}
        response = {"json": row["expected"], "model": "\x1b[31mclaude-x"}
        lines.append(json.dumps({"request": asked, "response": response}) + "\n")
    (repo / "evals" / "teacher.jsonl").write_text("".join(lines))
    suite = repo / "evals" / "mood.yaml"
    suite.write_text(suite.read_text() + "recorded: file://teacher.jsonl\n")
    return repo


def test_build_tells_what_became_of_the_answers(cli: Cli, recorded: Path) -> None:
    done = cli("dataset", "build", "mood", "--format", "trl", "-o", "data")
    assert done.code == 0, done.err
    head, found, *rest = done.out.splitlines()
    assert head.startswith("data: ")
    assert "rows" in head
    assert found == f" found: 2 example, {TRAIN} recorded"
    assert any(line.split()[:1] == ["unseen"] for line in rest)
    assert "Anthropic (Claude): conditional" in done.out
    assert "\x1b" not in done.out + done.err
    assert "warning: " in done.err
    assert "read data/README.md before you train" in done.err
    assert (recorded / "data" / "train.trl.jsonl").is_file()


def test_json_is_the_card(cli: Cli, recorded: Path) -> None:
    built = cli("dataset", "build", "mood", "--format", "trl", "--json").json
    shown = cli("dataset", "show", "mood", "--json").json
    assert built.pop("folder").endswith("datasets/mood")
    assert built == shown
    assert shown["schema"] == "skillforge/dataset/v1"
    assert cli("dataset", "show", "mood").out.startswith("mood: ")


def test_validate_says_what_is_wrong_and_its_exit_code_is_the_answer(cli: Cli, repo: Path) -> None:
    path = repo / "train.trl.jsonl"
    good = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
    path.write_text(json.dumps(good) + "\n")
    done = cli("dataset", "validate", str(path))
    assert (done.code, done.out) == (0, "1 rows, accepted by the rules of TRL and Unsloth chat\n")
    done = cli("dataset", "validate", str(path), "--format", "openai")
    assert done.code == 1
    assert "no fewer than 10" in done.out
    assert "refused by the rules of OpenAI" in done.out
    assert cli("dataset", "validate", str(path), "--format", "openai", "--validation").code == 0
    path.write_text('{"messages": [{"role": "\x1b[2J"}]}\n')
    found = cli("dataset", "validate", str(path), "--json").json
    assert found["fits"] is False
    assert found["problems"][0]["line"] == 1
    assert "\x1b" not in cli("dataset", "validate", str(path)).out


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("build", "mood"), "no answer of a teacher|rows to train on"),
        (("build", "nothing"), "nothing"),
        (("build", "mood", "--format", "csvv"), "no format 'csvv'"),
        (("show", "nothing"), "no data set there"),
        (("validate", "nothing.jsonl"), "does not say which format"),
        (("validate", "nothing.jsonl", "--format", "csv"), "cannot be read"),
    ],
)
def test_errors_name_what_mends_them(cli: Cli, repo: Path, args: tuple[str, ...], said: str) -> None:
    done = cli("dataset", *args)
    if done.code == 0:  # two examples of the skill are a data set too, a very small one
        assert "a model learns little from so few" in done.err
        return
    assert done.code == 2
    assert said in done.err
    assert "->" in done.err


def test_a_bare_group_shows_its_help(cli: Cli) -> None:
    done = cli("dataset")
    assert done.code == 2
    assert "build" in done.err
