from __future__ import annotations

from typing import Any

import anyio
import pytest

from skillforge.case import Case
from skillforge.engine.execute import PromptExecutor
from skillforge.engine.frame import bare_skill
from skillforge.engine.retold import sample_calls, trace_calls
from skillforge.engine.solve import solve
from skillforge.messages import Completion, Cost, Message, Request, Usage
from skillforge.providers.recorder import Recorder, replay_of
from skillforge.providers.scripted import Scripted
from skillforge.redact import Redactor
from skillforge.run import Attempt, Run
from skillforge.store.runs import RunLog
from skillforge.trace import Trace

GOOD = {"queue": "billing", "quote": "charged twice"}
GIVEN = {"ticket": "I was charged twice"}


class Watched(Scripted):
    """Keeps what was asked and answered, as a recorder beside the model would."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.calls: list[tuple[Request, Completion]] = []

    async def complete(self, request: Request) -> Completion:
        completion = await super().complete(request)
        self.calls.append((request, completion))
        return completion


def said(text: str, **more: Any) -> Completion:
    usage = Usage(input_tokens=7, cached_tokens=3, written_tokens=1, output_tokens=3, reasoning_tokens=2)
    cost = Cost(usd=0.5, basis="list")
    return Completion(
        message=Message.of("assistant", text), model="m", stop="stop", usage=usage, cost=cost, latency_s=1.5, **more
    )


def failing(request: Request) -> str:
    from skillforge.errors import ProviderError

    raise ProviderError("no answer")


def execute(skill: Any, student: Any, given: dict[str, Any] = GIVEN, role: str = "run") -> Run:
    return anyio.run(PromptExecutor(student, role=role).execute, skill, given)


@pytest.mark.parametrize("store_io", ["redacted", "full"])
@pytest.mark.parametrize("answers", [["{}", GOOD], [GOOD], ["", "still wrong"], [said("{}", calls=3), said("no")]])
def test_the_calls_of_a_stored_run_are_told_again(triage, db, store_io, answers):
    student = Watched(answers)
    log = RunLog(db, Redactor(), store_io)
    stored = log.get(log.add(execute(triage(), student), source="eval")).run
    assert sample_calls(triage(), GIVEN, stored, "run") == student.calls


def test_the_teacher_arm_is_told_again_in_its_own_role(triage):
    teacher = Watched([GOOD])
    run = execute(bare_skill(triage()), teacher, role="solve")
    assert sample_calls(bare_skill(triage()), GIVEN, run, "solve") == teacher.calls


def test_an_answer_that_was_cut_off_stays_one(triage):
    student = Watched([said('{"que').model_copy(update={"stop": "length"}), GOOD])
    run = execute(triage(), student)
    assert sample_calls(triage(), GIVEN, run, "run") == student.calls


def test_what_was_not_kept_is_not_told(triage, db):
    log = RunLog(db, Redactor(), "none")
    stored = log.get(log.add(execute(triage(), Watched(["{}", GOOD])), source="eval")).run
    assert len(stored.attempts) == 2
    assert sample_calls(triage(), GIVEN, stored, "run") == []


def test_a_run_without_a_call_or_an_answer_tells_nothing(triage):
    long = {"ticket": "x" * 100_000}
    run = execute(triage(), Watched([GOOD]), long)
    assert run.status == "escalated"
    assert sample_calls(triage(), long, run, "run") == []
    assert sample_calls(triage(), GIVEN, execute(triage(), Watched([failing])), "run") == []
    odd = run.model_copy(update={"attempts": (Attempt(kind="student", text="x"),)})  # how it stopped is not known
    assert sample_calls(triage(), GIVEN, odd, "run") == []


def test_a_repair_that_failed_leaves_the_first_call(triage):
    student = Watched(["{}", failing])
    run = execute(triage(), student)
    assert len(run.attempts) == 2
    assert sample_calls(triage(), GIVEN, run, "run") == student.calls
    assert len(student.calls) == 1


class Journal(dict[str, Trace]):
    def known(self, keys: Any) -> dict[str, Trace]:
        return {}

    def add(self, key: str, trace: Trace, teacher: str) -> None:
        self[key] = Trace.model_validate_json(trace.model_dump_json())


def test_the_call_behind_a_trace_is_told_again():
    teacher, journal = Watched([said('{"queue": "bug"}', calls=2), "free text"]), Journal()
    cases = [Case(id="1", input={"ticket": "a"}), Case(id="2", input={"ticket": "b", "n": [1]})]
    anyio.run(solve, "sort mail", cases, teacher, journal)
    told = [call for trace in journal.values() for call in trace_calls(trace)]
    assert told == teacher.calls


def test_an_unsolved_trace_tells_nothing():
    bare = Trace(case_id="1", task="t", input={})
    asked = (Message.of("user", "?"),)
    for trace in (bare, bare.model_copy(update={"error": "no"}), bare.model_copy(update={"messages": asked})):
        assert trace_calls(trace) == []


def test_a_resumed_recording_answers_the_whole_run_again(triage, tmp_path):
    run = execute(triage(), Watched(["{}", GOOD], name="m"))
    record = Recorder(tmp_path, clean=Redactor().value, clean_text=Redactor().text)
    for request, completion in sample_calls(triage(), GIVEN, run, "run"):
        record.add("m", request, completion)
    again = execute(triage(), replay_of(tmp_path, "m"))
    assert (again.output, again.attempts) == (run.output, run.attempts)
