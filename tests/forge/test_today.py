"""The arm ``today``: what the program's own prompt and model answered, beside everybody else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from skillforge.errors import SkillFileError, UsageError
from skillforge.evals.report import EvalReport
from skillforge.messages import Completion, Cost, Message, Request, Usage
from skillforge.providers.scripted import Scripted
from skillforge.today import TodayAnswer, today_lines

ARMS = ("today", "no-model", "bare", "skill")

STUDENT, TEACHER = "scripted:student", "scripted:teacher"
CASES = 60

# Today's model: $2 a million tokens, cached $0.50, output $8. A call: 1,000 tokens, 800 of them cached, 50 written.
# With its cache hits (200*2 + 800*0.5 + 50*8) / 1e6 = $0.0012, at list price (1000*2 + 50*8) / 1e6 = $0.0024.
TODAY_USAGE = Usage(input_tokens=1000, cached_tokens=800, output_tokens=50)
TODAY_USD, TODAY_LIST_USD = 0.0012, 0.0024
# The student's: $0.20, cached $0.05, output $0.80. A call: 600 tokens, 100 of them cached, 20 written.
# (500*0.2 + 100*0.05 + 20*0.8) / 1e6 = $0.000121, at list price (600*0.2 + 20*0.8) / 1e6 = $0.000136.
STUDENT_USAGE = Usage(input_tokens=600, cached_tokens=100, output_tokens=20)


class Priced(Scripted):
    """A script that charges."""

    def price(self, usage: Usage) -> Cost:
        cached = usage.cached_tokens or 0
        plain = (usage.input_tokens or 0) - cached
        return Cost(usd=(plain * 0.2 + cached * 0.05 + (usage.output_tokens or 0) * 0.8) / 1e6, basis="test")


def truth(ticket: str) -> dict[str, str]:
    return {"queue": "bug" if "crash" in ticket else "billing", "quote": "x"}


def student() -> Priced:
    def answer(request: Request) -> Completion:
        message = Message.of("assistant", json.dumps(truth(request.key.input["ticket"])))
        cost = Priced().price(STUDENT_USAGE)
        return Completion(message=message, stop="stop", model="m", usage=STUDENT_USAGE, cost=cost, latency_s=0.1)

    return Priced(default=answer, name=STUDENT)


def teacher() -> Scripted:
    return Scripted(default=lambda request: truth(request.key.input["ticket"]), name=TEACHER)


def write_suite(root: Path, *, labels: bool = True, missing: int = 0, wrong: int = 6, recorded: bool = False) -> Path:
    """Today's model is right but on the first ``wrong`` cases; of the last ``missing`` there is no record."""
    folder = root / "evals"
    folder.mkdir(exist_ok=True)
    cases, answers = [], []
    for number in range(CASES):
        ticket = f"{'crash' if number % 2 else 'charged'} {number}"
        case: dict[str, Any] = {"id": f"c{number}", "input": {"ticket": ticket}, "split": "test"}
        cases.append({**case, "expected": truth(ticket)} if labels else case)
        said = truth(ticket if number >= wrong else "crash" if number % 2 == 0 else "charged")
        if number < CASES - missing:
            answers.append(
                TodayAnswer(
                    case=f"c{number}",
                    text=said["queue"],
                    output=said,
                    model="gpt-6-luna",
                    usage=TODAY_USAGE,
                    usd=TODAY_USD,
                    list_usd=TODAY_LIST_USD,
                    latency_s=2.0,
                )
            )
    (folder / "ticket-triage.jsonl").write_text("".join(json.dumps(case) + "\n" for case in cases))
    (folder / "ticket-triage.today.jsonl").write_text("".join(today_lines(answers)))
    path = folder / "ticket-triage.yaml"
    path.write_text(
        "schema: skillforge/suite/v1\nname: ticket-triage\ndecision: {metric: /queue, margin: 0.1}\n"
        "cases: file://ticket-triage.jsonl\ntoday: file://ticket-triage.today.jsonl\n"
    )
    return path


def measure(forge: Any, **more: Any) -> EvalReport:
    report: EvalReport = forge.eval("ticket-triage", students=[STUDENT], arms=ARMS, **more)
    return report


@pytest.fixture
def forge(repo, skill_in, forge_at):
    skill_in(repo)
    return forge_at(repo, providers={STUDENT: student(), TEACHER: teacher()})


def test_today_stands_beside_the_others_with_both_savings_to_the_cent(repo, forge):
    write_suite(repo)
    report = measure(forge, teacher=TEACHER)
    assert [arm.kind for arm in report.arms] == ["today", "no-model", "bare", "skill"]
    today, skill = report.arms[0], report.arms[-1]
    assert (report.today, today.student, today.model) == ("today", "today (gpt-6-luna)", "gpt-6-luna")
    assert (today.quality, today.n, today.errors, today.p50_s) == (0.9, CASES, 0, 2.0)
    assert today.usd_per_1000 == pytest.approx(1.20)
    assert today.list_usd_per_1000 == pytest.approx(2.40)
    assert skill.usd_per_1000 == pytest.approx(0.121)
    assert skill.list_usd_per_1000 == pytest.approx(0.136)
    versus = skill.versus_today
    assert versus is not None
    assert versus.saving_real == pytest.approx(1 - 0.121 / 1.20)
    assert versus.saving_list == pytest.approx(1 - 0.136 / 2.40)
    assert versus.saved_usd_per_1000 == pytest.approx(1.079)
    assert versus.difference == pytest.approx(0.1)
    assert today.versus_today is None
    assert today.versus_teacher is not None
    assert (report.verdict, skill.versus_teacher and skill.versus_teacher.verdict) == ("pass", "pass")


def test_what_the_program_paid_is_no_cost_of_the_eval_and_who_wrote_the_skill_is_not_known(repo, forge):
    write_suite(repo)
    report = measure(forge, teacher=TEACHER)
    assert report.cost_usd == pytest.approx(2 * CASES * 0.000121)
    assert (report.made_usd, report.repaid_after) == (None, {})


def test_a_suite_that_holds_today_is_a_recorded_teacher_and_it_is_one_row(repo, forge):
    write_suite(repo)
    report = measure(forge, teacher="recorded")
    assert [arm.kind for arm in report.arms] == ["no-model", "bare", "skill"]
    assert (report.today, report.teacher.student, report.teacher.kind) == ("teacher", "today (gpt-6-luna)", "teacher")
    assert report.teacher.usd_per_1000 == pytest.approx(1.20)
    skill = report.arms[-1]
    assert skill.versus_today is not None
    assert skill.versus_teacher is not None
    assert skill.versus_today.saving_real == pytest.approx(skill.versus_teacher.saving)
    (evidence,) = forge.evidence(forge.show("ticket-triage"))
    assert (evidence.teacher, evidence.teacher_identity[:6]) == ("recorded", "today ")


def test_without_labels_there_is_agreement_alone(repo, forge):
    write_suite(repo, labels=False)
    report = measure(forge, teacher="recorded")
    skill = report.arms[-1]
    assert (report.reference, report.teacher.quality, skill.quality) == ("teacher", 1.0, 0.9)
    assert skill.versus_today is not None
    assert skill.versus_teacher is not None
    assert (skill.versus_teacher.verdict, skill.versus_today.difference) == ("inconclusive", None)
    assert skill.versus_today.saving_real == pytest.approx(1 - 0.121 / 1.20), "what it saves is known all the same"


def test_a_case_that_was_not_recorded_is_no_error_of_today(repo, skill_in, forge_at):
    said: list[str] = []
    skill_in(repo)
    write_suite(repo, missing=10)
    forge = forge_at(repo, providers={STUDENT: student(), TEACHER: teacher()}, say=said.append)
    report = measure(forge, teacher=TEACHER)
    today, skill = report.arms[0], report.arms[-1]
    assert (today.n, today.errors, skill.n, report.teacher.n) == (50, 0, CASES, CASES)
    assert skill.versus_today is not None
    assert skill.versus_today.n == 50
    assert report.verdict == "pass"
    assert any("no answer to 10 of 60 cases" in line for line in said)


def test_students_are_not_asked_what_a_recorded_teacher_cannot_answer(repo, skill_in, forge_at):
    said: list[str] = []
    skill_in(repo)
    write_suite(repo, missing=10)
    forge = forge_at(repo, providers={STUDENT: student()}, say=said.append)
    report = measure(forge, teacher="recorded")
    assert (report.cases, report.teacher.n, report.arms[-1].n) == (50, 50, 50)
    assert any("10 cases left out" in line for line in said)


def test_a_suite_whose_answers_are_all_gone_says_so(repo, forge):
    write_suite(repo, missing=CASES)
    with pytest.raises(UsageError, match="no case has a recorded answer"):
        measure(forge, teacher="recorded")


def test_the_same_again_asks_nothing_and_is_no_new_evidence(repo, forge, forge_at):
    write_suite(repo)
    first = measure(forge, teacher=TEACHER)
    mute = {name: Scripted(name=name) for name in (STUDENT, TEACHER)}
    again = measure(forge_at(repo, providers=mute), teacher=TEACHER)
    assert again.reused == again.samples == first.samples
    assert again.arms[0] == first.arms[0]
    assert len(forge.evidence(forge.show("ticket-triage"))) == 1


def test_other_recorded_answers_are_measured_anew(repo, forge):
    write_suite(repo)
    assert measure(forge, teacher=TEACHER).arm("today").quality == 0.9
    write_suite(repo, wrong=30)
    assert measure(forge, teacher=TEACHER).arm("today").quality == 0.5
    assert len(forge.evidence(forge.show("ticket-triage"))) == 2


def test_an_estimate_counts_no_call_for_today(repo, forge):
    write_suite(repo)
    estimate = forge.estimate_eval("ticket-triage", students=[STUDENT], arms=ARMS, teacher="recorded")
    assert [expense.what for expense in estimate.expenses] == [f"{STUDENT} bare", f"{STUDENT} + skill"]


def test_a_list_price_that_a_recording_cannot_tell_stays_unknown(repo, skill_in, forge_at, tmp_path):
    from skillforge.forge.session import Terms

    skill_in(repo)
    write_suite(repo)
    folder = tmp_path / "rec"
    measure(forge_at(repo, providers={STUDENT: student()}), teacher="recorded", terms=Terms(record=folder))
    (repo / ".skillforge" / "registry.db").unlink()
    replayed = measure(forge_at(repo, providers={}), teacher="recorded", terms=Terms(replay=folder))
    skill = replayed.arms[-1]
    assert skill.usd_per_1000 == pytest.approx(0.121)
    assert skill.list_usd_per_1000 is None
    assert skill.versus_today is not None
    assert skill.versus_today.saving_list is None
    assert skill.versus_today.saving_real == pytest.approx(1 - 0.121 / 1.20)


@pytest.mark.parametrize("wrong", ['"usd": 1e999', '"latency_s": 1e999', '"model": 3', '"price": 1', '"usd": "dear"'])
def test_a_file_of_answers_that_cannot_be_is_refused_with_its_line(repo, forge, wrong):
    path = write_suite(repo).with_name("ticket-triage.today.jsonl")
    first, *rest = path.read_text().splitlines()
    path.write_text("\n".join([first, '{"case": "x", "text": "", ' + wrong + "}", *rest]))
    with pytest.raises(SkillFileError, match=r"today\.jsonl:2: "):
        measure(forge, teacher=TEACHER)
