"""The sentences of a report: true for every combination of arms, labels and metrics."""

from __future__ import annotations

import re
from typing import Any

import pytest

from skillforge.case import Decision
from skillforge.evals.report import ArmReport, EvalReport, Lift
from skillforge.evals.verdict.comparison import Bounds, Comparison
from skillforge.evals.wording import remarks
from skillforge.evals.wording.reading import (
    arm_lines,
    badge,
    best,
    dollars,
    headline,
    label,
    points,
    quality,
    sentence,
    signed,
)
from tests.fakes.eval_report import ALL, BARE, EXAMPLES, LUNA, SKILL, TEACHER, audited, left_out, made


def versus(low: float, high: float, verdict: Any, **more: Any) -> Comparison:
    body = {"n": 412, "difference": (low + high) / 2, "lost": (), "gained": (), "verdict": verdict, **more}
    return Comparison(bounds=Bounds(low=low, high=high, level=0.9), **body)


def changed(report: EvalReport, name: str, **update: Any) -> tuple[EvalReport, ArmReport]:
    """The report with one of its arms changed, and that arm."""
    arms = tuple(arm.model_copy(update=update) if arm.name == name else arm for arm in report.arms)
    found = report.model_copy(update={"arms": arms})
    return found, found.arm(name)


@pytest.fixture
def report(triage: Any) -> EvalReport:
    return made(triage(), played=(TEACHER, BARE, EXAMPLES, SKILL)).report


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (versus(-0.028, 0.01, "pass"), "95% sure: at most 2.8 points worse (you allow 5)"),
        (versus(0.0, 0.04, "pass"), "95% sure: not worse (you allow 5)"),
        (versus(-0.3, -0.098, "fail"), "95% sure: at least 9.8 points worse; the skill adds 10 points"),
        (
            versus(-0.054, 0.0, "inconclusive", cases_needed=770),
            "may be up to 5.4 points worse; about 770 more cases would settle it",
        ),
        (
            versus(-0.054, 0.0, "inconclusive"),
            "may be up to 5.4 points worse; no sensible number of cases would settle it: the gap is too near what you"
            " allow",
        ),
        (
            versus(-0.4, 0.4, "inconclusive", n=6),
            "may be up to 40 points worse; far too few cases to plan with",
        ),
        (versus(-0.01, 0.0, "inconclusive", reason="p95\x1b[31m unknown"), "p95 [31m unknown"),
    ],
)
def test_the_sentence_says_what_the_bounds_say(report: EvalReport, given: Comparison, said: str) -> None:
    bare = next(arm for arm in report.arms if arm.kind == "bare")
    found, arm = changed(report, SKILL.name, versus_teacher=given, quality=(bare.quality or 0) + 0.1)
    assert sentence(found, arm, given) == said


def test_each_end_is_as_sure_as_the_interval_says(report: EvalReport) -> None:
    shared = versus(-0.02, 0.0, "pass").model_copy(update={"bounds": Bounds(low=-0.02, high=0.0, level=0.95)})
    assert sentence(report, report.arm(SKILL.name), shared).startswith("97.5% sure")


def test_the_headline_and_the_lines_are_those_of_the_design(report: EvalReport) -> None:
    found = re.fullmatch(
        r"ticket-triage v3 · 300 unseen cases · teacher claude-opus-5-5: \d\d\.\d% right, \$7\.20 per 1,000, p95 .* s",
        headline(report),
    )
    assert found
    assert [line.label for line in arm_lines(report)] == [
        "claude-haiku-5-5 + skill",
        "claude-haiku-5-5 + examples",
        "claude-haiku-5-5 bare",
    ]


@pytest.mark.parametrize(("verdict", "sign"), [("pass", "="), ("fail", "<"), ("inconclusive", "?")])
def test_the_badge_is_one_line(report: EvalReport, verdict: Any, sign: str) -> None:
    found, _ = changed(report, SKILL.name, versus_teacher=versus(-0.01, 0.0, verdict, saving=0.95))
    assert badge(found) == f"claude-haiku-5-5 {sign} claude-opus-5-5, n=412, -95%"


def test_without_a_candidate_there_is_no_verdict_to_tell(triage: Any) -> None:
    found = made(triage(), played=(TEACHER, BARE)).report
    assert best(found) is None
    assert badge(found) == "no candidate was measured, n=300"
    assert remarks.helped(found) == []


def test_the_best_verdict_leads_and_not_the_best_score(triage: Any) -> None:
    report = made(triage(), played=(TEACHER, SKILL, LUNA)).report
    report, _ = changed(report, LUNA.name, versus_teacher=versus(-0.01, 0.0, "pass"), quality=0.5)
    report, _ = changed(report, SKILL.name, versus_teacher=versus(-0.1, 0.0, "inconclusive"), quality=0.9)
    line = best(report)
    assert line is not None
    assert line.arm.name == LUNA.name


def lifted(report: EvalReport, *lifts: tuple[Any, float, float]) -> str:
    made_of = tuple(
        Lift(versus=kind, n=300, difference=(low + high) / 2, bounds=Bounds(low=low, high=high, level=0.9))
        for kind, low, high in lifts
    )
    found, _ = changed(report, SKILL.name, lifts=made_of)
    return "\n".join(remarks.helped(found))


def test_what_the_skill_added_is_told_with_its_interval(report: EvalReport) -> None:
    assert "the skill helped, +12 points over the bare model (90%: +8 to +16)" in lifted(report, ("bare", 0.08, 0.16))
    assert "no gain of the skill over the bare model is shown" in lifted(report, ("bare", -0.02, 0.04))
    assert "the skill hurt, -4 points" in lifted(report, ("bare", -0.06, -0.02))


def test_examples_alone_would_do_only_where_a_bound_says_so(report: EvalReport) -> None:
    assert "examples alone would do: the rest adds at most 3 points" in lifted(report, ("examples", -0.01, 0.03))
    assert "whether examples alone would do is not sure" in lifted(report, ("examples", -0.01, 0.09))
    assert "the instructions add to the examples alone" in lifted(report, ("examples", 0.01, 0.09))
    assert "its examples alone do better" in lifted(report, ("examples", -0.09, -0.01))


def test_the_model_was_enough_where_the_bare_one_passes(report: EvalReport) -> None:
    found, _ = changed(report, BARE.name, versus_teacher=versus(-0.01, 0.01, "pass"))
    assert "the model was enough" in "\n".join(remarks.helped(found))
    found, _ = changed(report, BARE.name, versus_teacher=versus(-0.2, -0.1, "fail"))
    assert "the model was enough" not in "\n".join(remarks.helped(found))


def test_a_bare_arm_says_that_the_skill_helps_only_where_the_skill_passes(report: EvalReport) -> None:
    bad = versus(-0.2, -0.1, "fail")
    for verdict, told in (("pass", True), ("inconclusive", False)):
        found, _ = changed(report, SKILL.name, versus_teacher=versus(-0.01, 0.0, verdict))
        assert ("the skill is what helps" in sentence(found, found.arm(BARE.name), bad)) is told


def test_without_labels_nobody_is_right(triage: Any) -> None:
    report = made(triage(), labels=False, played=(TEACHER, SKILL)).report
    assert report.reference == "teacher"
    assert "right" not in headline(report)
    assert "measured by its answers" in headline(report)
    assert quality(report, report.arm(SKILL.name)).endswith("% agreement")
    assert any("which is no verdict" in line for line in remarks.measured(report))
    twice = report.model_copy(update={"second_pass": True})
    assert "agreement with itself" in headline(twice)


def test_graded_scores_are_called_scores(triage: Any) -> None:
    report = made(triage(), played=(TEACHER, SKILL), decision=Decision(metric="fields")).report
    assert quality(report, report.arm(SKILL.name)).endswith("% score")


def test_an_arm_against_itself_replaces_nobody(report: EvalReport) -> None:
    found = report.model_copy(update={"against_itself": True})
    words = {line.word for line in arm_lines(found)}
    assert words <= {"SAME", "DIFFERENT", "NOT SURE"}
    assert "against its own second answers" in headline(found)
    assert "itself" in badge(found)
    assert remarks.helped(found) == []


def test_what_limits_the_figures_is_told(triage: Any) -> None:
    more = {"limit": 60, "filter": "lang=de", "excluded": left_out(5), "judges": audited()}
    report = made(triage(), 40, played=(TEACHER, SKILL), repeat=3, **more).report
    told = "\n".join([*remarks.measured(report), *remarks.judges(report)])
    for part in ("--limit 60 --filter lang=de", "answered 3 times", "x0, x1, x2 and 2 more", "flip", "kappa"):
        assert part in told.replace("changed its mind", "flip")
    assert "of one family" in told


def test_conditions_beside_the_margin_stand_in_the_rule(report: EvalReport) -> None:
    rule = Decision(metric="/queue", min_quality=0.9, max_p95_ms=900, max_cost_per_1k=1.5)
    told = remarks.rule(report.model_copy(update={"decision": rule}))
    expected = "at most 5 points worse by /queue, 95% sure, quality at least 90.0%, p95 at most 900 ms, at most $1.50"
    assert told == f"{expected} per 1,000"


def test_names_never_reach_a_terminal_with_escapes(report: EvalReport) -> None:
    found, arm = changed(report, SKILL.name, student="x:\x1b]0;owned\x07model")
    assert label(found, arm).isprintable()
    assert all(line.says.isprintable() for line in arm_lines(found))


def test_figures_are_short_and_keep_what_matters() -> None:
    assert [points(value) for value in (0.028, -0.0001, 0.05)] == ["2.8", "0", "5"]
    assert [signed(value) for value in (0.028, -0.05, 0.0)] == ["+2.8", "-5", "0"]
    assert [dollars(value) for value in (None, 0, 7.2, 0.0004, 1234.5)] == [
        "$ unknown", "$0", "$7.20", "$0.0004", "$1,234.50"
    ]  # fmt: skip


def test_every_arm_has_a_label_of_its_own(triage: Any) -> None:
    report = made(triage(), 40, played=ALL).report
    labels = [label(report, arm) for arm in (report.teacher, *report.arms)]
    assert len(set(labels)) == len(labels)
