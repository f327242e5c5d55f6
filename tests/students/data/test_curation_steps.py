"""A curation: what each step lets stay, and that no verdict is made twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest

from skillforge.case import Case
from skillforge.students.data.agreement import Agreement, differs
from skillforge.students.data.checked import Checks
from skillforge.students.data.chosen import Chosen
from skillforge.students.data.clean import Clean
from skillforge.students.data.critic import Critic
from skillforge.students.data.duplicates import Different
from skillforge.students.data.finished import Finished
from skillforge.students.data.pipeline import Step, curate, node_of
from skillforge.students.data.row import Row
from skillforge.students.data.unseen import Unseen

LONG = "the parcel that was promised for last monday has still not come and nobody answers the phone"


class Memory:
    """Verdicts in memory; ``asked`` counts what had to be judged."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, Any]] = defaultdict(dict)
        self.judged = 0

    def known(self, node: str, rows: Iterable[str]) -> dict[str, dict[str, Any]]:
        return {row: self.kept[node][row] for row in rows if row in self.kept[node]}

    def add(self, node: str, verdicts: Mapping[str, Mapping[str, Any]]) -> None:
        self.judged += len(verdicts)
        self.kept[node].update({row: dict(body) for row, body in verdicts.items()})


def row(ticket: str = "charged twice", **changes: Any) -> Row:
    made: dict[str, Any] = {
        "id": f"id-{ticket[:20]}",
        "input": {"ticket": ticket, "locale": "en"},
        "output": {"queue": "billing", "quote": "x"},
        "teacher": "strong",
        "source": "recorded",
    }
    return Row(**{**made, **changes})


def reason(step: Step, *rows: Row) -> list[str]:
    """What the step says of each row, "" where it stays unremarked."""
    return [("" if verdict.keep else "drop: ") + verdict.reason for verdict in step.judge(rows)]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ""),
        ({"stop": "refusal"}, "drop: the teacher refused"),
        ({"stop": "content_filter"}, "drop: the teacher refused"),
        ({"stop": "length"}, "drop: the answer was cut off"),
        ({"output": None}, "drop: no answer could be read"),
        ({"output": {"queue": "bug", "quote": "I'm sorry, but I can't do that"}}, "drop: it reads like a refusal"),
        ({"output": "As an AI language model, I cannot"}, "drop: it reads like a refusal"),
        ({"output": "He said: I'm sorry, but no"}, ""),
    ],
)
def test_only_answers_that_ended_normally_stay(changes: dict[str, Any], said: str) -> None:
    assert reason(Finished(), row(**changes)) == [said]


def test_the_contract_and_every_check_of_the_skill_hold(triage: Callable[..., Any]) -> None:
    checks = [
        {"type": "in-input", "path": "/quote", "of": "ticket"},
        {"type": "max-length", "path": "/quote", "value": 7, "on_fail": "warn"},
    ]
    step = Checks(triage(checks=checks))
    good, long = {"queue": "bug", "quote": "charged"}, {"queue": "bug", "quote": "charged twice"}
    assert reason(step, row(output=good)) == [""]
    assert reason(step, row(output=long)) == ["check max-length at /quote warned"]
    assert reason(step, row(output={"queue": "bug", "quote": "never said"})) == [
        "drop: check in-input at /quote failed"
    ]
    assert reason(step, row(output={"queue": "sales", "quote": ""})) == ["drop: the answer does not fit the contract"]
    assert reason(step, row(input={"text": "x"})) == ["drop: the input does not fit the contract"]


def test_a_verdict_of_another_custom_check_is_another_node(triage: Callable[..., Any]) -> None:
    skill = triage(checks=[{"type": "custom", "name": "polite", "path": "/quote"}])
    first = Checks(skill, {"polite": lambda value, given: True})
    second = Checks(skill, {"polite": lambda value, given: False})
    assert node_of(first, []) != node_of(second, [])
    assert reason(second, row()) == ["drop: check custom at /quote failed"]


def test_secrets_go_and_personal_data_as_was_asked() -> None:
    key = "sk-" + "ant-api03-" + "Zq8xW3xT9vK2mN5bR7yU1oP4sD6"
    mail = row("mail me: jane.roe@web.de")
    assert reason(Clean(), row(f"my key is {key}")) == ["drop: it holds a secret"]
    assert reason(Clean(), row("it was [redacted:openai] there")) == ["drop: it holds a secret"]
    assert reason(Clean("keep"), mail) == ["holds personal data (mail)"]
    assert reason(Clean("drop"), mail) == ["drop: it holds personal data (mail)"]


def test_a_teacher_that_answers_otherwise_again_is_not_believed(triage: Callable[..., Any]) -> None:
    step = Agreement(triage())
    other = {"queue": "bug", "quote": "x"}
    assert reason(step, row()) == [""]
    assert reason(step, row(again=({"queue": "billing", "quote": "other words"},))) == ["answered the same again"]
    assert reason(step, row(again=(other,))) == ["drop: the teacher answered otherwise when it was asked again"]
    assert reason(step, row(expected=other)) == ["differs from the suite's label"]
    assert reason(Agreement(triage(), labels=True), row(expected=other)) == ["drop: it differs from the suite's label"]


def test_texts_are_never_compared(triage: Callable[..., Any]) -> None:
    skill = triage(output="text", examples={})
    assert not differs(skill, "a", "b")
    numbers = triage(output={"n": {"type": "number"}}, examples={})
    assert differs(numbers, {"n": 1}, {"n": 2})
    assert not differs(numbers, {"n": 1}, {"n": 1})


def test_grades_below_the_least_go_and_no_grade_stays() -> None:
    good, bad, unread = row("a"), row("b"), row("c")
    step = Critic({good.digest: 5.0, bad.digest: 3.0}, "judge", "question")
    assert reason(step, good, bad, unread) == ["", "drop: graded 3, below 4", "no grade"]


def test_no_dev_or_test_case_gets_in_nor_what_reads_like_one() -> None:
    cases = (
        Case(id="t", input={"ticket": LONG, "locale": "en"}, split="test"),
        Case(id="d", input={"ticket": "app crashes", "locale": "en"}, split="dev"),
    )
    step = Unseen(cases)
    near, quoting = LONG.replace("monday", "sunday"), f"Hello there. {LONG}. So please help me now, thank you, Jo"
    assert reason(step, row(LONG), row("app crashes"), row("something else")) == [
        "drop: it is a test case",
        "drop: it is a dev case",
        "",
    ]
    assert reason(step, row(near), row(quoting)) == ["drop: it reads like a test case"] * 2
    assert step.shows({"ticket": near, "locale": "en"})


def test_of_near_duplicates_the_first_stays(triage: Callable[..., Any]) -> None:
    step = Different(triage())
    other = {"queue": "bug", "quote": "x"}
    said = reason(
        step,
        row(LONG),
        row(LONG.upper()),
        row(LONG + "!"),
        row(LONG.replace("monday", "sunday"), output=other),
        row("something else"),
    )
    assert said == [
        "",
        "drop: the same input as another",
        "drop: nearly the input of another",
        "drop: nearly the input of another, answered otherwise",
        "",
    ]


def test_a_person_leaves_rows_out() -> None:
    assert reason(Chosen(frozenset({"id-a"})), row("a"), row("b")) == ["drop: left out by hand", ""]


def test_a_second_build_judges_only_what_is_new(triage: Callable[..., Any]) -> None:
    def steps() -> list[Step]:
        return [Finished(), Clean(), Different(triage())]

    memory = Memory()
    rows = [row("a mail about a parcel"), row("a broken lamp"), row("refuse", stop="refusal")]
    first = curate(rows, steps(), memory)
    assert (first.known, memory.judged) == (0, 3 + 2 + 2)
    again = curate(rows, steps(), memory)
    assert (again.known, memory.judged) == (7, 7)
    assert [step.model_dump() for step in again.steps] == [step.model_dump() for step in first.steps]
    grown = curate([*rows, row("where is my refund")], steps(), memory)
    assert grown.known == 3 + 2  # a near duplicate depends on all rows: that step begins anew
    assert memory.judged == 7 + 1 + 1 + 3
    assert [(step.name, step.came, step.kept) for step in grown.steps] == [
        ("finished", 4, 3),
        ("clean", 3, 3),
        ("different", 3, 3),
    ]
    assert [(item.row.id, item.step, item.reason) for item in grown.dropped] == [
        ("id-refuse", "finished", "the teacher refused")
    ]


def test_other_settings_are_another_node() -> None:
    rows = [row()]
    assert node_of(Clean("mask"), rows) != node_of(Clean("drop"), rows)
    assert node_of(Clean("mask"), rows) == node_of(Clean("mask"), [])


def test_what_a_row_says_is_its_name() -> None:
    assert row().digest == row().digest
    assert row().digest != row(output={"queue": "bug", "quote": "x"}).digest
    changed = row().model_copy(update={"input": {"ticket": "other"}})
    assert changed.digest != row().digest
    assert b"other" in changed.asked
