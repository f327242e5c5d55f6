from __future__ import annotations

from typing import Any

import pytest

from skillforge.case import Case, Decision
from skillforge.engine.execute import PromptExecutor
from skillforge.evals.answer import Answer
from skillforge.evals.report import ArmReport, EvalReport
from skillforge.evals.running.arms import Arm, build_arms
from skillforge.evals.scorers.resolve import metric_of
from skillforge.evals.statistics import paired_t_interval, tango_cases_needed, tango_interval, wilson
from skillforge.evals.verdict.summary import Measure, summarise
from skillforge.messages import Cost, Usage
from skillforge.providers.scripted import Scripted
from skillforge.run import CheckResult, Run
from skillforge.sample import Sample

RIGHT, WRONG = {"queue": "bug", "quote": "x"}, {"queue": "billing", "quote": "x"}
QUEUE = Decision(metric="/queue")


def sample(case_id: str, output: Any = None, **more: Any) -> Sample:
    body: dict[str, Any] = {"skill": "s", "digest": "d", "student": "s", "status": "ok", "input": {}, "model": "m"}
    run = Run.model_validate({**body, "output": output, **more})
    return Sample(key=case_id, arm="a", case_id=case_id, status="error" if run.status == "error" else "ok", run=run)


def arms(triage: Any, decision: Decision = QUEUE) -> list[Arm]:
    """Teacher, bare and skill of one student."""
    student, teacher = PromptExecutor(Scripted(name="s")), PromptExecutor(Scripted(name="t"))
    built = build_arms(triage(), decision, teacher, [student])
    return [arm for arm in built if arm.kind not in ("no-model", "examples")]


def labelled(count: int, expected: Any = RIGHT) -> list[Case]:
    return [Case(id=f"c{n}", input={"ticket": str(n)}, expected=expected) for n in range(count)]


def answers(count: int, right: int, **more: Any) -> dict[str, Sample]:
    return {f"c{n}": sample(f"c{n}", RIGHT if n < right else WRONG, **more) for n in range(count)}


def report(triage: Any, teacher: Any, skill: Any, decision: Decision = QUEUE, cases: Any = None) -> list[ArmReport]:
    listed = arms(triage, decision)
    table = {"t": teacher, "teacher": teacher, "s bare": skill, "s + skill": skill}
    return summary(listed, labelled(len(teacher)) if cases is None else cases, table, decision)[1]


def summary(listed: Any, cases: Any, table: Any, decision: Decision) -> tuple[str, list[ArmReport]]:
    rows = {name: {case: (Answer.of(given),) for case, given in found.items()} for name, found in table.items()}
    found = summarise(listed, cases, rows, Measure(decision, metric_of(decision.metric, {})))
    return found.reference, found.arms


def verdict(reports: list[ArmReport]) -> tuple[Any, str]:
    versus = reports[-1].versus_teacher
    assert versus is not None
    return versus.verdict, versus.reason


@pytest.mark.parametrize(
    ("count", "teacher", "student", "expected"),
    [(200, 190, 190, "pass"), (200, 190, 120, "fail"), (40, 38, 37, "inconclusive")],
)
def test_the_verdict_follows_tangos_bound(triage, count, teacher, student, expected):
    reports = report(triage, answers(count, teacher), answers(count, student))
    versus = reports[-1].versus_teacher
    assert versus is not None
    assert (versus.verdict, versus.n) == (expected, count)
    lost = teacher - student
    bound = tango_interval(0, lost, count, 0.9)
    assert (versus.bounds.low, versus.bounds.high, versus.bounds.level) == (bound.low, bound.high, bound.level)
    assert versus.difference == pytest.approx(-lost / count)
    assert versus.lost == tuple(f"c{n}" for n in range(student, teacher))
    assert versus.gained == ()
    needed = tango_cases_needed(0, lost, count, 0.05) if expected == "inconclusive" else None
    assert versus.cases_needed == needed
    assert reports[0].versus_teacher is None


def test_quality_has_wilsons_interval_and_fields_stand_apart(triage):
    (teacher, _, skill) = report(triage, answers(10, 10), answers(10, 7))
    assert (skill.quality, skill.n, skill.errors) == (0.7, 10, 0)
    bound = wilson(7, 10)
    assert (skill.bounds.low, skill.bounds.high) == (bound.low, bound.high)
    assert skill.fields == {"queue": 0.7, "quote": 1.0}
    assert teacher.quality == 1.0


def test_the_alpha_of_the_suite_sets_the_level(triage):
    versus = report(triage, answers(100, 90), answers(100, 90), Decision(metric="/queue", alpha=0.1))[-1].versus_teacher
    assert versus is not None
    assert versus.bounds.level == pytest.approx(0.8)


def test_graded_scores_get_the_paired_t_interval(triage):
    decision = Decision(metric="fields")
    reports = report(triage, answers(60, 60), answers(60, 50), decision)
    versus = reports[-1].versus_teacher
    assert versus is not None
    bound = paired_t_interval([0.0] * 50 + [-0.5] * 10, 0.9)
    assert (versus.bounds.low, versus.bounds.high) == (bound.low, bound.high)
    assert reports[-1].quality == pytest.approx((50 + 10 * 0.5) / 60)
    assert len(versus.lost) == 10


def with_errors(samples: dict[str, Sample], count: int) -> dict[str, Sample]:
    broken = {f"c{n}": sample(f"c{n}", status="error", reason="busy") for n in range(count)}
    return {**samples, **broken}


def test_more_than_two_percent_errors_force_inconclusive(triage):
    good = answers(300, 300)
    assert verdict(report(triage, good, good))[0] == "pass"
    for teacher, student in ((good, with_errors(good, 7)), (with_errors(good, 7), good)):
        assert verdict(report(triage, teacher, student)) == ("inconclusive", "2.3% infrastructure errors (at most 2%)")
    bad = {case_id: sample(case_id, WRONG) for case_id in good}
    assert verdict(report(triage, good, bad))[0] == "fail"
    assert verdict(report(triage, good, with_errors(bad, 7)))[0] == "inconclusive"


def test_lopsided_errors_force_inconclusive(triage):
    good = answers(300, 300)
    found, reason = verdict(report(triage, good, with_errors(good, 5)))
    assert found == "inconclusive"
    assert "lopsided: 1.7% here, 0.0% at the teacher" in reason
    assert verdict(report(triage, with_errors(good, 5), with_errors(good, 5)))[0] == "pass"
    assert verdict(report(triage, good, with_errors(good, 2)))[0] == "pass"


def test_errors_are_counted_apart_and_never_scored(triage):
    (_, _, skill) = report(triage, answers(100, 100), with_errors(answers(100, 100), 1))
    assert (skill.errors, skill.n, skill.quality, skill.fields["queue"]) == (1, 99, 1.0, 1.0)
    versus = skill.versus_teacher
    assert versus is not None
    assert (versus.n, versus.lost) == (99, ())


def test_nothing_but_errors_is_inconclusive_and_knows_nothing(triage):
    (_, _, skill) = report(triage, answers(10, 10), with_errors({}, 10))
    assert (skill.n, skill.errors, skill.quality, skill.usd_per_1000, skill.p95_s) == (0, 10, None, None, None)
    assert (skill.bounds.low, skill.bounds.high) == (0.0, 1.0)
    assert skill.versus_teacher is not None
    assert (skill.versus_teacher.n, skill.versus_teacher.verdict, skill.versus_teacher.cases_needed) == (
        0,
        "inconclusive",
        None,
    )


@pytest.mark.parametrize("status", ["failed", "escalated"])
def test_an_answer_that_was_not_good_enough_counts_as_wrong_everywhere(triage, status):
    (_, _, skill) = report(triage, answers(10, 10), answers(10, 10, status=status))
    assert (skill.quality, skill.fields, skill.n) == (0.0, {"queue": 0.0, "quote": 0.0}, 10)


def test_without_labels_there_is_agreement_and_no_verdict(triage):
    teacher, student = answers(300, 300), answers(300, 300)
    reference, reports = summary(
        arms(triage), labelled(300, None), {"teacher": teacher, "s bare": student, "s + skill": student}, QUEUE
    )
    assert reference == "teacher"
    found, reason = verdict(reports)
    assert found == "inconclusive"
    assert reason == "no labels: this is agreement with the teacher, not quality"
    assert reports[-1].quality == 1.0
    assert reports[-1].versus_teacher is not None
    assert reports[-1].versus_teacher.cases_needed is None


def test_cost_and_saving_are_known_only_when_every_run_is(triage):
    dear = answers(10, 10, cost=Cost(usd=0.01, estimated=True))
    cheap = answers(10, 10, cost=Cost(usd=0.001))
    (teacher, _, skill) = report(triage, dear, cheap)
    assert teacher.usd_per_1000 == pytest.approx(10.0)
    assert (teacher.cost_estimated, skill.cost_estimated) == (True, False)
    assert skill.versus_teacher is not None
    assert skill.versus_teacher.saving == pytest.approx(0.9)
    cheap["c3"] = sample("c3", RIGHT, cost=Cost(usd=None))
    (_, _, skill) = report(triage, dear, cheap)
    assert skill.usd_per_1000 is None
    assert skill.versus_teacher is not None
    assert skill.versus_teacher.saving is None


def test_a_free_teacher_leaves_nothing_to_save(triage):
    free = answers(10, 10, cost=Cost(usd=0.0))
    skill = report(triage, free, free)[-1]
    assert skill.usd_per_1000 == 0.0
    assert skill.versus_teacher is not None
    assert skill.versus_teacher.saving is None


def test_latency_percentiles_tokens_checks_and_repairs(triage):
    passed, failed = CheckResult(type="contains", passed=True), CheckResult(type="contains", passed=False)
    rows = {
        f"c{n}": sample(
            f"c{n}",
            RIGHT,
            latency_s=float(n),
            usage=Usage(input_tokens=100, output_tokens=n),
            checks=(passed, failed if n == 0 else passed),
            attempts=({"kind": "student"}, {"kind": "repair"}) if n < 2 else ({"kind": "student"},),
        )
        for n in range(101)
    }
    skill = report(triage, answers(101, 101), rows)[-1]
    assert (skill.p50_s, skill.p95_s) == (50.0, 95.0)
    assert (skill.input_tokens, skill.output_tokens) == (100.0, 50.0)
    assert (skill.repaired, skill.checks_passed) == (2, 201 / 202)
    assert skill.model == "m"
    rows["c0"] = sample("c0", RIGHT, usage=Usage(input_tokens=None, output_tokens=1))
    assert report(triage, answers(101, 101), rows)[-1].input_tokens is None


def test_the_best_verdict_of_the_skill_arms_is_the_evals(triage):
    def arm(kind: str, name: str, verdict: str) -> dict[str, Any]:
        bounds = {"low": 0.0, "high": 1.0, "level": 0.9}
        versus = {"n": 1, "difference": 0, "bounds": bounds, "lost": (), "gained": (), "verdict": verdict}
        body = {"name": name, "kind": kind, "student": "s", "model": "", "n": 1, "errors": 0, "quality": 1.0}
        body |= {"bounds": bounds, "fields": {}, "checks_passed": None, "repaired": 0, "usd_per_1000": None}
        body |= {"cost_estimated": False, "input_tokens": None, "output_tokens": None, "p50_s": None, "p95_s": None}
        return {**body, "versus_teacher": versus}

    def made(*arms: dict[str, Any]) -> EvalReport:
        body = {
            "skill": "s",
            "version": 1,
            "digest": "d",
            "suite": "s",
            "suite_digest": "d",
            "split": "all",
            "cases": 1,
        }
        body |= {"decision": QUEUE, "reference": "labels", "samples": 1, "reused": 0, "seconds": 0.0}
        body |= {"cost_usd": None, "spent_usd": None}
        return EvalReport.model_validate({**body, "teacher": arm("teacher", "teacher", "pass"), "arms": arms})

    assert made().verdict is None
    assert made(arm("bare", "b", "pass"), arm("skill", "s", "fail")).verdict == "fail"
    assert made(arm("skill", "a", "fail"), arm("skill", "b", "inconclusive")).verdict == "inconclusive"
    both = made(arm("skill", "a", "fail"), arm("skill", "b", "pass"))
    assert both.verdict == "pass"
    assert both.arm("teacher").kind == "teacher"
    assert both.arm("b").name == "b"
    with pytest.raises(KeyError):
        both.arm("c")


def test_a_teacher_that_is_never_right_proves_nothing(triage):
    """Otherwise a student that is never right either would be "not worse"."""
    said, reason = verdict(report(triage, answers(100, 0), answers(100, 0)))
    assert said == "inconclusive"
    assert "right on no case" in reason
