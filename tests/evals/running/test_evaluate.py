from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import partial
from typing import Any

import anyio
import pytest

from skillforge.case import Case, Decision
from skillforge.engine.execute import PromptExecutor
from skillforge.engine.programs import own_executor
from skillforge.errors import InvalidInput, KeyRejected, LimitReached, ProviderError, ProviderStopped, StoreError
from skillforge.evals.answer import Answer, Table
from skillforge.evals.running.arms import Arm, Wanted, build_arms
from skillforge.evals.running.evaluate import evaluate, recall
from skillforge.evals.running.limits import Limits, Meter
from skillforge.messages import Request
from skillforge.providers.scripted import Scripted
from skillforge.redact import Redactor
from skillforge.sample import Sample
from skillforge.skill import Skill
from skillforge.store.runs import RunLog
from skillforge.store.samples import SampleLog

GOOD = {"queue": "bug", "quote": "x"}


KINDS = ("no-model", "bare", "skill")


class Journal:
    """The store's samples as an eval sees them, and how many were looked up at once."""

    def __init__(self, log: SampleLog) -> None:
        self._log = log
        self.most = 0

    def known(self, keys: Iterable[str]) -> dict[str, Sample]:
        listed = list(keys)
        self.most = max(self.most, len(listed))
        return self._log.known(listed)

    async def add(self, sample: Sample) -> Sample:
        self._log.add(sample)
        return sample


@pytest.fixture
def journal(db):
    return Journal(SampleLog(db, RunLog(db, Redactor({}))))


def arms_of(skill: Skill, *students: Any, teacher: Any = None, own: Any = (), **wanted: Any) -> list[Arm]:
    teacher = teacher or Scripted(default=GOOD, name="teacher")
    executors = [PromptExecutor(student) for student in students]
    wishes = Wanted(**{"kinds": KINDS, "own": own, **wanted})
    return build_arms(skill, Decision(metric="/queue"), PromptExecutor(teacher, role="solve"), executors, None, wishes)


class Watch:
    def __init__(self) -> None:
        self.seen: list[tuple[str, str, bool]] = []

    def __call__(self, arm: Arm, case_id: str, answer: Answer, reused: bool) -> None:
        self.seen.append((arm.kind, case_id, reused))


def run(arms: list[Arm], cases: list[Case], journal: Any, watch: Any = None, **options: Any) -> Table:
    return anyio.run(partial(evaluate, arms, cases, journal, watch or Watch(), **options))


def failing(why: str, error: type[ProviderError] = ProviderError) -> Any:
    def answer(request: Request) -> Any:
        raise error(why)

    return answer


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
    second = run(arms_of(triage(), silent, teacher=teacher), cases, journal, watch)
    assert (silent.seen, teacher.seen) == ([], [])
    assert all(reused for _, _, reused in watch.seen)
    assert second == first


def test_more_cases_cost_only_the_new_ones(triage, tickets, journal):
    run(arms_of(triage(), Scripted(default=GOOD, name="s")), tickets("a", "b"), journal)
    student = Scripted(default=GOOD, name="s")
    run(arms_of(triage(), student), tickets("b", "c", "a"), journal)
    assert asked(student) == ["c", "c"]  # bare and with the skill


def test_another_skill_keeps_the_teacher_and_bare_answers(triage, tickets, journal):
    run(arms_of(triage(), Scripted(default=GOOD, name="s")), tickets("a"), journal)
    student, teacher = Scripted(default=GOOD, name="s"), Scripted(name="teacher")
    run(arms_of(triage(instructions="Better."), student, teacher=teacher), tickets("a"), journal)
    assert teacher.seen == []
    assert [request.messages[0].text.startswith("Better.") for request in student.seen] == [True]


def test_errors_are_kept_apart_and_asked_again(triage, tickets, journal):
    def answer(request: Request) -> Any:
        if request.key.input["ticket"] == "b":
            raise ProviderError("busy")
        return GOOD

    cases = tickets("a", "b", "c")
    table = run(arms_of(triage(), Scripted(default=answer, name="s")), cases, journal)
    assert {case_id: answer.status for case_id, (answer,) in table["s + skill"].items()} == {
        "t1": "ok",
        "t2": "error",
        "t3": "ok",
    }
    student = Scripted(default=GOOD, name="s")
    table = run(arms_of(triage(), student), cases, journal)
    assert asked(student) == ["b", "b"]
    assert {answer.status for (answer,) in table["s + skill"].values()} == {"ok"}


def test_a_wrong_answer_is_a_sample_and_not_an_error(triage, tickets, journal):
    table = run(arms_of(triage(), Scripted(default="nonsense", name="s")), tickets("a"), journal)
    (answer,) = table["s bare"]["t1"]
    assert (answer.status, answer.run_status, answer.output) == ("ok", "failed", None)


def test_a_killed_eval_keeps_every_finished_sample(triage, tickets, journal):
    cases = tickets(*"abcdefgh")

    class Killed(BaseException):
        pass

    class Kill(Watch):
        def __call__(self, *told: Any) -> None:
            super().__call__(*told)
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


def test_a_repeated_answer_is_asked_for_and_never_taken_from_the_first(triage, tickets, journal):
    answers = iter([GOOD, {"queue": "billing", "quote": "x"}, GOOD])
    student = Scripted(default=lambda request: next(answers), name="s")
    arms = arms_of(triage(), student, kinds=("skill",), repeat=3)
    table = run(arms, tickets("a"), journal, repeat=3)
    assert [answer.output["queue"] for answer in table["s + skill"]["t1"]] == ["bug", "billing", "bug"]
    assert [request.key.role for request in student.seen] == ["run", "run#2", "run#3"]
    again = run(arms_of(triage(), Scripted(name="s"), kinds=("skill",), repeat=3), tickets("a"), journal, repeat=3)
    assert again == table
    assert run(arms, tickets("a"), journal, repeat=1) == {name: {"t1": row["t1"][:1]} for name, row in table.items()}


def test_the_second_pass_asks_the_teacher_alone_again(triage, tickets, journal):
    teacher, student = Scripted(default=GOOD, name="teacher"), Scripted(default=GOOD, name="s")
    arms = arms_of(triage(), student, teacher=teacher, kinds=("skill",), again=True, repeat=2)
    run(arms, tickets("a", "b"), journal, repeat=2)
    roles = Counter(request.key.role for request in teacher.seen)
    assert roles == {"solve": 2, "solve#2": 2, "solve#3": 2, "solve#4": 2}
    assert len(student.seen) == 4


def test_what_can_only_repeat_itself_answers_once(triage, tickets, journal):
    table = run(arms_of(triage(), repeat=3), tickets("a"), journal, repeat=3)
    assert {name: len(answers["t1"]) for name, answers in table.items()} == {"teacher": 3, "no-model": 1}


def test_known_samples_are_looked_up_in_parts(triage, tickets, journal, monkeypatch):
    monkeypatch.setattr("skillforge.evals.running.evaluate._AT_ONCE", 7)
    cases = tickets(*map(str, range(20)))
    first = run(arms_of(triage(), Scripted(default=GOOD, name="s")), cases, journal)
    arms, watch = arms_of(triage(), Scripted(name="s")), Watch()
    assert run(arms, cases, journal, watch) == first
    assert recall(arms, cases, journal, watch) == first
    assert journal.most <= 7


def test_recalling_leaves_out_what_is_not_whole_and_asks_nobody(triage, tickets, journal):
    student = Scripted(default=GOOD, name="s")
    run(arms_of(triage(), student, repeat=2), tickets("a"), journal, repeat=2)
    run(arms_of(triage(), student), tickets("b"), journal)
    seen = len(student.seen)
    table = recall(arms_of(triage(), student, repeat=2), tickets("a", "b"), journal, Watch(), 2)
    assert list(table["s + skill"]) == ["t1"]
    assert len(student.seen) == seen


def test_too_many_errors_stop_the_eval_and_what_was_measured_is_kept(triage, tickets, journal):
    numbers = iter(range(100))
    student = Scripted(default=lambda request: failing(f"lost {next(numbers)}")(request), name="s")
    student.concurrency = 1  # type: ignore[misc]
    cases, watch = tickets(*"abcdefgh"), Watch()
    with pytest.raises(LimitReached, match=r"3 errors in .* the last: lost 2") as caught:
        run(arms_of(triage(), student), cases, journal, watch, meter=Meter(Limits(max_errors=3)))
    assert "--max-errors" in caught.value.hint
    assert len(student.seen) == 3
    again = Scripted(default=GOOD, name="s")
    later = Watch()
    run(arms_of(triage(), again), cases, journal, later)
    assert len(again.seen) == 16
    assert sum(reused for _, _, reused in later.seen) == len(watch.seen) - 3


def test_after_the_time_limit_no_call_is_made(triage, tickets, journal):
    student = Scripted(default=GOOD, name="s", latency_ms=30)
    student.concurrency = 1  # type: ignore[misc]
    with pytest.raises(LimitReached, match=r"time limit of 0\.1 s") as caught:
        run(arms_of(triage(), student), tickets(*"abcdefgh"), journal, meter=Meter(Limits(time_s=0.1)))
    assert "every answer is kept" in caught.value.hint
    assert 1 <= len(student.seen) <= 5
    known = run(arms_of(triage(), Scripted(default=GOOD, name="s")), tickets(*"abcdefgh"), journal)
    still = run(arms_of(triage(), Scripted(name="s")), tickets(*"abcdefgh"), journal, meter=Meter(Limits(time_s=0)))
    assert still == known, "what is known takes no time"


def test_a_model_that_keeps_failing_stops_its_own_arms_only(triage, tickets, journal):
    dead = Scripted(default=failing("dead said the same 5 times", ProviderStopped), name="dead")
    alive, watch = Scripted(default=GOOD, name="alive"), Watch()
    table = run(arms_of(triage(), dead, alive), tickets(*"abc"), journal, watch)
    assert {answer.status for (answer,) in table["alive + skill"].values()} == {"ok"}
    lost = [answer for (answer,) in table["dead + skill"].values()]
    assert {(answer.status, answer.reason, answer.usd) for answer in lost} == {
        ("error", "not asked: dead said the same 5 times", 0.0)
    }
    assert len(watch.seen) == 3 * 6, "what was not asked is told too"
    mended = Scripted(default=GOOD, name="dead")
    table = run(arms_of(triage(), mended, alive), tickets(*"abc"), journal)
    assert len(mended.seen) == 6, "and is asked the next time"
    assert {answer.status for (answer,) in table["dead + skill"].values()} == {"ok"}


@pytest.mark.parametrize("dead", ["teacher", "s"])
def test_without_the_teacher_or_without_anybody_beside_it_the_eval_stops(triage, tickets, journal, dead):
    models = {"teacher": Scripted(default=GOOD, name="teacher"), "s": Scripted(default=GOOD, name="s")}
    models[dead] = Scripted(default=failing("the same again", ProviderStopped), name=dead)
    with pytest.raises(ProviderStopped, match="the same again"):
        run(arms_of(triage(), models["s"], teacher=models["teacher"]), tickets(*"abc"), journal)


def test_a_refused_key_stops_everything(triage, tickets, journal):
    refused = Scripted(default=failing("no such key", KeyRejected), name="s")
    with pytest.raises(KeyRejected):
        run(arms_of(triage(), refused, Scripted(default=GOOD, name="other")), tickets(*"abc"), journal)


def test_a_program_that_fails_the_same_way_again_and_again_is_stopped(triage, tickets, journal):
    calls = []

    def broken(given: dict[str, Any]) -> Any:
        calls.append(given)
        raise RuntimeError(f"no table at {len(calls)}")

    mine = own_executor("mine", broken)
    table = run(arms_of(triage(), Scripted(default=GOOD, name="s"), own=[mine]), tickets(*"abcdefghijklmnop"), journal)
    reasons = Counter(answer.reason.partition(":")[0] for (answer,) in table["mine"].values())
    assert set(reasons) == {"mine", "not asked"}
    assert 5 <= len(calls) <= 5 + mine.concurrency
    assert {answer.status for (answer,) in table["s + skill"].values()} == {"ok"}
