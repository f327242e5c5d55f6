from __future__ import annotations

import pytest

from skillforge.case import Case, CaseCheck, Decision, ScorerSpec, Suite
from skillforge.errors import UsageError
from skillforge.evals.scorers.resolve import (
    SCORER_TYPES,
    metric_of,
    scorer_of,
    scorer_of_text,
    scorers_of,
    spec_of_text,
)

NEEDED = {
    "latency": {"threshold": 1},
    "cost": {"threshold": 1},
    "rubric": {"rubric": "is kind", "model": "j:m"},
    "pairwise": {"model": "j:m"},
}
GRADED = {"fields", "f1", "json", "rouge-1", "rouge-2", "rouge-l", "similarity", "tool-call-f1", "rubric", "pairwise"}
WITHOUT_LABELS = {"checks", "latency", "cost", "rubric", "pairwise"}


@pytest.mark.parametrize("kind", SCORER_TYPES)
def test_every_type_says_what_it_is(kind):
    scorer = scorer_of("mine", ScorerSpec(type=kind, **NEEDED.get(kind, {})))
    assert scorer.name == "mine"
    assert scorer.binary is (kind not in GRADED)
    assert scorer.labels is (kind not in WITHOUT_LABELS)
    assert scorer.identity.startswith(kind)


@pytest.mark.parametrize("kind", SCORER_TYPES)
def test_no_answer_scores_zero_under_every_type(kind, item):
    scorer = scorer_of("mine", ScorerSpec(type=kind, **NEEDED.get(kind, {})))
    label = {"name": "f", "arguments": {}} if kind.startswith("tool") else {"a": 1} if kind == "json" else "5"
    score = scorer.score(item(None, label))
    assert (score.value, score.error) == (0.0, "")


@pytest.mark.parametrize("kind", sorted(set(SCORER_TYPES) - WITHOUT_LABELS - {"exact", "fields"}))
def test_a_label_without_the_place_is_unscored_an_output_without_it_wrong(kind, item):
    scorer = scorer_of("mine", ScorerSpec(type=kind, path="/a"))
    label = {"numeric": 5, "json": {"x": 1}}.get(kind, "f(x=1)")
    assert scorer.score(item({"a": label}, {"b": label})).state == "unscored"
    assert scorer.score(item({"b": label}, {"a": label})).value == 0.0
    assert scorer.score(item({"a": label}, {"a": label})).value == 1.0


@pytest.mark.parametrize("kind", sorted(set(SCORER_TYPES) - WITHOUT_LABELS))
def test_nothing_agrees_with_a_teacher_that_gave_no_answer(kind, item):
    scorer = scorer_of("mine", ScorerSpec(type=kind))
    assert [scorer.score(item(output, None)).value for output in ("null", None)] == [0.0, 0.0]


def test_what_cases_assert_is_told_beside_any_metric(item):
    checks = (CaseCheck(type="contains", value="x"),)
    suite = Suite(name="s", cases=(Case(id="c", input={}, checks=checks),), decision=Decision(metric="exact"))
    assert [scorer.name for scorer in scorers_of(suite)] == ["exact", "checks"]
    assert scorers_of(suite).others[0].score(item("xy", checks=checks)).value == 1.0


def test_a_setting_is_another_identity_a_name_is_not():
    one = scorer_of("a", ScorerSpec(type="numeric", tolerance=0.1))
    assert one.identity == scorer_of("b", ScorerSpec(type="numeric", tolerance=0.1)).identity
    assert one.identity != scorer_of("a", ScorerSpec(type="numeric", tolerance=0.2)).identity


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"type": "numerc"}, "did you mean 'numeric'"),
        ({"type": "zzzzzzzz"}, "one of exact"),
        ({"type": "exact", "tolerance": 1}, "exact does not use tolerance"),
        ({"type": "numeric", "threshold": 1}, "numeric does not use threshold"),
        ({"type": "rouge-l", "ordered": True}, "rouge-l does not use ordered"),
        ({"type": "checks", "path": "/a"}, "checks does not use path"),
        ({"type": "f1", "path": "a"}, "not a JSON pointer"),
        ({"type": "f1", "threshold": -1}, "threshold must be 0 or more"),
        ({"type": "latency"}, "latency needs a threshold"),
        ({"type": "rubric", "rubric": "kind"}, "nobody is named to judge"),
        ({"type": "rubric", "model": "j:m"}, "needs a rubric"),
        ({"type": "exact", "path": "/a~2"}, "not a JSON pointer"),
        ({"type": "f1", "weight": 2}, "weight counts for nothing"),
    ],
)
def test_a_wrong_spec_is_an_error_that_names_the_scorer(spec, says):
    with pytest.raises(UsageError) as caught:
        scorer_of("mine", ScorerSpec(**spec))
    assert says in f"{caught.value} {caught.value.hint}"
    assert "mine" in str(caught.value)


def test_the_metric_is_one_of_the_suites_scorers_a_pointer_or_a_type():
    mine = {"total": ScorerSpec(type="numeric", path="/total")}
    assert [metric_of(name, mine).identity.split()[0] for name in ("total", "/queue", "f1")] == [
        "numeric",
        "exact",
        "f1",
    ]
    assert scorer_of_text("total", mine).identity == metric_of("total", mine).identity
    assert scorer_of_text("/queue", mine).name == "/queue"
    assert scorer_of_text('{"type": "numeric"}', mine).name == "numeric"


def test_the_suites_other_scorers_are_told_beside_the_metric():
    specs = {"total": ScorerSpec(type="numeric", path="/total"), "fast": ScorerSpec(type="latency", threshold=1)}
    suite = Suite(name="s", cases=(Case(id="c", input={}),), scorers=specs, decision=Decision(metric="total"))
    found = scorers_of(suite)
    assert [scorer.name for scorer in found] == ["total", "fast"]
    given = scorers_of(suite, scorer_of_text("exact", {}))
    assert [scorer.name for scorer in given] == ["exact", "total", "fast"]


@pytest.mark.parametrize(
    "text", ["{", "{}", '{"type": 5}', '{"type": "f1", "extra": 1}', '{"type": "f1", "weight": NaN}']
)
def test_settings_that_are_none_are_a_usage_error(text):
    with pytest.raises(UsageError, match="--scorer"):
        spec_of_text(text)


@pytest.mark.parametrize(
    ("spec", "answer", "value"),
    [
        ({"type": "latency", "threshold": 0.5}, {"latency_s": 0.5}, 1.0),
        ({"type": "latency", "threshold": 0.5}, {"latency_s": 0.51}, 0.0),
        ({"type": "cost", "threshold": 0}, {"usd": 0.0}, 1.0),
        ({"type": "cost", "threshold": 0.001}, {"usd": 0.002}, 0.0),
    ],
)
def test_latency_and_cost_are_at_most(item, spec, answer, value):
    assert scorer_of("x", ScorerSpec(**spec)).score(item("out", **answer)).value == value


@pytest.mark.parametrize(("kind", "answer"), [("latency", {"latency_s": None}), ("cost", {"usd": None})])
def test_what_is_unknown_is_unscored(item, kind, answer):
    assert scorer_of("x", ScorerSpec(type=kind, threshold=1)).score(item("out", **answer)).state == "unscored"
