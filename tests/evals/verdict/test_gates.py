"""The further conditions of a rule: quality, latency, cost."""

from __future__ import annotations

import random
from typing import Any

import pytest

from skillforge.case import Decision
from skillforge.evals.recorded.compare import compare
from skillforge.evals.statistics import wilson
from skillforge.evals.verdict.gates import floor_test, quality_interval


def rows_of(count: int, right: int, **more: Any) -> list[dict[str, Any]]:
    """Teacher and student are right on the same cases."""
    said = ["a" if n < right else "b" for n in range(count)]
    return [{"id": f"c{n}", "teacher": text, "student": text, "expected": "a", **more} for n, text in enumerate(said)]


def told(rows: list[dict[str, Any]], **wishes: Any) -> tuple[str, str]:
    found = compare(rows, **wishes).document()
    return found["verdict"], found["reason"]


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.2])
def test_quality_is_judged_by_the_bound_at_alpha(alpha):
    low, high = (getattr(wilson(270, 300, 1 - 2 * alpha), end) for end in ("low", "high"))
    rows = rows_of(300, 270)
    assert told(rows, alpha=alpha, min_quality=low - 1e-6)[0] == "pass"
    assert told(rows, alpha=alpha, min_quality=low + 1e-6)[0] == "inconclusive"
    assert told(rows, alpha=alpha, min_quality=high - 1e-6)[0] == "inconclusive"
    assert told(rows, alpha=alpha, min_quality=high + 1e-6)[0] == "fail"


def test_of_several_students_each_has_its_share_of_alpha():
    """Else of four that are just good enough one passes by luck four times as often."""
    low, strict = wilson(270, 300, 0.9).low, wilson(270, 300, 1 - 2 * 0.05 / 2).low
    rows = [{**row, "other": row["student"]} for row in rows_of(300, 270)]
    assert told(rows, min_quality=low - 1e-6)[0] == "pass"
    assert told(rows, students=["student", "other"], min_quality=low - 1e-6)[0] == "inconclusive"
    assert told(rows, students=["student", "other"], min_quality=strict - 1e-6)[0] == "pass"


def test_the_quality_of_a_sequential_eval_is_judged_by_a_test_that_is_valid_at_any_time():
    rows = rows_of(300, 270)
    low = wilson(270, 300, 0.9).low
    assert told(rows, min_quality=low - 1e-6, mode="sequential")[0] == "inconclusive"
    assert told(rows, min_quality=0.75, mode="sequential")[0] == "pass"
    assert told(rows, min_quality=0.97, mode="sequential")[0] == "fail"
    assert told(rows, min_quality=0.0, mode="sequential")[0] == "pass"
    assert told(rows, min_quality=1.0, mode="sequential")[0] == "fail"


def test_the_sequential_floor_is_rarely_passed_by_a_student_at_the_floor():
    rng = random.Random(4)
    rule, wrong = Decision(min_quality=0.8, mode="sequential"), 0
    for _ in range(400):
        test = floor_test(rule, 1)
        assert test is not None
        for _ in range(300):
            test.add(float(rng.random() < 0.8) - 1)
        wrong += test.verdict == "pass"
    assert wrong / 400 <= 0.055


def test_quality_in_groups_is_as_unsure_as_the_groups_are_few():
    values = {f"c{n}": float(n >= 20) for n in range(200)}
    alone = quality_interval(values, binary=True, clusters={})
    grouped = quality_interval(values, binary=True, clusters={case: f"g{int(case[1:]) // 20}" for case in values})
    assert alone.low > 0.84 > 0.75 > grouped.low


def test_a_latency_known_of_a_few_answers_does_not_stand_for_all():
    rows = [{**row, "latency": {"student": 0.1 if n < 3 else None}} for n, row in enumerate(rows_of(300, 300))]
    verdict, reason = told(rows, max_p95_ms=500)
    assert (verdict, reason) == (
        "inconclusive",
        "p95 latency is unknown (297 of 300 answers are not timed), and must be at most 500 ms",
    )
    timed = [{**row, "latency": {"student": 0.1}} for row in rows]
    assert told(timed, max_p95_ms=500) == ("pass", "")
    assert told(timed, max_p95_ms=50) == ("fail", "p95 latency is 100 ms, more than 50 ms")
