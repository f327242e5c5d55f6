from __future__ import annotations

import json
from typing import Any

import anyio
import pytest

from skillforge.engine.execute import PromptExecutor
from skillforge.engine.frame import JSON_FRAME, TEXT_FRAME, bare_skill, examples_skill, raw_skill
from skillforge.engine.prove import deterministic_problems
from skillforge.engine.retold import sample_calls
from skillforge.engine.workflow.execute import WorkflowExecutor
from skillforge.engine.workflow.language import DATA_FRAME
from skillforge.errors import (
    BudgetReached,
    ContextOverflow,
    InvalidInput,
    ProviderError,
    ToolUnavailable,
    UsageError,
)
from skillforge.lint import lint_skill
from skillforge.messages import Completion, Cost, Message, Request, Usage
from skillforge.providers.scripted import Scripted
from skillforge.run import Run
from skillforge.tools.base import ToolOutcome
from skillforge.tools.python import PythonTools
from skillforge.trace import Trace
from tests.fakes.workflow import GIVEN, NOTIFY, ORDER, Tools, flow, refund, run_flow

YES = [{"ok": True}, "You get 30 back."]


def said(text: str, **more: Any) -> Completion:
    return Completion(message=Message.of("assistant", text), stop="stop", model="m", **more)


def raising(error: Exception) -> Any:
    def answer(request: Any) -> Any:
        raise error

    return answer


def keys(run: Run) -> list[tuple[str, str]]:
    return [(step.key, step.status) for step in run.steps]


def test_tools_and_prompts_run_in_the_order_of_their_data():
    box, student = Tools(), Scripted(YES)
    run = run_flow(refund(), student, box)
    assert (run.status, run.reason) == ("ok", "")
    assert run.output == {"refunded": 30, "reply": "You get 30 back."}
    assert box.calls == [("get_order", {"order_id": "o1"}), ("refund_order", {"order_id": "o1", "amount": 30})]
    assert keys(run) == [("order", "ok"), ("judge", "ok"), ("refund", "ok"), ("reply", "ok")]
    assert run.digest == refund().digest()
    assert (run.student, run.model, run.input) == ("scripted", "scripted", GIVEN)


def test_exactly_what_a_language_step_sends():
    student = Scripted(YES)
    run_flow(refund(), student, Tools())
    judge, reply = student.seen
    assert [(message.role, message.text) for message in judge.messages] == [
        ("system", f"Follow the policy.\n{DATA_FRAME}\n{JSON_FRAME}"),
        ("user", 'Order: {"total": 3}\nRequest: It is late.'),
        ("assistant", '{"ok": false}'),
        ("user", f"Order: {json.dumps(ORDER)}\nRequest: {GIVEN['request']}"),
    ]
    assert judge.key.model_dump() == {
        "role": "run:judge",
        "task": "Decide a refund request.",
        "input": {"request": GIVEN["request"], "steps": {"order": ORDER}},
    }
    assert judge.output_schema is not None
    assert reply.output_schema is None
    assert reply.messages[0].text.endswith(TEXT_FRAME)
    assert reply.messages[-1].text == f'Refunded: {{"amount": 30}}. Tell them, about: {GIVEN["request"]}'


def test_a_repeated_question_has_a_role_of_its_own():
    student = Scripted(YES)
    anyio.run(WorkflowExecutor(PromptExecutor(student), Tools()).execute, refund(), GIVEN, 1)
    assert [request.key.role for request in student.seen] == ["run:judge#2", "run:reply#2"]


def test_numbers_stay_numbers_and_texts_are_no_booleans():
    box = Tools(get_order=lambda given: {"total": 7, "open": "False"})
    skill = flow(
        {"id": "order", "tool": "get_order", "args": {"order_id": {"from": "order_id"}}},
        {
            "id": "pay",
            "when": {"from": "steps.order.open", "equals": "False"},
            "tool": "refund_order",
            "args": {"order_id": "x", "amount": {"from": "steps.order.total"}},
        },
        {"id": "never", "when": {"from": "steps.order.open", "equals": False}, "escalate": "no"},
    )
    run = run_flow(skill, Scripted(), box)
    assert run.status == "ok"
    assert type(box.calls[1][1]["amount"]) is int
    assert ("never", "skipped") in keys(run)


def test_a_skipped_step_has_the_value_none_and_a_default_stands_in():
    run = run_flow(refund(), Scripted([{"ok": False}, "Sorry."]), box := Tools())
    assert run.output == {"refunded": 0, "reply": "Sorry."}
    assert box.names == ["get_order"]
    assert ("refund", "skipped") in keys(run)


def test_a_reference_to_nothing_fails_the_run_and_names_the_path():
    box = Tools(get_order=lambda given: {"lines": []})
    run = run_flow(refund(), Scripted(YES), box)
    assert (run.status, run.output) == ("failed", None)
    assert run.reason == "refund: steps.order.total is not there"
    assert box.names == ["get_order"]


def test_a_result_made_of_nothing_fails_the_run():
    skill = flow(
        {"id": "order", "tool": "get_order", "args": {"order_id": {"from": "order_id"}}},
        result={"from": "steps.order.name"},
    )
    run = run_flow(skill, Scripted(), Tools())
    assert (run.status, run.reason) == ("failed", "result: steps.order.name is not there")


def test_arguments_are_held_to_the_tool_before_it_is_called():
    box = Tools(get_order=lambda given: {"total": "thirty"})
    run = run_flow(refund(), Scripted(YES), box)
    assert run.status == "failed"
    assert "refund: the arguments do not fit refund_order: amount: 'thirty' is not of type 'number'" in run.reason
    assert box.names == ["get_order"]


def test_without_a_result_the_value_of_the_last_step_is_it():
    step = {"id": "order", "tool": "get_order", "args": {"order_id": {"from": "order_id"}}}
    skill = flow(step, result=None, output={"total": {"type": "number"}})
    assert run_flow(skill, Scripted(), Tools(get_order=lambda given: {"total": 1})).output == {"total": 1}
    wrong = run_flow(skill, Scripted(), Tools(get_order=lambda given: {"total": "x"}))
    assert wrong.status == "failed"
    assert wrong.reason.startswith("result: total: 'x' is not of type 'number'")


@pytest.mark.parametrize(("on_fail", "status"), [("repair", "failed"), ("escalate", "escalated"), ("warn", "ok")])
def test_the_result_is_held_to_the_checks_of_the_skill(on_fail, status):
    check = {"type": "equals", "path": "/refunded", "value": 31, "on_fail": on_fail}
    run = run_flow(refund(checks=[check]), Scripted(YES), Tools())
    assert run.status == status
    assert [result.passed for result in run.checks] == [False]
    assert run.output == {"refunded": 30, "reply": "You get 30 back."}


def test_a_step_repairs_once_and_then_fails_the_run():
    run = run_flow(refund(), Scripted([{"ok": "yes"}, *YES]), Tools())
    assert run.status == "ok"
    assert [(attempt.kind, attempt.step) for attempt in run.attempts] == [
        ("student", "judge"),
        ("repair", "judge"),
        ("student", "reply"),
    ]
    run = run_flow(refund(), Scripted([{"ok": "yes"}, {"ok": 1}]), box := Tools())
    assert run.status == "failed"
    assert run.reason == "judge: ok: 1 is not of type 'boolean'"
    assert box.names == ["get_order"]


def test_checks_of_a_step_see_what_tools_returned():
    check = {"type": "in-input", "of": "steps", "path": "/sku"}
    judge = {
        "id": "pick",
        "prompt": "{{ steps.order.lines }}",
        "output": {"sku": {"type": "string"}},
        "checks": [check],
    }
    order = {"id": "order", "tool": "get_order", "args": {"order_id": {"from": "order_id"}}}
    skill = flow(order, judge, result={"from": "steps.pick.sku"})
    assert run_flow(skill, Scripted([{"sku": "zz"}, {"sku": "b"}]), Tools()).output == "b"


def test_a_check_may_read_an_input_field_that_the_prompt_does_not_show():
    check = {"type": "in-input", "of": "request"}
    example = {"id": "e", "input": {"order_id": "o9"}, "output": "x"}
    step = {"id": "quote", "prompt": "{{ order_id }}", "checks": [check], "examples": {"items": [example]}}
    run = run_flow(flow(step, result={"from": "steps.quote"}), Scripted(["nonsense", "broken"]), Tools())
    assert (run.status, run.output) == ("ok", "broken")


def test_an_escalate_step_stops_the_run_before_anything_else_is_paid_for():
    stop = {"id": "stop", "when": {"from": "steps.judge.ok", "equals": False}, "escalate": "the policy says no"}
    skill = refund(steps=[*refund().model_dump(exclude_defaults=True)["steps"], stop])
    run = run_flow(skill, student := Scripted([{"ok": False}, "never asked"]), box := Tools())
    assert (run.status, run.reason, run.output) == ("escalated", "stop: the policy says no", None)
    assert len(student.seen) == 1
    assert box.names == ["get_order"]


def test_a_write_waits_for_every_earlier_way_out():
    """The escalation needs a slow step, the write needs nothing: it waits all the same."""

    async def slow(given: dict[str, Any]) -> Any:
        await anyio.sleep(0.02)
        return {"total": 30}

    order = {"id": "order", "tool": "get_order", "args": {"order_id": {"from": "order_id"}}}
    stop = {"id": "stop", "when": {"from": "steps.order.total", "gt": 20}, "escalate": "too much"}
    pay = {"id": "pay", "tool": "refund_order", "args": {"order_id": "o", "amount": 1}}
    assert run_flow(flow(order, stop, pay), Scripted(), box := Tools(get_order=slow)).status == "escalated"
    assert box.names == ["get_order"]
    run_flow(flow(pay, order, stop), Scripted(), box := Tools(get_order=slow))
    assert sorted(box.names) == ["get_order", "refund_order"]


def test_writes_come_in_the_order_of_the_file():
    async def slow(given: dict[str, Any]) -> Any:
        await anyio.sleep(0.02)
        return "paid"

    pay = {"id": "pay", "tool": "refund_order", "args": {"order_id": "o", "amount": 1}}
    tell = {"id": "tell", "tool": "notify", "args": {"sku": "a"}}
    run = run_flow(flow(pay, tell), Scripted(), box := Tools(refund_order=slow))
    assert box.names == ["refund_order", "notify"]
    assert box.ended == box.names
    assert run.latency_s == 1.0 or run.latency_s == 0.5 + run.steps[0].latency_s


def test_independent_steps_run_at_the_same_time_and_the_latency_is_that_of_the_longest_chain():
    together, most = 0, 0

    async def slow(given: dict[str, Any]) -> Any:
        nonlocal together, most
        together += 1
        most = max(most, together)
        await anyio.sleep(0.01)
        together -= 1
        return ToolOutcome(content=ORDER, latency_s=2.0)

    steps = [{"id": f"s{n}", "tool": "get_order", "args": {"order_id": str(n)}} for n in range(3)]
    last = {"id": "last", "tool": "get_order", "args": {"order_id": {"from": "steps.s0.lines.0.sku"}}}
    run = run_flow(flow(*steps, last), Scripted(), Tools(get_order=slow))
    assert most == 3
    assert run.latency_s == 4.0


def test_each_runs_for_every_element_and_gives_the_list_of_values():
    order = {"id": "order", "tool": "get_order", "args": {"order_id": {"from": "order_id"}}}
    tell = {
        "id": "tell",
        "each": {"from": "steps.order.lines"},
        "when": {"from": "item.sku", "not_equals": "a"},
        "tool": "notify",
        "args": {"sku": {"from": "item.sku"}},
    }
    skill = flow(order, tell, output={"told": {"type": "array"}}, result={"told": {"from": "steps.tell"}})
    run = run_flow(skill, Scripted(), box := Tools())
    assert run.output == {"told": [None, "B"]}
    assert keys(run)[1:] == [("tell[0]", "skipped"), ("tell[1]", "ok")]
    assert box.calls[1:] == [("notify", {"sku": "b"})]


def test_elements_that_write_are_called_one_after_another_and_others_together():
    seen: list[str] = []
    together, most = 0, 0

    async def slow(given: dict[str, Any]) -> Any:
        nonlocal together, most
        together += 1
        most = max(most, together)
        seen.append(next(iter(given.values())))
        await anyio.sleep(0.002)
        together -= 1
        return given

    lines = [{"sku": str(n)} for n in range(20)]
    each = {"from": "lines"}
    write = {"id": "w", "each": each, "tool": "notify", "args": {"sku": {"from": "item.sku"}}}
    read = {"id": "r", "each": each, "tool": "get_order", "args": {"order_id": {"from": "item.sku"}}}
    fields = {"lines": {"type": "array"}}
    assert run_flow(flow(write, input=fields), Scripted(), Tools(notify=slow), {"lines": lines}).status == "ok"
    assert (most, seen) == (1, [str(n) for n in range(20)])
    most = 0
    assert run_flow(flow(read, input=fields), Scripted(), Tools(get_order=slow), {"lines": lines}).status == "ok"
    assert most == 8


def test_a_prompt_for_each_element_shows_that_element():
    ask = {"id": "ask", "each": {"from": "lines"}, "prompt": "Name {{ item.sku }}."}
    skill = flow(ask, input={"lines": {"type": "array"}}, output={"names": {}}, result={"names": {"from": "steps.ask"}})
    student = Scripted({"zebra": "Z", "ant": "A"})
    run = run_flow(skill, student, Tools(), {"lines": [{"sku": "ant"}, {"sku": "zebra"}]})
    assert run.output == {"names": ["A", "Z"]}
    assert sorted(attempt.step for attempt in run.attempts) == ["ask[0]", "ask[1]"]
    assert sorted(request.messages[-1].text for request in student.seen) == ["Name ant.", "Name zebra."]


@pytest.mark.parametrize(
    ("lines", "status", "reason"),
    [
        ([], "ok", ""),
        (None, "ok", ""),
        ({"a": 1}, "failed", "tell: lines is no list"),
        ("ab", "failed", "tell: lines is no list"),
        ([{"sku": "x"}] * 1001, "failed", "tell: lines has 1,001 elements"),
    ],
)
def test_what_is_no_list_of_reasonable_length_fails_the_run(lines, status, reason):
    tell = {"id": "tell", "each": {"from": "lines"}, "tool": "notify", "args": {"sku": {"from": "item.sku"}}}
    skill = flow(tell, input={"lines": {}}, output={"told": {}}, result={"told": {"from": "steps.tell"}})
    run = run_flow(skill, Scripted(), Tools(), {"lines": lines})
    assert run.status == status
    assert run.reason.startswith(reason)
    assert run.output == ({"told": []} if status == "ok" else None)


def test_a_tool_that_says_no_is_tried_again_and_then_escalates_the_run():
    box = Tools(get_order=lambda given: ToolOutcome(content="no such order", is_error=True))
    run = run_flow(refund(), Scripted(YES), box)
    assert (run.status, run.reason) == ("escalated", "order: get_order: no such order")
    assert box.names == ["get_order", "get_order"]
    assert run.steps[0].tries == 2


def test_a_tool_that_says_no_may_be_gone_on_with():
    box = Tools(get_order=lambda given: ToolOutcome(content="gone", is_error=True))
    order = {"id": "order", "tool": "get_order", "args": {"order_id": "x"}, "on_error": "continue", "retry": 0}
    run = run_flow(flow(order, result={"from": "steps.order.error"}), Scripted(), box)
    assert (run.status, run.output) == ("ok", "gone")
    assert run.steps[0].reason == "get_order: gone"
    assert box.names == ["get_order"]


def test_a_write_is_tried_again_only_under_its_key_and_that_stays_the_same():
    no = ToolOutcome(content="busy", is_error=True)
    box = Tools(refund_order=lambda given: no)
    run_flow(refund(), Scripted(YES), box)
    assert box.names.count("refund_order") == 1
    tools = [dict(tool) for tool in refund().model_dump(exclude_defaults=True)["tools"]]
    tools[1]["idempotency_key"] = "key"
    box = Tools(refund_order=lambda given: no)
    run_flow(refund(tools=tools), Scripted(YES), box)
    given = [arguments["key"] for name, arguments in box.calls if name == "refund_order"]
    assert len(given) == 2
    assert len(set(given)) == 1
    assert given[0].startswith("sha256:")


def test_a_tool_cannot_change_what_other_steps_see():
    def spoil(given: dict[str, Any]) -> Any:
        given["sku"] = "spoiled"
        return "ok"

    order = {"id": "order", "tool": "get_order", "args": {"order_id": {"from": "order_id"}}}
    tell = {"id": "tell", "tool": "notify", "args": {"sku": {"from": "steps.order.lines.0.sku"}}}
    run = run_flow(flow(order, tell, result={"from": "steps.order.lines.0.sku"}), Scripted(), Tools(notify=spoil))
    assert run.output == "a"
    assert next(step for step in run.steps if step.key == "tell").arguments == {"sku": "a"}


def test_a_tool_that_cannot_be_reached_is_an_error_of_the_run():
    box = Tools(get_order=raising(ToolUnavailable("the shop is down", hint="start it")))
    run = run_flow(refund(), Scripted(YES), box)
    assert (run.status, run.reason) == ("error", "order: the shop is down (start it)")
    assert run.attempts == ()


def test_a_model_that_cannot_be_reached_is_an_error_of_the_run():
    run = run_flow(refund(), Scripted([raising(ProviderError("down"))]), Tools())
    assert (run.status, run.reason) == ("error", "judge: down")
    assert [attempt.error for attempt in run.attempts] == ["down"]


def test_an_input_too_long_for_the_model_escalates():
    run = run_flow(refund(), Scripted([raising(ContextOverflow("too long"))]), Tools())
    assert run.status == "escalated"


def test_a_halt_is_raised_and_told_with_the_run():
    executor = WorkflowExecutor(PromptExecutor(Scripted([raising(BudgetReached("spent"))])), Tools())
    with pytest.raises(BudgetReached):
        anyio.run(executor.execute, refund(), GIVEN)
    executor = WorkflowExecutor(PromptExecutor(Scripted([raising(BudgetReached("spent"))])), Tools())
    tried = anyio.run(executor.tried, refund(), GIVEN)
    assert isinstance(tried.error, BudgetReached)
    assert tried.run.status == "error"
    assert tried.run.steps[0].key == "order"


def test_what_an_error_finds_under_way_is_waited_for_and_nothing_new_begins():
    async def slow(given: dict[str, Any]) -> Any:
        await anyio.sleep(0.02)
        return ORDER

    order = {"id": "order", "tool": "get_order", "args": {"order_id": "x"}}
    ask = {"id": "ask", "prompt": "{{ request }}"}
    after = {"id": "after", "tool": "notify", "args": {"sku": {"from": "steps.order.lines.0.sku"}}}
    run = run_flow(flow(ask, order, after), Scripted([raising(ProviderError("down"))]), box := Tools(get_order=slow))
    assert run.status == "error"
    assert box.ended == ["get_order"]
    assert keys(run) == [("ask", "error"), ("order", "ok")]


def test_a_write_under_way_ends_before_the_run_does():
    async def slow(given: dict[str, Any]) -> Any:
        await anyio.sleep(0.05)
        return {"amount": 1}

    async def a_moment(given: dict[str, Any]) -> Any:
        await anyio.sleep(60 if given["order_id"] == "slow" else 0.01)
        return {}

    pay = {"id": "pay", "tool": "refund_order", "args": {"order_id": "o", "amount": 1}}
    read = {"id": "read", "tool": "get_order", "args": {"order_id": "o"}}
    long = {"id": "long", "tool": "get_order", "args": {"order_id": "slow"}}
    bad = {"id": "bad", "tool": "get_order", "args": {"order_id": {"from": "steps.read.nothing"}}}
    box = Tools(refund_order=slow, get_order=a_moment)
    run = run_flow(flow(pay, read, long, bad), Scripted(), box)
    assert (run.status, run.reason) == ("failed", "bad: steps.read.nothing is not there")
    assert box.ended == ["get_order", "refund_order"]
    assert ("pay", "ok") in keys(run)
    assert ("long", "error") in keys(run)


def test_a_model_call_that_was_cut_off_costs_nobody_knows_what():
    class Slow(Scripted):
        concurrency = 1

        async def complete(self, request: Request) -> Completion:
            await anyio.sleep(5)
            return said("late")

    async def a_moment(given: dict[str, Any]) -> Any:
        await anyio.sleep(0.01)
        return ORDER

    ask = {"id": "ask", "prompt": "{{ request }}"}
    waiting = {"id": "waiting", "prompt": "{{ request }}"}
    stop = {"id": "stop", "when": {"from": "steps.order.total", "gt": 1}, "escalate": "no"}
    order = {"id": "order", "tool": "get_order", "args": {"order_id": "o"}}
    run = run_flow(flow(ask, waiting, order, stop), Slow(), Tools(get_order=a_moment))
    assert run.status == "escalated"
    assert run.cost.usd is None
    assert keys(run) == [("order", "ok"), ("stop", "escalated"), ("ask", "error")]
    assert [attempt.error for attempt in run.attempts] == ["stopped: another step ended the run"]


def test_what_a_run_took_is_the_sum_of_its_steps():
    usage, cost = Usage(input_tokens=7, output_tokens=3), Cost(usd=0.5, basis="list")
    more = {"usage": usage, "cost": cost, "latency_s": 1.5}
    run = run_flow(refund(), Scripted([said('{"ok": true}', **more), said("Done.", **more)]), Tools())
    assert (run.usage, run.cost.usd) == (usage + usage, 1.0)
    assert run.latency_s == 4.0  # two answers of 1.5 s, two calls of 0.5 s, one after another
    assert [step.cost.usd for step in run.steps] == [0.0, 0.5, 0.0, 0.5]


def test_a_run_without_a_model_call_used_no_tokens():
    order = {"id": "order", "tool": "get_order", "args": {"order_id": {"from": "order_id"}}}
    run = run_flow(flow(order), Scripted(), Tools())
    assert (run.usage.input_tokens, run.usage.output_tokens, run.cost.usd) == (0, 0, 0.0)


def test_wrong_input_missing_tools_and_missing_checks_are_told_before_anything_is_called():
    with pytest.raises(InvalidInput):
        run_flow(refund(), Scripted(YES), box := Tools(), {"order_id": 1})
    with pytest.raises(UsageError, match="refund_order"):
        run_flow(refund(), Scripted(YES), box := Tools(NOTIFY))
    steps = refund().model_dump(exclude_defaults=True)["steps"]
    steps[3]["checks"] = [{"type": "custom", "name": "polite"}]
    with pytest.raises(UsageError, match="polite"):
        run_flow(refund(steps=steps), Scripted(YES), box := Tools())
    assert box.calls == []


def test_python_functions_are_tools():
    paid: list[tuple[str, float]] = []

    def get_order(order_id: str) -> dict[str, Any]:
        """An order."""
        return {"total": 12.5}

    def refund_order(order_id: str, amount: float) -> dict[str, float]:
        """Pay it back."""
        paid.append((order_id, amount))
        return {"amount": amount}

    run = run_flow(refund(), Scripted(YES), PythonTools([get_order, refund_order]))
    assert run.status == "ok"
    assert paid == [("o1", 12.5)]


def test_a_function_that_raises_escalates_with_what_it_said():
    def get_order(order_id: str) -> dict[str, Any]:
        """An order."""
        raise KeyError(order_id)

    def refund_order(order_id: str, amount: float) -> None:
        """Pay it back."""

    run = run_flow(refund(), Scripted(YES), PythonTools([get_order, refund_order]))
    assert run.status == "escalated"
    assert "KeyError" in run.reason


def test_a_skill_without_steps_is_a_prompt(triage):
    student = Scripted([{"queue": "bug", "quote": "x"}])
    run = run_flow(triage(), student, Tools(), {"ticket": "x"})
    assert (run.status, run.steps) == ("ok", ())


def test_what_the_answer_depends_on_names_model_and_tools():
    executor = WorkflowExecutor(PromptExecutor(Scripted(name="m1")), Tools())
    assert (executor.student, executor.concurrency) == ("m1", 32)
    assert executor.identity == "m1 tools tools of the test"


@pytest.mark.parametrize("form", [bare_skill, raw_skill, examples_skill])
def test_the_bare_form_of_a_workflow_is_one_agent_over_all_its_tools(form):
    skill = form(refund(checks=[{"type": "is-json"}]))
    (step,) = skill.steps
    assert [problem for problem in lint_skill(skill) if problem.level == "error"] == []
    assert (step.kind, step.agent.tools, step.agent.max_turns) == ("agent", ("get_order", "refund_order"), 12)
    assert skill.instructions.startswith("Decide a refund request.\n")
    assert (skill.input, skill.output, step.output) == (refund().input, refund().output, refund().output)
    assert (skill.checks, skill.result) == ((), None)


def test_the_bare_form_of_a_workflow_without_tools_is_one_prompt():
    ask = {"id": "ask", "prompt": "{{ request }} {{ order_id }}"}
    skill = bare_skill(flow(ask, tools=[], result={"from": "steps.ask"}))
    assert [step.kind for step in skill.steps] == ["prompt"]
    assert run_flow(skill, Scripted(["hello"]), Tools()).output == "hello"


def test_workflows_pass_through_what_knows_prompts_only():
    answer = {"refunded": 3, "reply": "x"}
    good = Trace(case_id="a", task="t", input=GIVEN, output=answer)
    assert deterministic_problems(refund(), [good]) == ()
    assert deterministic_problems(refund(), [good.model_copy(update={"output": {"refunded": 1}})]) != ()
    run = run_flow(refund(), Scripted(YES), Tools())
    assert sample_calls(refund(), GIVEN, run, "run") == []
