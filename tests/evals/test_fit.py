from __future__ import annotations

import pytest

from skillforge.case import Case, Decision, ScorerSpec, Suite
from skillforge.errors import UsageError
from skillforge.evals.fit import require_fit
from skillforge.evals.scorers.resolve import scorers_of
from skillforge.skill import Skill

QUEUE = {"queue": {"enum": ["a", "b"]}, "total": {"type": "number"}}


def skill(output) -> Skill:
    return Skill(
        name="s", description="d", input={"t": {"type": "string"}}, output=output, instructions="i", prompt="{{ t }}"
    )


def fit(expected, metric, output=QUEUE, scorers=None, given=None):
    case = Case(id="c7", input=given or {"t": "x"}, expected=expected)
    suite = Suite(name="s", cases=(case,), decision=Decision(metric=metric), scorers=scorers or {})
    require_fit(skill(output), [case], suite, scorers_of(suite))


CALL = {"call": ScorerSpec(type="tool-call")}
TOTAL = {"total": ScorerSpec(type="numeric", path="/total")}
LOOSE = {"loose": ScorerSpec(type="json", fields={"queue": ScorerSpec(type="normalized")})}


@pytest.mark.parametrize(
    ("expected", "metric", "more"),
    [
        ({"queue": "a", "total": 1}, "exact", {}),
        ({"queue": "a"}, "fields", {}),
        ({"queue": "a"}, "/queue", {}),
        ("a", "exact", {"output": "text"}),
        (None, "exact", {}),
        ({"f": {"a": [1, ""]}}, "call", {"output": "text", "scorers": CALL}),  # no answer the skill could give
        ({"total": "$5"}, "total", {"scorers": TOTAL}),
        ({"queue": "A."}, "loose", {"scorers": LOOSE}),
        (5, "numeric", {"output": "text"}),
        ({"anything": 1}, "checks", {}),
    ],
)
def test_labels_that_the_metric_can_compare(expected, metric, more):
    fit(expected, metric, **more)


@pytest.mark.parametrize(
    ("expected", "metric", "more", "says"),
    [
        ({"queue": "a"}, "exact", {}, "total: missing, and the metric is exact"),
        ({"queue": "c", "total": 1}, "exact", {}, "queue"),
        ({"queue": "c"}, "fields", {}, "queue"),
        ({"total": 1}, "/queue", {}, "nothing at /queue, which the metric compares"),
        ({"queue": "a", "other": 1}, "/queue", {}, "other"),
        ({"a": 1}, "exact", {"output": "text"}, "must be text"),
        ("a", "fields", {}, "object"),
        ({"queue": "a"}, "total", {"scorers": TOTAL}, "nothing at /total"),
        ({"total": "five"}, "total", {"scorers": TOTAL}, "must be a number"),
        ("f", "call", {"scorers": CALL}, "must be tool calls"),
        ({"queue": "A.", "total": "x"}, "loose", {"scorers": LOOSE}, "total"),
        ({"queue": "A.", "other": 1}, "loose", {"scorers": LOOSE}, "other"),
        (["a"], "loose", {"scorers": LOOSE}, "must be an object"),
    ],
)
def test_labels_that_no_answer_can_meet(expected, metric, more, says):
    with pytest.raises(UsageError) as caught:
        fit(expected, metric, **more)
    assert says in str(caught.value)
    assert "suite s, case c7" in str(caught.value)
    assert caught.value.hint


def test_an_input_outside_the_contract_is_named():
    with pytest.raises(UsageError, match="suite s, case c7"):
        fit(None, "exact", given={"u": 1})
