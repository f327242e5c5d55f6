from __future__ import annotations

from typing import Any

import anyio
import pytest

from skillforge.case import Case
from skillforge.engine.recorded import RecordedExecutor
from skillforge.errors import UsageError
from skillforge.messages import Usage
from skillforge.run import Run
from skillforge.today import TodayAnswer

GOOD = '{"queue": "bug", "quote": "x"}'
CASES = [Case(id=f"c{number}", input={"ticket": str(number)}) for number in range(3)]


def today(*answers: TodayAnswer) -> RecordedExecutor:
    return RecordedExecutor.of(CASES, {answer.case: answer for answer in answers})


def answered(triage: Any, answer: TodayAnswer, **changes: Any) -> Run:
    executor = today(answer)

    async def run() -> Run:
        return await executor.execute(triage(**changes), CASES[0].input)

    return anyio.run(run)


def test_an_answer_is_told_as_it_was_recorded(triage):
    usage = Usage(input_tokens=100, cached_tokens=80, output_tokens=5)
    answer = TodayAnswer(
        case="c0", text=GOOD, model="gpt-6-luna", usage=usage, usd=0.1, list_usd=0.3, basis="list", latency_s=1.5
    )
    run = answered(triage, answer)
    assert (run.status, run.output, run.reason) == ("ok", {"queue": "bug", "quote": "x"}, "")
    assert run.input == {"ticket": "0", "locale": "en"}, "defaults are filled in as for any other arm"
    assert (run.student, run.model, run.usage, run.latency_s) == ("today (gpt-6-luna)", "gpt-6-luna", usage, 1.5)
    assert (run.cost.usd, run.cost.basis, run.cost.estimated) == (0.1, "list", False)
    assert run.list_usd == 0.3
    assert len(run.attempts) == 1


def test_what_the_program_asked_for_in_another_form_was_converted_with_the_suite(triage):
    assert answered(triage, TodayAnswer(case="c0", text="bug", output={"queue": "bug", "quote": ""})).ok
    assert answered(triage, TodayAnswer(case="c0", text="Bug!", output="bug"), output="text").output == "bug"
    run = answered(triage, TodayAnswer(case="c0", text="bug", output={"queue": "garden", "quote": ""}))
    assert (run.status, run.output) == ("failed", None)
    assert "garden" in run.reason


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"text": "no idea"}, "not a JSON object"),
        ({"text": '{"queue": "bug", "quo', "stop": "length"}, "cut off"),
        ({"text": '{"queue": "bug", "quo', "stop": "max_tokens"}, "cut off"),
        ({"text": "I cannot", "stop": "refusal"}, "refused"),
    ],
)
def test_an_answer_that_is_none_is_wrong_not_an_error(triage, answer, reason):
    run = answered(triage, TodayAnswer(case="c0", **answer))
    assert run.status == "failed"
    assert reason in run.reason


def test_a_whole_object_is_an_answer_even_where_the_text_was_cut_after_it(triage):
    assert answered(triage, TodayAnswer(case="c0", text=GOOD + " and fur", stop="length")).ok
    assert not answered(triage, TodayAnswer(case="c0", text="and fur", stop="length"), output="text").ok


def test_only_what_was_recorded_is_covered(triage):
    executor = today(TodayAnswer(case="c1", text=GOOD))
    assert [executor.covers(case) for case in CASES] == [False, True, False]
    with pytest.raises(UsageError, match="no recorded answer"):
        answered(triage, TodayAnswer(case="c1", text=GOOD))


def test_the_student_is_the_model_that_answered_most_and_its_name_does_no_harm():
    def named(*models: str) -> str:
        return today(*(TodayAnswer(case=f"c{n}", text="", model=model) for n, model in enumerate(models))).student

    assert named("a", "b", "b") == "today (b and 1 more)"
    assert named("", "", "") == "today"
    assert named("\x1b[31mred\n") == "today ([31mred)"
    assert len(named("x" * 500)) < 100


def test_another_answer_usage_or_price_is_another_identity():
    answer = TodayAnswer(case="c0", text=GOOD, usd=0.1)
    same = TodayAnswer(case="c0", text=GOOD, usd=0.1)
    assert today(answer).identity == today(same).identity
    changes: list[dict[str, Any]] = [{"text": "x"}, {"usd": 0.2}, {"usage": Usage(input_tokens=1)}, {"text": "\ud800"}]
    others = {today(answer.model_copy(update=change)).identity for change in changes}
    assert len(others | {today(answer).identity}) == 5


def test_of_equal_inputs_the_first_answer_stands_for_all(triage):
    twins = [Case(id="a", input={"ticket": "0"}), Case(id="b", input={"ticket": "0"})]
    answers = {"a": TodayAnswer(case="a", text=GOOD), "b": TodayAnswer(case="b", text="other")}
    assert RecordedExecutor.of(twins, answers).covers(twins[1])
    assert [answer.case for answer in RecordedExecutor.of(twins, answers).answers.values()] == ["a"]
