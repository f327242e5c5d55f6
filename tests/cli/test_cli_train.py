from __future__ import annotations

import json
from pathlib import Path

import pytest

SKILL = """\
schema: skillforge/v1
name: fruit
description: Name the colour.
input: {text: {type: string}}
output: {colour: {enum: [red, blue, green]}}
instructions: Name it.
prompt: "{{ text }}"
"""
WORDS = {"red": ["cherry", "tomato", "ruby"], "blue": ["sky", "sea", "ice"]}


@pytest.fixture
def fruit(tmp_path: Path) -> Path:
    (tmp_path / "skillforge.toml").write_text("")
    (tmp_path / "skills" / "fruit").mkdir(parents=True)
    (tmp_path / "skills" / "fruit" / "skill.yaml").write_text(SKILL)
    (tmp_path / "evals").mkdir()
    (tmp_path / "evals" / "fruit.yaml").write_text(
        "schema: skillforge/suite/v1\nname: fruit\nskill: fruit\ndecision: {metric: /colour}\ncases: file://fruit.jsonl\n"
    )
    rows = []
    for number in range(30):
        colour = "red" if number % 2 else "blue"
        words = WORDS[colour]
        text = f"{words[number % 3]} {words[number // 3 % 3]} nr {number}"
        split = "test" if number >= 24 else "train"
        rows.append({"id": f"f{number}", "input": {"text": text}, "expected": {"colour": colour}, "split": split})
    (tmp_path / "evals" / "fruit.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def test_train_says_what_was_learned_and_what_comes_next(cli, fruit):
    done = cli("train", "fruit")
    assert done.code == 0
    assert "encoder:fruit  skills/fruit/encoders/fruit.skops" in done.out
    assert "learned: 24 train cases of fruit, the suite's labels" in done.out
    assert 'colour: never seen, so never answered: "green"' in done.out
    assert "not sure yet whether an LLM is needed" in done.out
    assert "skillforge eval fruit --students encoder:fruit" in done.err
    assert "cross-validation: 5 of 5" in done.err


def test_json_is_one_document_of_card_and_outlook(cli, fruit):
    done = cli("train", "fruit", "--kind", "encoder", "--as", "quick", "--labels", "expected", "--json")
    told = json.loads(done.out)
    assert told["student"] == "encoder:quick"
    assert told["card"]["schema"] == "skillforge/encoder/v1"
    assert told["outlook"]["n"] == 24


def test_a_trained_student_runs(cli, fruit):
    cli("train", "fruit")
    done = cli("run", "fruit@latest", "--student", "encoder:fruit", "-i", "text=a cherry and a ruby", "--json")
    assert done.code == 0
    told = json.loads(done.out)
    assert told["output"] == {"colour": "red"}
    assert told["probabilities"]["colour"]['"green"'] == 0


def test_what_cannot_be_trained_is_a_usage_error(cli, fruit):
    assert cli("train", "fruit", "--kind", "forest").code == 2
    assert cli("train", "fruit", "--labels", "mine").code == 2
    assert cli("train", "fruit", "--as", "Not A Name").code == 2
    (fruit / "skills" / "fruit" / "skill.yaml").write_text(
        SKILL.replace("{enum: [red, blue, green]}", "{type: string}")
    )
    refused = cli("train", "fruit")
    assert refused.code == 2
    assert "labels only" in refused.err
