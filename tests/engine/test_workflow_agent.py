from __future__ import annotations

from typing import Any

import pytest

from skillforge.errors import BudgetReached, ProviderError, ToolUnavailable
from skillforge.messages import Completion, Message, ToolCall
from skillforge.providers.scripted import Scripted
from tests.fakes.workflow import GET_ORDER, NOTIFY, REFUND_ORDER, Memory, Tools, flow, run_flow

LOOK = {"tools": ["get_order"], "max_turns": 2}
KEYED = [GET_ORDER, {**REFUND_ORDER, "idempotency_key": "key"}, NOTIFY]


def calling(*calls: tuple[str, dict[str, Any]]) -> Completion:
    parts = tuple(ToolCall(id=f"c{at}", name=name, arguments=given) for at, (name, given) in enumerate(calls))
    return Completion(message=Message(role="assistant", content=parts), stop="tool_calls", model="m")


LOOKING = calling(("get_order", {"order_id": "o1"}))


def raising(error: Exception) -> Any:
    def answer(request: Any) -> Any:
        raise error

    return answer


def agent(**more: Any) -> dict[str, Any]:
    return {"id": "ask", "agent": LOOK, "prompt": "Look it up: {{ request }}", **more}


def test_an_agent_looks_around_and_its_answer_is_the_value():
    student, box = Scripted([LOOKING, "It costs 30."]), Tools()
    run = run_flow(flow(agent(), result={"from": "steps.ask"}), student, box)
    assert (run.status, run.output) == ("ok", "It costs 30.")
    (step,) = run.steps
    assert (step.kind, step.tries, [call.name for call in step.called]) == ("agent", 2, ["get_order"])
    assert [attempt.step for attempt in run.attempts] == ["ask", "ask"]
    assert [request.key.role for request in student.seen] == ["run:ask", "run:ask-turn2"]
    assert [tool.name for tool in student.seen[0].tools] == ["get_order"]


def test_its_answer_is_held_to_the_contract_of_the_step_with_one_repair():
    fields = {"total": {"type": "number"}}
    skill = flow(agent(output=fields), output=fields, result=None)
    student = Scripted([LOOKING, {"total": "thirty"}, {"total": 30}])
    run = run_flow(skill, student, Tools())
    assert (run.status, run.output) == ("ok", {"total": 30})
    last = student.seen[-1]
    assert last.key.role == "run:ask-repair"
    assert last.messages[-1].text.startswith("That answer is wrong:\n- total: 'thirty' is not of type 'number'")
    assert [message.role for message in last.messages] == ["system", "user", "assistant", "tool", "assistant", "user"]
    run = run_flow(skill, Scripted([{"total": "thirty"}, {"total": "x"}]), Tools())
    assert (run.status, run.reason) == ("failed", "ask: total: 'x' is not of type 'number'")


def test_checks_of_an_agent_repair_and_escalate():
    check = {"type": "contains", "value": "30"}
    skill = flow(agent(checks=[check]), result={"from": "steps.ask"})
    assert run_flow(skill, Scripted(["no", "30"]), Tools()).output == "30"
    skill = flow(agent(checks=[{**check, "on_fail": "escalate"}]), result={"from": "steps.ask"})
    assert run_flow(skill, Scripted(["no"]), Tools()).status == "escalated"


def test_an_agent_that_does_not_come_to_an_end_escalates():
    run = run_flow(flow(agent()), Scripted(default=LOOKING), box := Tools())
    assert (run.status, run.reason) == ("escalated", "ask: no answer within 2 turns")
    assert box.names == ["get_order"] * len(box.names)


def test_an_agent_sees_only_its_own_tools():
    student = Scripted([calling(("refund_order", {"order_id": "o", "amount": 1})), "ok"])
    run = run_flow(flow(agent(), result={"from": "steps.ask"}), student, box := Tools())
    assert (run.status, box.calls) == ("ok", [])


@pytest.mark.parametrize("error", [ProviderError("down"), ToolUnavailable("gone")])
def test_what_cannot_be_reached_is_an_error_of_the_run(error):
    student = Scripted([LOOKING, raising(error)])
    box = Tools(get_order=raising(error)) if isinstance(error, ToolUnavailable) else Tools()
    run = run_flow(flow(agent()), student, box)
    assert (run.status, run.reason) == ("error", f"ask: {error}")
    assert run.attempts[0].step == "ask"


def test_a_halt_is_raised():
    with pytest.raises(BudgetReached):
        run_flow(flow(agent()), Scripted([raising(BudgetReached("spent"))]), Tools())


def test_an_agent_that_wrote_and_was_killed_is_not_begun_again():
    paying = calling(("refund_order", {"order_id": "o", "amount": 1}))
    skill = flow(agent(agent={"tools": ["get_order", "refund_order"]}), tools=KEYED, result={"from": "steps.ask"})
    journal, box = Memory(), Tools(*KEYED)
    journal.die_at = 1
    with pytest.raises((Memory.Killed, BaseExceptionGroup)):
        run_flow(skill, Scripted([LOOKING, paying, "Paid."]), box, journal=journal)
    assert journal.entries == [("start", "ask")]
    journal.die_at = -1
    run = run_flow(skill, Scripted(["Paid."]), box, journal=journal)
    assert run.status == "escalated"
    assert run.reason.startswith("ask: ask was started and nobody knows whether it happened: look ")


def test_an_agent_that_only_read_is_begun_again():
    journal = Memory()
    skill = flow(agent(), result={"from": "steps.ask"})
    first = run_flow(skill, Scripted([LOOKING, raising(ProviderError("down"))]), Tools(), journal=journal)
    assert (first.status, journal.entries) == ("error", [])
    assert run_flow(skill, Scripted([LOOKING, "30"]), Tools(), journal=journal).output == "30"
    assert journal.entries == [("finish", "ask")]


def test_the_keys_of_its_writes_are_the_same_in_the_same_run():
    paying = calling(("refund_order", {"order_id": "o", "amount": 1}))
    skill = flow(agent(agent={"tools": ["refund_order"]}), tools=KEYED, result={"from": "steps.ask"})
    keys = []
    for run_id in ("a", "a", "b"):
        student, box = Scripted([paying, "Paid."]), Tools(*KEYED)
        assert run_flow(skill, student, box, journal=Memory(run_id)).status == "ok"
        keys.append(box.calls[0][1]["key"])
        assert "key" not in student.seen[0].tools[0].parameters["properties"]
    assert keys[0] == keys[1] != keys[2]


def test_a_student_without_tools_of_its_own_writes_json():
    class Plain(Scripted):
        native_tools = False

    answers = [
        {"next": {"tool": "get_order", "arguments": {"order_id": "o1"}}},
        {"next": {"answer": {"total": "thirty"}}},
        {"next": {"answer": {"total": 30}}},
    ]
    fields = {"total": {"type": "number"}}
    run = run_flow(flow(agent(output=fields), output=fields, result=None), Plain(answers), box := Tools())
    assert (run.status, run.output, box.names) == ("ok", {"total": 30}, ["get_order"])
