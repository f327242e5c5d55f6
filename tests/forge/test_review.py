from __future__ import annotations

import json

import pytest

from skillforge.errors import InvalidInput, NotFound, UsageError
from skillforge.forge.suites.answer_fields import TEXT, Field
from skillforge.labels import read_labels
from skillforge.suitefile import read_suite

SUITE = """\
schema: skillforge/suite/v1
name: tickets
decision: {metric: /queue}
contract:
  input: {ticket: {type: string}}
  output: {queue: {enum: [billing, bug]}, urgent: {type: boolean}, quote: {type: string}}
cases: file://tickets.jsonl
today: file://tickets.today.jsonl
labels: file://tickets.labels.jsonl
"""
RIGHT = {"queue": "bug", "urgent": True, "quote": "it crashes"}


@pytest.fixture
def suite(repo):
    """Six cases, three of them ``test``; the program answered all but the last, one of them in no form at all."""
    evals = repo / "evals"
    evals.mkdir()
    splits = ["test", "test", "test", "dev", "train", "train"]
    cases = [{"id": f"c{n}", "input": {"ticket": f"text {n}"}, "split": split} for n, split in enumerate(splits)]
    (evals / "tickets.jsonl").write_text("".join(json.dumps(case) + "\n" for case in cases))
    said = [json.dumps(RIGHT), f"Sure:\n```json\n{json.dumps(RIGHT)}\n```", "I do not know", *[json.dumps(RIGHT)] * 2]
    lines = [{"case": f"c{n}", "text": text} for n, text in enumerate(said)]
    (evals / "tickets.today.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (evals / "tickets.yaml").write_text(SUITE)
    return evals / "tickets.yaml"


@pytest.fixture
def review(suite, repo, forge_at):
    forge = forge_at(repo)
    return lambda ref="tickets", **named: forge.traffic.review(ref, **named)


def labels(suite):
    return read_labels(suite.with_name("tickets.labels.jsonl"))


def test_cases_come_in_a_fixed_random_order_with_those_of_test_first(review, suite):
    order = [case.id for case in review().cases]
    assert {order[0], order[1], order[2]} == {"c0", "c1", "c2"}
    assert order[3] == "c3"
    assert order == [case.id for case in review(str(suite)).cases]
    assert any([case.id for case in review(seed=seed).cases] != order for seed in range(1, 9))
    assert [case.id for case in review(limit=2).cases] == order[:2]
    assert [case.split for case in review(split="train").cases] == ["train", "train"]


def test_an_answer_is_on_the_disk_before_the_recorded_one_is_shown(review, suite):
    session = review(by="ada")
    case = session.cases[0]
    session.answer(case, RIGHT)
    kept = labels(suite)[case.id]
    assert (kept.expected, kept.by, kept.at[-6:]) == (RIGHT, "ada", "+00:00")


def test_agreement_is_said_field_by_field(review):
    session = review()
    cases = {case.id: case for case in session.cases}
    assert session.answer(cases["c0"], RIGHT).same
    assert session.answer(cases["c1"], {**RIGHT, "queue": "billing"}).agrees == {
        "queue": False,
        "urgent": True,
        "quote": True,
    }
    formless = session.answer(cases["c2"], {"queue": "bug"})
    assert (formless.answer, formless.text, formless.agrees) == (None, "I do not know", {"queue": False})
    assert session.answer(cases["c5"], RIGHT) is None


def test_a_second_start_goes_on_with_what_is_unlabelled(review):
    first = review()
    first.answer(first.next_case(), RIGHT)
    first.skip(first.next_case())
    again = review()
    assert again.left == 4
    assert again.next_case().id == again.cases[2].id


def test_agreement_is_computed_from_the_blind_answers(review, suite):
    session = review()
    case = next(case for case in session.cases if case.id == "c0")
    blind = {**RIGHT, "queue": "billing"}
    session.answer(case, blind)
    session.revise(case, RIGHT)
    kept = labels(suite)["c0"]
    assert (kept.expected, kept.blind) == (RIGHT, blind)
    told = review().summary()
    assert (told.labelled, told.overall.same, told.overall.n, told.differ) == (1, 0, 1, ("c0",))
    assert (told.fields["queue"].same, told.fields["urgent"].same) == (0, 1)
    assert read_suite(suite).cases[0].expected == RIGHT


def test_going_back_after_the_reveal_keeps_the_first_answer_as_the_blind_one(review, suite):
    session = review()
    case = session.next_case()
    session.answer(case, {"queue": "billing"})
    assert session.back().id == case.id
    assert session.back() is None
    session.answer(case, RIGHT)
    assert labels(suite)[case.id].blind == {"queue": "billing"}


def test_a_skip_withdraws_a_label_and_an_answer_the_skip(review, suite):
    session = review()
    case = session.next_case()
    session.answer(case, RIGHT)
    session.skip(case)
    assert session.summary().skipped == 1
    assert session.summary().labelled == 0
    session.answer(case, RIGHT)
    assert labels(suite)[case.id].blind == RIGHT


def test_a_skip_after_the_reveal_makes_no_later_answer_blind(review, suite):
    session = review()
    case = session.next_case()
    session.answer(case, {"queue": "billing"})
    session.skip(case)
    session.skip(case)
    session.answer(case, RIGHT)
    assert labels(suite)[case.id].blind == {"queue": "billing"}


@pytest.mark.parametrize("said", ["bug", 5, ["queue"], {"other": 1}])
def test_a_label_that_has_not_the_contracts_form_agrees_with_nothing(review, suite, said):
    suite.with_name("tickets.labels.jsonl").write_text(json.dumps({"id": "c0", "expected": said}) + "\n")
    told = review().summary()
    assert (told.labelled, told.overall.same, told.overall.n, told.differ) == (1, 0, 1, ("c0",))


def test_the_interval_is_wilsons(review):
    session = review()
    for case in session.cases:
        session.answer(case, {"queue": "bug"})
    told = session.summary()
    assert (told.overall.same, told.overall.n) == (4, 5)
    assert (round(told.overall.low, 3), round(told.overall.high, 3)) == (0.376, 0.964)
    assert set(told.fields) == {"queue"}
    assert (told.labelled, told.left, told.differ) == (6, 0, ("c2",))


def test_the_skills_contract_goes_before_the_suites(review, suite, skill_in, repo):
    skill_in(repo)
    suite.write_text(SUITE.replace("decision:", "skill: ticket-triage\ndecision:"))
    assert [field.name for field in review().fields] == ["queue", "quote"]


def test_a_suite_does_not_choose_what_is_read_elsewhere(review, suite):
    suite.write_text(SUITE.replace("decision:", "skill: ../../elsewhere\ndecision:"))
    assert [field.name for field in review().fields] == ["queue", "urgent", "quote"]


def test_a_recorded_teacher_is_compared_where_there_is_no_program(review, suite):
    request = {"role": "solve", "task": "sha256:" + "0" * 64, "input": {"ticket": "text 0"}}
    line = {"request": request, "response": {"json": RIGHT}}
    suite.with_name("teacher.jsonl").write_text(json.dumps(line) + "\n")
    suite.write_text(SUITE.replace("today: file://tickets.today.jsonl", "recorded: file://teacher.jsonl"))
    session = review()
    case = next(case for case in session.cases if case.id == "c0")
    assert session.answer(case, RIGHT).source == "the recorded teacher"
    assert session.summary().overall.n == 1


def test_a_text_agrees_but_for_whitespace(review, suite):
    suite.write_text(
        SUITE.replace(
            "{queue: {enum: [billing, bug]}, urgent: {type: boolean}, quote: {type: string}}", "text"
        ).replace("/queue", "exact")
    )
    session = review()
    assert [field.name for field in session.fields] == [TEXT]
    case = next(case for case in session.cases if case.id == "c2")
    assert session.answer(case, "I do  not know\n").same
    assert session.summary().fields == {}


def test_what_cannot_be_reviewed_is_said(review, suite, repo):
    with pytest.raises(NotFound, match="no suite 'ticket'") as caught:
        review("ticket")
    assert caught.value.hint == "there are: tickets"
    suite.write_text(SUITE.replace("labels: file://tickets.labels.jsonl\n", ""))
    with pytest.raises(UsageError, match="names no file for labels") as unplaced:
        review()
    assert unplaced.value.hint == "add this line: labels: file://tickets.labels.jsonl"
    suite.write_text("".join(line for line in SUITE.splitlines(True) if line[0] != " " and "contract" not in line))
    with pytest.raises(UsageError, match="nothing says what the answers"):
        review()
    suite.write_text(SUITE)
    with pytest.raises(UsageError, match="at least 1"):
        review(limit=0)
    with pytest.raises(UsageError, match="no case is in the split"):
        review(split="prod")


@pytest.mark.parametrize(
    ("schema", "kind", "typed", "value"),
    [
        ({"type": "string"}, "text", "a text ", "a text "),
        ({"type": "string"}, "text", '""', ""),
        ({"type": "string"}, "text", '"two\\nlines"', "two\nlines"),
        ({"type": "string"}, "text", '"quoted" word"', '"quoted" word"'),
        ({"type": "string"}, "text", "null", "null"),
        ({"type": "integer"}, "json", "3", 3),
        ({"type": ["string", "null"]}, "json", "null", None),
        ({"type": "array"}, "json", '["a", 1]', ["a", 1]),
    ],
)
def test_what_is_typed_becomes_a_value_of_the_fields_type(schema, kind, typed, value):
    assert Field("f", schema, kind, (), True).read(typed) == value


@pytest.mark.parametrize(
    ("schema", "kind", "typed", "part"),
    [
        ({"type": "integer"}, "json", "three", "not JSON"),
        ({"type": "integer"}, "json", "3.5", "3.5 is not of type 'integer'"),
        ({"type": "integer"}, "json", "1152921504606846976", "safe integer"),
        ({"type": "string", "maxLength": 3}, "text", "long", "too long"),
        ({"type": "string"}, "text", "\ud800", "not canonical JSON"),
    ],
)
def test_what_does_not_fit_is_refused(schema, kind, typed, part):
    with pytest.raises(InvalidInput, match=part):
        Field("f", schema, kind, (), True).read(typed)
