"""What is missing on one side holds the verdict back: it is never the cases that were left that decide."""

from __future__ import annotations

from typing import Any

import pytest

from skillforge.case import Case, Decision
from skillforge.evals.answer import Answer
from skillforge.evals.recorded.compare import compare
from skillforge.evals.scorers.own import OwnScorer
from skillforge.evals.verdict.summary import Measure, summarise


def rows_of(count: int, **more: Any) -> list[dict[str, Any]]:
    row = {"teacher": "a", "student": "a", "expected": "a", **more}
    return [
        {"id": f"c{n}", **{key: value(n) if callable(value) else value for key, value in row.items()}}
        for n in range(count)
    ]


def told(rows: list[dict[str, Any]], **wishes: Any) -> tuple[str, str]:
    found = compare(rows, **wishes).document()
    return found["verdict"], found["reason"]


def silent_on_idk(output: str, expected: str) -> float | None:
    return None if output == "idk" else float(output == expected)


def broken_by_idk(output: str, expected: str) -> float:
    if output == "idk":
        raise ValueError("no opinion")
    return float(output == expected)


def test_a_metric_that_is_silent_on_the_students_hard_cases_proves_nothing():
    rows = rows_of(300, student=lambda n: "a" if n % 3 else "idk")
    verdict, reason = told(rows, scorer=silent_on_idk)
    assert (verdict, reason) == (
        "inconclusive",
        "the metric is silent on one side alone: on 33.3% here, 0.0% at the teacher",
    )


def test_silence_on_both_sides_alike_but_on_other_cases_proves_nothing():
    rows = rows_of(
        300, student=lambda n: "idk" if n % 10 == 0 else "a", teacher=lambda n: "idk" if n % 10 == 1 else "a"
    )
    assert told(rows, scorer=silent_on_idk)[0] == "inconclusive"


def test_a_label_that_nobody_can_be_compared_with_is_nobodys_silence():
    rows = rows_of(300, teacher="1", student="1", expected=lambda n: "1" if n % 3 else "unclear")
    assert told(rows, scorer="numeric") == ("pass", "")


def test_failures_of_the_scorer_on_one_side_are_lopsided():
    rows = rows_of(300, student=lambda n: "a" if n % 60 else "idk")
    verdict, reason = told(rows, scorer=broken_by_idk)
    assert (verdict, reason) == (
        "inconclusive",
        "the scorer's failures are lopsided: 1.7% here, 0.0% at the teacher",
    )


def test_the_teachers_second_pass_has_errors_too():
    rows = [{"id": f"c{n}", "teacher": "a", "teacher2": "a" if n % 3 else None, "student": "a"} for n in range(300)]
    found = compare(rows)
    assert told(rows) == ("inconclusive", "33.3% infrastructure errors (at most 2%)")
    assert (found.report.teacher.errors, found.report.teacher.answers) == (100, 600)


def test_errors_on_the_labelled_cases_are_not_thinned_out_by_those_without_a_label():
    rows = rows_of(100, student=lambda n: "a" if n % 3 else None)
    rows += [{"id": f"u{n}", "teacher": "a", "student": "a"} for n in range(5000)]
    assert told(rows) == ("inconclusive", "34.0% infrastructure errors (at most 2%)")


@pytest.mark.parametrize(
    ("right", "verdict"), [(3, "inconclusive"), (15, "inconclusive"), (0, "inconclusive"), (30, "fail")]
)
def test_a_teacher_that_is_hardly_ever_right_proves_nothing_of_a_student_that_never_is(right, verdict):
    """Nobody can be 5 points worse than one that is right on 5%."""
    rows = rows_of(300, teacher=lambda n: "a" if n < right else "b", student="c")
    assert told(rows)[0] == verdict


def test_who_is_surely_better_than_such_a_teacher_passes():
    rows = rows_of(60, teacher=lambda n: "a" if n < 2 else "b", student=lambda n: "a" if n % 2 else "b")
    assert told(rows) == ("pass", "")


def test_where_nothing_is_scored_that_is_the_reason():
    verdict, reason = told(rows_of(60), scorer="/queue")
    assert (verdict, reason) == (
        "inconclusive",
        "no case has a score on both sides: the labels or the metric do not fit the task",
    )


class Party:
    def __init__(self, name: str, kind: Any) -> None:
        self.name = self.student = name
        self.kind = kind
        self.is_today = False


def answer(output: Any) -> Answer:
    failed = output is None
    return Answer(
        key="k", status="error" if failed else "ok", run_status="error" if failed else "ok", output=output, reason="",
        checks=(), repaired=False, usd=None, list_usd=None, cost_estimated=False, input_tokens=None,
        output_tokens=None, latency_s=None, model="",
    )  # fmt: skip


def repeated(student: Any) -> Any:
    """The student's report; every arm answers 100 cases five times, the teacher always right."""
    cases = [Case(id=f"c{n}", input={}, expected="a") for n in range(100)]
    table = {
        "teacher": {case.id: tuple(answer("a") for _ in range(5)) for case in cases},
        "s": {case.id: tuple(answer(student(n, epoch)) for epoch in range(5)) for n, case in enumerate(cases)},
    }
    measure = Measure(Decision(metric="mine"), OwnScorer("mine", silent_on_idk))
    return summarise([Party("teacher", "teacher"), Party("s", "own")], cases, table, measure).arms[1]


@pytest.mark.parametrize(
    ("errors", "verdict"), [(4, "pass"), (7, "inconclusive")], ids=["0.8% of the answers", "1.4%, lopsided"]
)
def test_errors_are_a_share_of_the_answers_not_of_the_cases(errors, verdict):
    found = repeated(lambda n, epoch: None if n < errors and epoch == 0 else "a")
    assert (found.versus_teacher.verdict, found.errors, found.answers) == (verdict, errors, 500)


def test_silence_on_some_of_the_answers_to_a_case_counts():
    found = repeated(lambda n, epoch: "idk" if epoch == 0 else "a")
    assert found.quality == 1.0
    assert found.versus_teacher.reason.startswith("the metric is silent on one side alone: on 20.0% here")
