from __future__ import annotations

from collections import Counter
from typing import Any

import anyio
import pytest

from skillforge.case import Case, Decision
from skillforge.engine.execute import PromptExecutor
from skillforge.errors import InvalidInput, ProviderError, StoreError, UsageError
from skillforge.evals.arms import Arm, build_arms
from skillforge.evals.evaluate import Table, evaluate
from skillforge.messages import Request
from skillforge.providers.scripted import Scripted
from skillforge.redact import Redactor
from skillforge.skill import Skill
from skillforge.store.runs import RunLog
from skillforge.store.samples import SampleLog

GOOD = {"queue": "bug", "quote": "x"}


@pytest.fixture
def journal(db):
    return SampleLog(db, RunLog(db, Redactor({})))


def arms_of(skill: Skill, student: Any, teacher: Any = None) -> list[Arm]:
    teacher = teacher or Scripted(default=GOOD, name="teacher")
    return build_arms(
        skill, Decision(metric="/queue"), PromptExecutor(teacher, role="solve"), [PromptExecutor(student)]
    )


class Watch:
    def __init__(self) -> None:
        self.seen: list[tuple[str, str, bool]] = []

    def __call__(self, arm: Arm, sample: Any, reused: bool) -> None:
        assert sample.arm == arm.name
        self.seen.append((arm.kind, sample.case_id, reused))


def run(arms: list[Arm], cases: list[Case], journal: SampleLog, watch: Any = None) -> Table:
    return anyio.run(evaluate, arms, cases, journal, watch or Watch())


def asked(provider: Scripted) -> list[str]:
    return sorted(request.key.input["ticket"] for request in provider.seen)


def test_every_arm_answers_every_case_and_is_reported(triage, tickets, journal):
    student, watch = Scripted(default=GOOD, name="s"), Watch()
    arms = arms_of(triage(), student)
    cases = tickets("a", "b", "c")
    table = run(arms, cases, journal, watch)
    assert list(table) == [arm.name for arm in arms]
    assert all(sorted(samples) == ["t1", "t2", "t3"] for samples in table.values())
    assert Counter(kind for kind, _, _ in watch.seen) == {"teacher": 3, "no-model": 3, "bare": 3, "skill": 3}
    assert not any(reused for _, _, reused in watch.seen)
    assert len(student.seen) == 6


def test_a_second_run_pays_for_nothing_and_finds_the_same(triage, tickets, journal):
    cases = tickets("a", "b", "c")
    first = run(arms_of(triage(), Scripted(default=GOOD, name="s")), cases, journal)
    silent, teacher, watch = Scripted(name="s"), Scripted(name="teacher"), Watch()
    second = run(arms_of(triage(), silent, teacher), cases, journal, watch)
    assert (silent.seen, teacher.seen) == ([], [])
    assert all(reused for _, _, reused in watch.seen)
    for arm, samples in first.items():
        for case_id, sample in samples.items():
            again = second[arm][case_id]
            assert (again.run.output, again.run.status, again.run.usage) == (
                sample.run.output,
                sample.run.status,
                sample.run.usage,
            )


def test_more_cases_cost_only_the_new_ones(triage, tickets, journal):
    run(arms_of(triage(), Scripted(default=GOOD, name="s")), tickets("a", "b"), journal)
    student = Scripted(default=GOOD, name="s")
    run(arms_of(triage(), student), tickets("b", "c", "a"), journal)
    assert asked(student) == ["c", "c"]  # bare and with the skill


def test_another_skill_keeps_the_teacher_and_bare_answers(triage, tickets, journal):
    run(arms_of(triage(), Scripted(default=GOOD, name="s")), tickets("a"), journal)
    student, teacher = Scripted(default=GOOD, name="s"), Scripted(name="teacher")
    run(arms_of(triage(instructions="Better."), student, teacher), tickets("a"), journal)
    assert teacher.seen == []
    assert [request.messages[0].text.startswith("Better.") for request in student.seen] == [True]


def test_errors_are_kept_apart_and_asked_again(triage, tickets, journal):
    def answer(request: Request) -> Any:
        if request.key.input["ticket"] == "b":
            raise ProviderError("busy")
        return GOOD

    cases = tickets("a", "b", "c")
    table = run(arms_of(triage(), Scripted(default=answer, name="s")), cases, journal)
    assert {case_id: sample.status for case_id, sample in table["s + skill"].items()} == {
        "t1": "ok",
        "t2": "error",
        "t3": "ok",
    }
    student = Scripted(default=GOOD, name="s")
    table = run(arms_of(triage(), student), cases, journal)
    assert asked(student) == ["b", "b"]
    assert {sample.status for sample in table["s + skill"].values()} == {"ok"}


def test_a_wrong_answer_is_a_sample_and_not_an_error(triage, tickets, journal):
    table = run(arms_of(triage(), Scripted(default="nonsense", name="s")), tickets("a"), journal)
    sample = table["s bare"]["t1"]
    assert (sample.status, sample.run.status, sample.run.output) == ("ok", "failed", None)


def test_a_killed_eval_keeps_every_finished_sample(triage, tickets, journal):
    cases = tickets(*"abcdefgh")

    class Killed(BaseException):
        pass

    class Kill(Watch):
        def __call__(self, arm: Arm, sample: Any, reused: bool) -> None:
            super().__call__(arm, sample, reused)
            if len(self.seen) == 9:
                raise Killed

    first, watch = Scripted(default=GOOD, name="s"), Kill()
    first.concurrency = 1  # type: ignore[misc]
    with pytest.raises(BaseException):  # noqa: B017, PT011 - a kill may arrive in a group
        run(arms_of(triage(), first), cases, journal, watch)
    second = Scripted(default=GOOD, name="s")
    run(arms_of(triage(), second), cases, journal)
    done = [kind for kind, _, _ in watch.seen if kind in ("bare", "skill")]
    assert len(second.seen) == 16 - len(done)
    assert len(first.seen) + len(second.seen) <= 16 + 1  # at most the call in flight is paid twice


def test_arms_that_share_a_model_come_equally_far(triage, tickets, journal):
    student, watch = Scripted(default=GOOD, name="s", latency_ms=1), Watch()
    student.concurrency = 1  # type: ignore[misc]
    run(arms_of(triage(), student), tickets(*"abcdefghij"), journal, watch)
    ahead = 0
    for kind, _, _ in watch.seen:
        ahead += {"bare": 1, "skill": -1}.get(kind, 0)
        assert abs(ahead) <= 1


def test_arms_that_share_a_model_share_its_concurrency(triage, tickets, journal):
    class Counting(Scripted):
        concurrency = 3
        busy = most = 0

        async def complete(self, request: Request) -> Any:
            self.busy += 1
            self.most = max(self.most, self.busy)
            try:
                return await super().complete(request)
            finally:
                self.busy -= 1

    student = Counting(default=GOOD, name="s", latency_ms=1)
    run(arms_of(triage(), student), tickets(*"abcdefghij"), journal)
    assert student.most == 3


def test_an_input_that_does_not_fit_is_raised_as_it_is(triage, journal):
    with pytest.raises(InvalidInput, match="ticket"):
        run(arms_of(triage(), Scripted(default=GOOD)), [Case(id="a", input={"mail": "x"})], journal)


def test_a_store_that_fails_is_raised_as_it_is(triage, tickets, journal, db):
    db.execute("DROP TABLE samples")
    with pytest.raises(StoreError):
        run(arms_of(triage(), Scripted(default=GOOD)), tickets("a"), journal)


def test_samples_stand_in_the_order_of_the_cases_however_they_arrive(triage, tickets, journal):
    class Backwards(Scripted):
        async def complete(self, request: Request) -> Any:
            await anyio.sleep(0.02 - 0.004 * int(request.key.input["ticket"]))
            return await super().complete(request)

    arms, watch = arms_of(triage(), Backwards(default=GOOD, name="s")), Watch()
    table = run(arms, tickets(*"01234"), journal, watch)
    assert [case_id for kind, case_id, _ in watch.seen if kind == "skill"] == ["t5", "t4", "t3", "t2", "t1"]
    assert all(list(samples) == ["t1", "t2", "t3", "t4", "t5"] for samples in table.values())


def test_no_arms_and_no_cases_give_nothing(triage, journal):
    assert run([], [], journal) == {}
    assert set(map(len, run(arms_of(triage(), Scripted()), [], journal).values())) == {0}


def test_equal_inputs_are_asked_once_and_answer_every_case(triage, tickets, journal):
    student = Scripted(default=GOOD, name="s")
    cases = tickets("a", "a", "b")
    first = run(arms_of(triage(), student), cases, journal)
    assert asked(student) == ["a", "a", "b", "b"], "bare and skill, each input once"
    again = run(arms_of(triage(), student), cases, journal)
    assert {name: list(found) for name, found in again.items()} == {name: list(found) for name, found in first.items()}
    assert len(student.seen) == 4, "and an equal input is no reason to pay again"


def test_two_students_of_one_name_are_refused(triage):
    same = [PromptExecutor(Scripted(default=GOOD)), PromptExecutor(Scripted(default="x"))]
    with pytest.raises(UsageError, match="two students have one name"):
        build_arms(triage(), Decision(metric="/queue"), PromptExecutor(Scripted(name="t")), same)
