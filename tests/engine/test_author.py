from __future__ import annotations

import json
from typing import Any

import anyio
import pytest

from skillforge.canonical import digest
from skillforge.engine.author import INSTRUCTIONS, SHOWN_CHARS, Draft, author, author_request, read_draft
from skillforge.errors import ProviderError
from skillforge.messages import Completion, Cost, Message, Usage
from skillforge.providers.scripted import Scripted
from skillforge.trace import Trace

TASK = "Route one ticket to billing or bug."

BODY: dict[str, Any] = {
    "name": "ticket-triage",
    "description": "Routes one ticket.",
    "input": {"ticket": {"type": "string"}},
    "output": {"queue": {"enum": ["billing", "bug"]}},
    "instructions": "Choose.",
    "prompt": "{{ ticket }}",
    "examples": {"ids": ["t2"], "select": "nearest", "k": 3},
    "checks": [{"type": "not-contains", "value": "http://"}],
}


def traces(*pairs: tuple[str, Any]) -> list[Trace]:
    pairs = pairs or (("charged twice", "billing"), ("crash", "bug"))
    return [
        Trace(case_id=f"t{n}", task=TASK, input={"ticket": ticket}, output={"queue": queue})
        for n, (ticket, queue) in enumerate(pairs, start=1)
    ]


def draft(teacher: Scripted, solved: list[Trace] | None = None, name: str | None = None) -> Draft:
    async def main() -> Draft:
        return await author(TASK, solved or traces(), teacher, name=name)

    return anyio.run(main)


def body(**changes: Any) -> dict[str, Any]:
    return {**BODY, **changes}


def test_a_good_draft_takes_one_call(triage):
    teacher = Scripted(["Here it is:\n```json\n" + json.dumps(BODY) + "\n```"[:0]])
    made = draft(teacher)
    assert made.problems == ()
    skill = made.skill
    assert skill is not None
    assert (skill.name, skill.task, skill.examples.select, skill.examples.k) == ("ticket-triage", TASK, "nearest", 3)
    assert [(item.id, item.input, item.output) for item in skill.examples.items] == [
        ("t2", {"ticket": "crash"}, {"queue": "bug"})
    ]
    assert len(teacher.seen) == len(made.answers) == 1


def test_what_the_author_is_asked_and_known_by():
    request = author_request(TASK, traces())
    assert request.messages[0].text == INSTRUCTIONS
    assert request.messages[1].text == (
        f"TASK\n{TASK}\n\nBEGIN SOLVED INPUTS\n"
        '{"id": "t1", "input": {"ticket": "charged twice"}, "output": {"queue": "billing"}}\n'
        '{"id": "t2", "input": {"ticket": "crash"}, "output": {"queue": "bug"}}\nEND SOLVED INPUTS'
    )
    solved = [{"id": t.case_id, "input": t.input, "output": t.output} for t in traces()]
    assert request.key.model_dump() == {"role": "author", "task": TASK, "input": {"solved": digest(solved)}}


def test_a_bad_draft_is_repaired_once_with_the_exact_problems():
    wrong = body(prompt="{{ tickt }}", checks=[{"type": "contans", "value": "x"}])
    reply = Completion(
        message=Message.of("assistant", json.dumps(wrong)),
        stop="stop",
        model="m1",
        usage=Usage(input_tokens=5, output_tokens=5),
        cost=Cost(usd=1.0),
    )
    good = reply.model_copy(update={"message": Message.of("assistant", json.dumps(BODY)), "model": "m2"})
    teacher = Scripted([reply, good])
    made = draft(teacher)
    assert made.problems == ()
    assert made.skill is not None
    _, problems = read_draft(TASK, json.dumps(wrong), traces(), None)
    assert len(problems) >= 2
    first, second = teacher.seen
    assert second.messages[:2] == first.messages
    assert second.messages[2] == reply.message
    asked = second.messages[3].text
    assert all(f"- {problem}\n" in asked for problem in problems)
    assert "checks[0].type: unknown check type 'contans'" in asked
    assert second.key.role == "author-repair"
    assert second.key.input == {**first.key.input, "draft": digest(json.dumps(wrong))}
    assert (made.model, made.cost.usd, made.usage.input_tokens) == ("m2", 2.0, 10)
    assert made.answers == (json.dumps(wrong), json.dumps(BODY))


def test_a_draft_that_stays_wrong_says_what_is_wrong_after_two_calls():
    teacher = Scripted(default="I cannot")
    made = draft(teacher)
    assert (made.skill, made.problems) == (None, ("the answer is not one JSON object",))
    assert len(teacher.seen) == len(made.answers) == 2


def test_a_provider_error_is_raised():
    with pytest.raises(ProviderError, match="no answer"):
        draft(Scripted())


def problems_of(**changes: Any) -> tuple[str, ...]:
    return read_draft(TASK, json.dumps(body(**changes)), traces(), None)[1]


@pytest.mark.parametrize(
    ("examples", "part"),
    [
        ({"ids": ["t9", "x"]}, "examples.ids: no solved input has the id t9, x"),
        ({"ids": [["t1"]]}, "examples.ids: must be a list of ids"),
        ({"ids": [1]}, "examples.ids: must be a list of ids"),
        ({"ids": "some"}, "examples.ids: must be a list of ids"),
        ({"ids": {"t1": 1}}, "examples.ids: must be a list of ids"),
        ({"items": []}, "examples: must be"),
        (["t1"], "examples: must be"),
        ({"ids": "all", "items": [{"id": "x", "input": {}, "output": {}}]}, "examples: must be"),
        ({"ids": "all", "select": "some"}, "examples.select: 'some' is not allowed"),
        ({"ids": "all", "file": "../x"}, "examples: must be"),
    ],
)
def test_examples_are_picked_by_id_and_by_nothing_else(examples, part):
    found = problems_of(examples=examples)
    assert any(part in problem for problem in found), found


def test_all_and_doubled_and_no_examples():
    def picked(examples: Any) -> list[str]:
        skill, problems = read_draft(TASK, json.dumps(body(examples=examples)), traces(), None)
        assert skill is not None, problems
        return [item.id for item in skill.examples.items]

    assert picked({"ids": "all"}) == ["t1", "t2"]
    assert picked({"ids": ["t2", "t1", "t2"]}) == ["t2", "t1"]
    assert picked(None) == []


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"output": {"queue": {"enum": ["billing"]}}, "examples": None}, "t2: the solved answer does not fit"),
        ({"output": "text", "examples": None}, "t1: the output is text, but the solved answer is a JSON object"),
        ({"input": {"mail": {"type": "string"}}, "prompt": "{{ mail }}", "examples": None}, "t1: "),
        ({"checks": [{"type": "contains", "value": "bug"}]}, "t1: the solved answer fails the check contains at /"),
        ({"limits": {"input_tokens": 1}}, "limits.input_tokens is 1"),
        ({"checks": [{"type": "custom", "name": "f"}]}, "checks[0]: custom needs code"),
        ({"steps": [{"id": "a"}]}, "steps[0]: the step a says nothing to do"),
        ({"schema": "skillforge/v9"}, "schema"),
        ({"nme": 1}, "nme: unknown key"),
    ],
)
def test_a_draft_must_fit_what_its_teacher_did(changes, part):
    found = problems_of(**changes)
    assert any(part in problem for problem in found), found


def test_a_check_that_only_warns_may_fail_on_the_solved_answers():
    assert problems_of(checks=[{"type": "contains", "value": "zzz", "on_fail": "warn"}]) == ()


def test_the_same_problem_a_hundred_times_is_told_ten_times():
    many = traces(*[(f"ticket {n}", "sales") for n in range(100)])
    _, problems = read_draft(TASK, json.dumps(body(examples=None)), many, None)
    assert len(problems) == 11
    assert problems[-1] == "… and more of this kind"


def test_the_callers_name_wins_and_the_task_is_the_callers():
    made = draft(Scripted([body(task="Something else.")]), name="my-own")
    assert made.skill is not None
    assert (made.skill.name, made.skill.task) == ("my-own", TASK)


@pytest.mark.parametrize(
    "text", ["{" * 5000, '{"a":' * 5000, '{"name": "\\ud800"}', "[]", '{"examples": {"ids": null}}']
)
def test_hostile_answers_are_problems_and_not_crashes(text):
    skill, problems = read_draft(TASK, text, traces(), None)
    assert skill is None
    assert problems


def test_many_traces_are_listed_by_id_beyond_a_limit():
    many = traces(*[("x" * 20_000, "bug") for _ in range(5)])
    text = author_request(TASK, many).messages[1].text
    assert text.endswith('also solved, not shown: ["t3", "t4", "t5"]')
    assert len(text) < SHOWN_CHARS + 1000
