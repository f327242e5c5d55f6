from __future__ import annotations

import anyio
import pytest

from skillforge.case import Case
from skillforge.engine.solve import SOLVE_FRAME, SOLVE_TOKENS, solve, trace_key
from skillforge.errors import ProviderError
from skillforge.messages import Completion, Message, Request
from skillforge.providers.scripted import Scripted
from skillforge.redact import Redactor
from skillforge.store.traces import TraceLog

TASK = "Route one ticket."


@pytest.fixture
def journal(db):
    return TraceLog(db, Redactor({}))


def run(cases, teacher, journal, task=TASK):
    seen = []
    traces = anyio.run(solve, task, cases, teacher, journal, seen.append)
    assert sorted(trace.case_id for trace in seen) == sorted(case.id for case in cases)
    return traces


def answers_except(*failing):
    def answer(request: Request):
        if request.key.input["ticket"] in failing:
            raise ProviderError("busy")
        return {"queue": request.key.input["ticket"].upper()}

    return answer


def test_traces_come_in_the_order_of_the_cases_with_all_that_was_said(journal, tickets):
    teacher = Scripted(default=answers_except())
    traces = run(tickets("b", "a", "c"), teacher, journal)
    assert [trace.output for trace in traces] == [{"queue": "B"}, {"queue": "A"}, {"queue": "C"}]
    assert [(message.role, message.text) for message in traces[0].messages] == [
        ("system", f"{TASK}\n{SOLVE_FRAME}"),
        ("user", "ticket: b"),
        ("assistant", '{"queue": "B"}'),
    ]
    assert {(request.key.role, request.key.task, request.max_output_tokens) for request in teacher.seen} == {
        ("solve", TASK, SOLVE_TOKENS)
    }


def test_a_second_try_asks_only_for_the_rest(journal, tickets):
    cases = tickets("a", "b", "c", "d")
    first = run(cases, Scripted(default=answers_except("b", "d")), journal)
    assert [trace.error for trace in first] == ["", "busy", "", "busy"]
    teacher = Scripted(default=answers_except())
    second = run(cases, teacher, journal)
    assert sorted(request.key.input["ticket"] for request in teacher.seen) == ["b", "d"]
    assert [trace.output["queue"] for trace in second] == ["A", "B", "C", "D"]
    assert [second[0], second[2]] == [first[0], first[2]]
    rest = Scripted()
    assert run(cases, rest, journal) == second
    assert rest.seen == []


def test_a_known_input_keeps_the_id_it_is_asked_under(journal):
    run([Case(id="a", input={"ticket": "x"})], Scripted(default=answers_except()), journal)
    (trace,) = run([Case(id="b", input={"ticket": "x"})], Scripted(), journal)
    assert (trace.case_id, trace.output) == ("b", {"queue": "X"})


def test_another_task_teacher_or_input_is_another_question():
    key = trace_key(Scripted(name="t"), TASK, {"ticket": "x"})
    assert key == trace_key(Scripted(name="t", latency_ms=5), TASK, {"ticket": "x"})
    assert len({key, trace_key(Scripted(name="u"), TASK, {"ticket": "x"}), trace_key(Scripted(name="t"), "B", {})}) == 3
    assert key != trace_key(Scripted(name="t"), TASK, {"ticket": "y"})


def test_free_text_stays_text_and_values_are_shown_as_json(journal):
    teacher = Scripted(["  Dear customer  "])
    (trace,) = run([Case(id="a", input={"n": [1, "ä"], "t": "x"})], teacher, journal)
    assert (trace.output, trace.error) == ("Dear customer", "")
    assert teacher.seen[0].messages[1].text == 'n: [1, "ä"]\nt: x'


@pytest.mark.parametrize(
    ("text", "stop", "error"), [("half of", "length", "cut off at the limit"), (" ", "stop", "empty")]
)
def test_a_cut_off_or_empty_answer_is_no_solution_and_is_not_kept(journal, tickets, text, stop, error):
    reply = Completion(message=Message.of("assistant", text), stop=stop, model="m")
    (trace,) = run(tickets("a"), Scripted([reply]), journal)
    assert error in trace.error
    again = Scripted(default=answers_except())
    run(tickets("a"), again, journal)
    assert len(again.seen) == 1
