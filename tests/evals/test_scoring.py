from __future__ import annotations

import math

import pytest

from skillforge.case import Case
from skillforge.evals.answer import Answer
from skillforge.evals.scorers.own import OwnScorer
from skillforge.evals.scorers.resolve import metric_of
from skillforge.evals.scoring import score_answers

CASES = [Case(id=f"c{index}", input={}) for index in range(4)]
EXPECTED = {case.id: {"a": 1, "b": 2} for case in CASES}


def answer(output, status="ok"):
    return Answer(
        key="k", status=status, run_status="ok", output=output, reason="", checks=(), repaired=False, usd=None,
        list_usd=None, cost_estimated=False, input_tokens=None, output_tokens=None, latency_s=None, model="",
    )  # fmt: skip


def scored(function, *outputs, cases=CASES):
    """One case for each of ``outputs``, which are its epochs."""
    answers = {case.id: tuple(map(answer, epochs)) for case, epochs in zip(cases, outputs, strict=False)}
    return score_answers(OwnScorer("mine", function), cases, answers, {})


def test_a_case_is_scored_by_the_mean_over_its_epochs():
    found = scored(lambda output: output, [1, 0, 0.5], [0.25])
    assert found.values == {"c0": 0.5, "c1": 0.25}
    assert found.mean == 0.375


def test_parts_are_means_over_cases_not_over_answers():
    answers = {
        "c0": (answer({"a": 1, "b": 2}), answer({"a": 1, "b": 3}), answer({"a": 1, "b": 3})),
        "c1": (answer({"a": 0, "b": 2}),),
    }
    found = score_answers(metric_of("fields", {}), CASES, answers, EXPECTED)
    assert found.parts == {"a": 0.5, "b": pytest.approx((1 / 3 + 1) / 2)}


def test_an_infrastructure_error_is_not_scored():
    answers = {"c0": (answer(None, "error"), answer({"a": 1, "b": 2})), "c1": (answer(None, "error"),)}
    found = score_answers(metric_of("exact", {}), CASES, answers, EXPECTED)
    assert (found.values, found.errors, found.unscored) == ({"c0": 1.0}, {}, 0)


def test_what_is_unscored_is_left_out_and_counted():
    found = scored(lambda output: output, [None, 1], [math.nan], ["none"], [0])
    assert found.values == {"c0": 0.0, "c3": 0.0} or found.values == {"c0": 0.5, "c3": 0.0}
    assert "c2" in found.errors


def test_a_failure_of_the_scorer_leaves_the_whole_case_out():
    def function(output):
        if output == "bad":
            raise ValueError(output)
        return None if output == "unknown" else output

    found = scored(function, [1, "bad"], ["unknown", 1], ["unknown"], [0])
    assert found.values == {"c1": 1.0, "c3": 0.0}
    assert list(found.errors) == ["c0"]
    assert found.unscored == 2
    assert "c0" not in found.parts


def test_a_case_without_a_label_is_scored_only_where_none_is_needed():
    answers = {"c0": (answer("x"),)}
    assert score_answers(metric_of("exact", {}), CASES, answers, {}).values == {}
    assert score_answers(OwnScorer("mine", lambda output: 1), CASES, answers, {}).values == {"c0": 1.0}


def test_the_order_is_that_of_the_cases():
    answers = {case.id: (answer({"a": 1, "b": 2}),) for case in reversed(CASES)}
    assert list(score_answers(metric_of("exact", {}), CASES, answers, EXPECTED).values) == ["c0", "c1", "c2", "c3"]


def test_nothing_scored_has_no_mean():
    assert scored(lambda output: None, [1]).mean is None
