from __future__ import annotations

import pytest

from skillforge.case import Case, CaseCheck, Decision, ScorerSpec, Suite
from skillforge.errors import UsageError
from skillforge.evals.scorers.base import Score, failed
from skillforge.evals.scorers.checked import Checks, require_checks
from skillforge.evals.scorers.graded import question_of, rubric_of
from skillforge.evals.scorers.resolve import judged_by, questions, scorers_of
from skillforge.skill import Check, Skill

HI = CaseCheck(type="contains", value="hi")
HO = CaseCheck(type="contains", value="ho")


def checked(item, output, *checks, threshold=None, **more):
    return Checks().score(item(output, checks=checks, threshold=threshold, **more))


@pytest.mark.parametrize(
    ("checks", "threshold", "value"),
    [
        ((HI,), None, 1.0),
        ((HI, HO), None, 0.0),
        ((HI, HO), 0.5, 1.0),
        ((HI, HO), 0.6, 0.0),
        ((HI.model_copy(update={"weight": 3.0}), HO), 0.75, 1.0),
        ((HI, HO.model_copy(update={"weight": 0.0})), None, 1.0),  # weight 0 only tells
        ((CaseCheck(type="not-contains", value="ho"),), None, 1.0),
        ((CaseCheck(type="all-of", checks=(HI, HO)),), None, 0.0),
        ((CaseCheck(type="all-of", checks=(HI, HO), threshold=0.5),), None, 1.0),
        ((CaseCheck(type="all-of", checks=(HI, HO), threshold=0.5), HO), 0.25, 1.0),  # a group counts as its mean
        ((CaseCheck(type="all-of", checks=(HI, HO), threshold=0.5), HO), 0.3, 0.0),
        ((HI, HI, HI, HI, HI, HI, HI, HI, HI, HO), 0.9, 1.0),
    ],
)
def test_promptfoos_semantics(item, checks, threshold, value):
    assert checked(item, "hi there", *checks, threshold=threshold).value == value


@pytest.mark.parametrize(
    ("check", "output", "value"),
    [
        (CaseCheck(type="equals", value=1, path="/a"), {"a": 1}, 1.0),
        (CaseCheck(type="levenshtein", value="hello", threshold=1), "helo", 1.0),
        (CaseCheck(type="rouge-n", value="a b c d"), "a b c", 1.0),  # .86, and .75 is enough
        (CaseCheck(type="rouge-n", value="a b c d", threshold=0.9), "a b c", 0.0),
        (CaseCheck(type="not-rouge-n", value="a b c d"), "x y", 1.0),
        (CaseCheck(type="rouge-l", value="a b", path="/t"), {"t": "a b"}, 1.0),
        (CaseCheck(type="rouge-l", value="a b", path="/t"), {}, 0.0),
        (CaseCheck(type="not-rouge-l", value="a b", path="/t"), {}, 0.0),  # nothing there fails in both forms
        (CaseCheck(type="similarity", value="hello", threshold=0.8), "helo", 1.0),
        (CaseCheck(type="numeric", value=5), "5.0", 1.0),
        (CaseCheck(type="normalized", value="Yes"), "yes.", 1.0),
        (CaseCheck(type="f1", value=["a"]), ["a", "b"], 0.0),
        (CaseCheck(type="tool-call-f1", value=["f"]), "f(a=1)", 1.0),
        (CaseCheck(type="tool-call", value="f(a=1)"), [{"name": "f", "arguments": {"a": 1}}], 1.0),
        (CaseCheck(type="latency", threshold=0.5), "x", 1.0),
        (CaseCheck(type="latency", threshold=0.4), "x", 0.0),
        (CaseCheck(type="not-latency", threshold=0.4), "x", 1.0),
        (CaseCheck(type="cost", threshold=0.001), "x", 1.0),
        (CaseCheck(type="in-input", of="t", path="/q"), {"q": "here"}, 1.0),
    ],
)
def test_every_scorer_is_a_check_too(item, check, output, value):
    case = Case(id="c", input={"t": "it is here"}, checks=(check,))
    require_checks([case], None)
    assert Checks().score(item(output, checks=(check,), input=case.input)).value == value


def test_nothing_checked_is_unscored_and_no_answer_is_wrong(item):
    assert checked(item, "hi").state == "unscored"
    assert checked(item, "hi", HI.model_copy(update={"weight": 0.0})).state == "unscored"
    assert checked(item, None, HI).value == 0.0


def test_an_unknown_cost_leaves_the_answer_unscored_unless_it_only_tells(item):
    cost = CaseCheck(type="cost", threshold=1)
    assert checked(item, "hi", HI, cost, usd=None).state == "unscored"
    assert checked(item, "hi", HI, cost.model_copy(update={"weight": 0.0}), usd=None).value == 1.0


def test_metrics_are_told_apart_those_inside_groups_too(item):
    tone = {"metric": "tone"}
    group = CaseCheck(type="all-of", metric="all", threshold=0, checks=(HI.model_copy(update=tone), HO))
    score = checked(item, "hi", group, HO.model_copy(update=tone), HI.model_copy(update={"metric": "x", "weight": 0.0}))
    assert dict(score.parts) == {"tone": 0.5, "all": 0.5, "x": 1.0}
    assert score.value == 0.0
    assert "ho" in score.reason


def skill_with(*checks: Check) -> Skill:
    return Skill(
        name="s", description="d", input={"t": {"type": "string"}}, output="text", instructions="i", prompt="{{ t }}",
        checks=checks,
    )  # fmt: skip


def test_without_the_skill_its_own_results_count(item):
    assert checked(item, "x", answered=((True, 1.0), (False, 0.0))).value == 1.0
    assert checked(item, "x", answered=((True, 1.0), (False, 1.0))).value == 0.0
    assert checked(item, "hi", HO, answered=((True, 1.0),)).value == 0.0


def test_with_the_skill_every_arm_is_asserted_the_same(item):
    skill = skill_with(Check(type="contains", value="hi"), Check(type="contains", value="?", weight=0))
    suite = Suite(name="s", cases=(), decision=Decision(metric="checks"))
    scorer = scorers_of(suite, None, skill).metric
    assert scorer.score(item("hi", input={"t": ""})).value == 1.0
    assert scorer.score(item("ho", input={"t": ""}, answered=((True, 1.0),))).value == 0.0  # a variant's own checks
    assert scorer.identity != Checks().identity


def test_a_custom_check_needs_its_callable_before_anything_is_paid_for(item):
    skill = skill_with(Check(type="custom", name="loud"))
    suite = Suite(name="s", cases=(), decision=Decision(metric="checks"))
    with pytest.raises(UsageError, match="loud"):
        scorers_of(suite, None, skill)
    scorer = scorers_of(suite, None, skill, {"loud": lambda output, given: output.isupper()}).metric
    assert [scorer.score(item(text, input={"t": ""})).value for text in ("HI", "hi")] == [1.0, 0.0]


RUBRIC = CaseCheck(type="llm-rubric", value="is kind")


def test_a_rubric_is_looked_up_in_what_the_judge_said(item):
    suite = Suite(
        name="s",
        judge="j:m",
        cases=(Case(id="c", input={}, checks=(RUBRIC, CaseCheck(type="all-of", checks=(RUBRIC,)))),),
        decision=Decision(metric="checks"),
        scorers={"kind": ScorerSpec(type="rubric", rubric="is kind", threshold=0.7)},
    )
    scorers = scorers_of(suite)
    spec, judge = rubric_of(RUBRIC), "j:m"
    ((asked_spec, asked_judge),) = questions(scorers, suite.cases[0])  # three times the same is one question
    assert question_of(asked_spec, asked_judge) == question_of(spec, judge)
    asked = item("hi", checks=suite.cases[0].checks)
    assert scorers.metric.score(asked).error == "not judged"
    assert scorers.others[0].score(asked).error == "not judged"
    for said, right, kind in [(Score(0.6), 1.0, 0.0), (Score(0.4, "rude"), 0.0, 0.0), (Score(1.0), 1.0, 1.0)]:
        judged = judged_by(scorers, {("k", question_of(spec, judge)): said})
        assert judged.metric.score(asked).value == right
        assert judged.others[0].score(asked).value == kind
    unread = judged_by(scorers, {("k", question_of(spec, judge)): failed("no grade")})
    assert unread.metric.score(asked).error == "no grade"
    assert unread.others[0].score(asked).error == "no grade"


def test_a_judge_that_said_nothing_leaves_what_only_tells(item):
    assert checked(item, "hi", HI, RUBRIC.model_copy(update={"weight": 0.0})).value == 1.0


@pytest.mark.parametrize(
    ("check", "says"),
    [
        (CaseCheck(type="contain", value="x"), "did you mean 'contains'"),
        (CaseCheck(type="not-all-of", checks=(HI,)), "unknown check type"),
        (CaseCheck(type="all-of", checks=(CaseCheck(type="regex", value="("),)), "check regex: value"),
        (CaseCheck(type="regex"), "value"),
        (CaseCheck(type="custom"), "no custom checks"),
        (CaseCheck(type="latency"), "needs a threshold"),
        (CaseCheck(type="llm-rubric", value="x"), "nobody is named to judge"),
        (CaseCheck(type="numeric", value="five"), "value must be a number"),
        (CaseCheck(type="rouge-1", value="a", path="t"), "not a JSON pointer"),
        (CaseCheck(type="in-input", of="nope"), "no input field 'nope'"),
    ],
)
def test_a_check_that_cannot_be_run_is_an_error_that_names_the_case(check, says):
    suite = Suite(name="s", cases=(Case(id="c7", input={}, checks=(check,)),), decision=Decision(metric="checks"))
    with pytest.raises(UsageError) as caught:
        scorers_of(suite)
    assert says in f"{caught.value} {caught.value.hint}"
    assert "c7" in str(caught.value)
