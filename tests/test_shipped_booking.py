"""The shipped extraction skill and its suite are what docs/data.md says of them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from skillforge import Forge
from skillforge.evals.alike import Known
from skillforge.skillfile import read_skill
from skillforge.suitefile import read_suite

ROOT = Path(__file__).parent.parent
SKILL = ROOT / "skills" / "booking-request"
EVALS = ROOT / "evals"
FIELDS = ["service", "day", "time", "people", "name"]


@pytest.fixture(scope="module")
def suite():
    return read_suite(EVALS / "booking-request.yaml")


def test_the_skill_is_what_create_makes_of_its_recorded_teacher(tmp_path):
    (tmp_path / ".skillforge").mkdir()
    with Forge(tmp_path) as forge:
        created = forge.create(
            (EVALS / "booking-request.task.txt").read_text("utf-8").strip(),
            cases=EVALS / "booking-request.jsonl",
            teacher=f"replay:{EVALS / 'booking-request.teacher.jsonl'}",
            suite="evals/booking-request.yaml",
        )
    assert created.digest == read_skill(SKILL).skill.digest()
    assert created.proved_ok == created.proved == 8


def test_it_lints_without_a_warning():
    assert read_skill(SKILL).warnings == ()


def test_the_splits_are_as_told_and_every_field_is_labelled(suite):
    assert Counter(case.split for case in suite.cases) == {"train": 240, "dev": 60, "test": 310}
    assert all(list(case.expected) == FIELDS for case in suite.cases)


def test_every_span_of_a_label_and_of_the_teacher_stands_in_its_message(suite):
    lines = (EVALS / "booking-request.teacher.jsonl").read_text("utf-8").splitlines()[1:]
    solved = [json.loads(line) for line in lines if '"role": "solve"' in line]
    assert {line["request"]["input"]["message"] for line in solved} == {case.input["message"] for case in suite.cases}
    answers = [(case.input["message"], case.expected) for case in suite.cases]
    answers += [(line["request"]["input"]["message"], line["response"]["json"]) for line in solved]
    for message, spans in answers:
        assert all(span in message for span in spans.values())


def test_no_example_and_no_train_or_dev_message_reads_like_a_test_message(suite):
    train = {case.id: case for case in suite.cases if case.split == "train"}
    assert all(train[example.id].input == example.input for example in read_skill(SKILL).skill.examples.items)
    known = Known()
    for case in suite.cases:
        if case.split != "test":
            known.add(case.input, case.split)
    assert [case.id for case in suite.cases if case.split == "test" and known.twin(case.input)] == []


def test_the_recording_says_where_its_answers_come_from():
    first = (EVALS / "booking-request.teacher.jsonl").read_text("utf-8").splitlines()[0]
    assert "not the log of an API" in json.loads(first)["provenance"]["what"]
