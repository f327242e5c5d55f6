from __future__ import annotations

from typing import Any

import anyio
import pytest

from skillforge.engine.execute import PromptExecutor
from skillforge.engine.workflow.execute import WorkflowExecutor
from skillforge.errors import ProviderError, ToolUnavailable
from skillforge.providers.scripted import Scripted
from skillforge.tools.base import ToolOutcome
from tests.fakes.workflow import GET_ORDER, GIVEN, NOTIFY, REFUND_ORDER, Memory, Tools, flow, refund, run_flow

YES = [{"ok": True}, "You get 30 back."]
KEYED = [GET_ORDER, {**REFUND_ORDER, "idempotency_key": "key"}]


def raising(error: Exception) -> Any:
    def answer(request: Any) -> Any:
        raise error

    return answer


def test_every_step_is_told_before_and_after_its_call():
    journal = Memory()
    run_flow(refund(), Scripted(YES), Tools(), journal=journal)
    steps = ("order", "judge", "refund", "reply")
    assert journal.entries == [(kind, step) for step in steps for kind in ("start", "finish")]
    assert journal.states["judge"].attempts[0].step == "judge"
    assert journal.states["refund"].run.output == {"amount": 30}


@pytest.mark.parametrize("die_at", range(1, 9))
def test_killed_anywhere_and_taken_up_again_no_write_happens_twice(die_at):
    journal, box = Memory(), Tools(*KEYED)
    skill = refund(tools=KEYED)
    journal.die_at = die_at
    with pytest.raises((Memory.Killed, BaseExceptionGroup)):
        run_flow(skill, Scripted(YES), box, journal=journal)
    journal.die_at = -1
    run = run_flow(skill, _student(), box, journal=journal)
    assert run.status == "ok"
    assert run.output["refunded"] == 30
    keys = [given["key"] for name, given in box.calls if name == "refund_order"]
    assert len(set(keys)) == 1
    assert {step.key for step in run.steps if step.resumed} == {
        key for kind, key in journal.entries[:die_at] if kind == "finish"
    }


def _student() -> Scripted:
    def answer(request: Any) -> Any:
        return {"ok": True} if request.key.role.startswith("run:judge") else "Done."

    return Scripted(default=answer)


def test_a_write_without_a_key_that_was_begun_is_never_made_again():
    journal, box = Memory(), Tools()
    journal.entries = [("start", "order"), ("start", "refund")]
    run = run_flow(refund(), _student(), box, journal=journal)
    assert run.status == "escalated"
    assert run.reason.startswith("refund: refund_order was started and nobody knows whether it happened: look ")
    assert box.names == ["get_order"]


def test_a_write_with_a_key_that_was_begun_is_made_again_under_the_same_key():
    journal, box = Memory(), Tools(*KEYED)
    run_flow(refund(tools=KEYED), _student(), box, journal=Memory())
    journal.entries = [("start", "refund")]
    assert run_flow(refund(tools=KEYED), _student(), box, journal=journal).status == "ok"
    first, second = [given["key"] for name, given in box.calls if name == "refund_order"]
    assert first == second
    run_flow(refund(tools=KEYED), _student(), box, journal=Memory("run-2"))
    assert box.calls[-1][1]["key"] != first


def test_what_was_finished_is_taken_over_with_its_calls_and_costs():
    journal = Memory()
    first = run_flow(refund(), Scripted([{"ok": True}, raising(ProviderError("down"))]), Tools(), journal=journal)
    assert (first.status, first.reason) == ("error", "reply: down")
    run = run_flow(refund(), student := Scripted(["Done."]), box := Tools(), journal=journal)
    assert run.status == "ok"
    assert [(step.key, step.resumed) for step in run.steps] == [
        ("order", True),
        ("judge", True),
        ("refund", True),
        ("reply", False),
    ]
    assert [attempt.step for attempt in run.attempts] == ["judge", "reply"]
    assert (box.calls, len(student.seen)) == ([], 1)
    assert run.latency_s is not None


def test_an_unreachable_tool_leaves_its_step_begun():
    journal = Memory()
    box = Tools(refund_order=raising(ToolUnavailable("connection lost")))
    assert run_flow(refund(), _student(), box, journal=journal).status == "error"
    assert journal.started() == {"refund"}
    run = run_flow(refund(), _student(), Tools(), journal=journal)
    assert (run.status, "nobody knows" in run.reason) == ("escalated", True)


def test_a_tool_that_said_no_is_not_asked_again_by_the_next_process():
    journal = Memory()
    no = Tools(get_order=lambda given: ToolOutcome(content="no", is_error=True))
    assert run_flow(refund(), _student(), no, journal=journal).status == "escalated"
    again = run_flow(refund(), _student(), box := Tools(), journal=journal)
    assert (again.status, again.reason, box.calls) == ("escalated", "order: get_order: no", [])


def test_elements_are_taken_over_one_by_one():
    journal, box = Memory(), Tools(GET_ORDER, {**NOTIFY, "idempotency_key": ""})
    tell = {"id": "tell", "each": {"from": "lines"}, "tool": "notify", "args": {"sku": {"from": "item"}}}
    skill = flow(tell, input={"lines": {"type": "array"}}, tools=[NOTIFY], result="x")
    journal.die_at = 4
    with pytest.raises((Memory.Killed, BaseExceptionGroup)):
        run_flow(skill, Scripted(), box, {"lines": ["a", "b", "c"]}, journal)
    journal.die_at = -1
    run = run_flow(skill, Scripted(), box, {"lines": ["a", "b", "c"]}, journal)
    assert [given["sku"] for _, given in box.calls] == ["a", "b", "c"]
    assert [(step.key, step.resumed, step.output) for step in run.steps] == [
        ("tell[0]", True, "A"),
        ("tell[1]", True, "B"),
        ("tell[2]", False, "C"),
    ]


def test_a_cancelled_run_ends_its_write_and_writes_that_down():
    journal = Memory()

    async def slow(given: dict[str, Any]) -> Any:
        await anyio.sleep(0.05)
        return {"amount": 1}

    pay = {"id": "pay", "tool": "refund_order", "args": {"order_id": "o", "amount": 1}}
    more = {"id": "more", "tool": "notify", "args": {"sku": "a"}}
    box = Tools(refund_order=slow)
    executor = WorkflowExecutor(PromptExecutor(Scripted()), box, lambda skill, values: journal)

    async def cancelled() -> None:
        with anyio.move_on_after(0.01):
            await executor.execute(flow(pay, more), GIVEN)

    anyio.run(cancelled)
    assert box.ended == ["refund_order"]
    assert journal.entries == [("start", "pay"), ("finish", "pay")]


def forgotten(journal: Memory, *keys: str) -> None:
    """What these steps gave was not kept, as under ``store_io: none``: only writes are known then."""
    journal.entries = [(kind, key) for kind, key in journal.entries if key not in keys]
    for key in keys:
        journal.states.pop(key, None)


DECIDED = [
    {"id": "judge", "prompt": "{{ request }}", "output": {"do": {"type": "string"}, "all": {"type": "array"}}},
    {
        "id": "refund",
        "when": {"from": "steps.judge.do", "equals": "refund"},
        "tool": "refund_order",
        "args": {"order_id": {"from": "order_id"}, "amount": 1},
    },
    {"id": "tell", "when": {"from": "steps.judge.do", "equals": "tell"}, "tool": "notify", "args": {"sku": "a"}},
    {"id": "reply", "prompt": "Say so: {{ request }}"},
]


def interrupted(skill: Any, box: Tools, journal: Memory, answer: Any) -> None:
    """The run up to its reply, which cannot be had; then what the judge said is forgotten."""
    down = Scripted([answer, raising(ProviderError("down"))])
    assert run_flow(skill, down, box, journal=journal).status == "error"
    forgotten(journal, "judge")


@pytest.mark.parametrize(
    ("first", "then", "why"),
    [
        ("refund", "tell", "refund: an earlier process has called it, and now it would be called otherwise or not"),
        ("refund", "nothing", "refund: an earlier process has called it, and now it would be called otherwise or not"),
        ("tell", "refund", "refund: an earlier process has written otherwise: tell"),
    ],
)
def test_a_question_asked_again_and_answered_otherwise_makes_no_other_write(first, then, why):
    journal, box, skill = Memory(), Tools(), flow(*DECIDED)
    interrupted(skill, box, journal, {"do": first, "all": []})
    made = list(box.calls)
    assert len(made) == 1
    run = run_flow(skill, Scripted(default={"do": then, "all": []}), box, journal=journal)
    assert run.status == "escalated"
    assert run.reason.startswith(why)
    assert box.calls == made


def test_a_question_asked_again_and_answered_the_same_goes_on():
    journal, box, skill = Memory(), Tools(), flow(*DECIDED)
    interrupted(skill, box, journal, {"do": "refund", "all": []})
    again = Scripted([{"do": "refund", "all": []}, "Done."])
    assert run_flow(skill, again, box, journal=journal).status == "ok"
    assert box.names == ["refund_order"]


@pytest.mark.parametrize(("again", "why"), [(["b", "a"], "called otherwise"), ([], "did not come to: tell[0]")])
def test_elements_in_another_order_are_no_other_writes(again, why):
    judge, _, _, reply = DECIDED
    tell = {"id": "tell", "each": {"from": "steps.judge.all"}, "tool": "notify", "args": {"sku": {"from": "item"}}}
    journal, skill = Memory(), flow(judge, tell, reply)

    def gone_for_b(given: dict[str, Any]) -> Any:
        if given["sku"] == "b":
            raise ToolUnavailable("gone")
        return "ok"

    box = Tools(GET_ORDER, REFUND_ORDER, {**NOTIFY, "idempotency_key": ""}, notify=gone_for_b)
    asked = Scripted(default={"do": "", "all": ["a", "b"]})
    assert run_flow(skill, asked, box, journal=journal).status == "error"
    forgotten(journal, "judge", "tell[1]")
    box = Tools()
    run = run_flow(skill, Scripted([{"do": "", "all": again}, "Done."]), box, journal=journal)
    assert (run.status, box.calls) == ("escalated", [])
    assert why in run.reason


def test_a_write_in_doubt_is_not_passed_over_where_its_condition_is_false_now():
    journal, box = Memory(), Tools(*KEYED)
    journal.entries = [("start", "refund")]
    run = run_flow(refund(tools=KEYED), Scripted(default={"ok": False}), box, journal=journal)
    assert (run.status, box.names) == ("escalated", ["get_order"])
    assert run.reason.startswith("refund: an earlier process has called it")


@pytest.mark.parametrize(
    "step",
    [
        {"id": "more", "when": {"from": "steps.pay.amount", "gt": 0}, "tool": "notify", "args": {"sku": "a"}},
        {"id": "more", "tool": "notify", "args": {"sku": {"from": "steps.pay.sku", "default": "a"}}},
        {"id": "more", "each": {"from": "steps.pay.skus", "default": []}, "tool": "notify", "args": {"sku": "a"}},
    ],
)
def test_what_a_write_gave_and_was_not_kept_decides_nothing(step):
    pay = {"id": "pay", "tool": "refund_order", "args": {"order_id": "o", "amount": 1}}
    journal, skill = Memory(), flow(pay, step)
    run_flow(flow(pay), Scripted(), Tools(), journal=journal)
    state = journal.states["pay"]
    journal.states["pay"] = state.model_copy(
        update={"lost": True, "run": state.run.model_copy(update={"output": None})}
    )
    run = run_flow(skill, Scripted(), box := Tools(), journal=journal)
    assert (run.status, run.reason) == ("escalated", "more: what pay gave to an earlier process was not kept")
    assert box.calls == []
    given = run_flow(flow(pay, result={"from": "steps.pay.said", "default": "x"}), Scripted(), Tools(), journal=journal)
    assert (given.status, given.output) == ("escalated", None)
