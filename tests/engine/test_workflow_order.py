"""Parallel execution gives what serial execution gives; the plan that is shown is the one that is run."""

from __future__ import annotations

from typing import Any

import anyio
from hypothesis import given, settings
from hypothesis import strategies as st

from skillforge.canonical import digest
from skillforge.engine.workflow.graph import graph, writing_tools
from skillforge.engine.workflow.preview import preview
from skillforge.providers.scripted import Scripted
from skillforge.references import holds, resolve
from skillforge.skill import Skill
from tests.fakes.workflow import GIVEN, NOTIFY, ORDER, Tools, flow, refund, run_flow

READ = {"name": "read", "parameters": {"type": "object", "additionalProperties": True}}
WRITE = {**READ, "name": "write", "effect": "write"}


@st.composite
def plans(draw: Any) -> Skill:
    """Random acyclic workflows of reads and writes, with conditions, lists and ways out."""
    steps: list[dict[str, Any]] = []
    for number in range(draw(st.integers(1, 9))):
        earlier = [before["id"] for before in steps]
        named = draw(st.lists(st.sampled_from(earlier), max_size=3, unique=True)) if earlier else []
        step: dict[str, Any] = {"id": f"s{number}", "tool": draw(st.sampled_from(["read", "read", "write"]))}
        step["args"] = {name: {"from": f"steps.{name}", "default": "none"} for name in named} | {"n": number}
        objects = [before["id"] for before in steps if "each" not in before]
        if objects and draw(st.integers(0, 3)) == 0:
            step["when"] = {
                "from": f"steps.{draw(st.sampled_from(objects))}.even",
                draw(st.sampled_from(["equals", "not_equals"])): True,
            }
        if objects and draw(st.integers(0, 3)) == 0:
            step["each"] = {"from": f"steps.{draw(st.sampled_from(objects))}.list", "default": []}
            step["args"]["item"] = {"from": "item"}
        steps.append(step)
    ids = [step["id"] for step in steps]
    result = {"all": [{"from": f"steps.{name}", "default": None} for name in ids]}
    return flow(*steps, tools=[READ, WRITE], input={"x": {}}, output={"all": {}}, result=result)


def value_of(arguments: dict[str, Any]) -> dict[str, Any]:
    number = int(digest(arguments)[7:15], 16)
    return {"even": number % 2 == 0, "list": list(range(number % 4)), "number": number}


def serially(skill: Skill) -> tuple[Any, list[dict[str, Any]]]:
    """The plain meaning of a plan: one step after another, in the order of the file."""
    scope: dict[str, Any] = {"x": 1, "steps": {}}
    written: list[dict[str, Any]] = []

    def one(step: Any, inner: dict[str, Any]) -> Any:
        if step.when is not None and not holds(step.when, inner):
            return None
        arguments = resolve(step.args, inner)
        if step.tool == "write":
            written.append(arguments)
        return value_of(arguments)

    for step in skill.steps:
        if step.each is None:
            scope["steps"][step.id] = one(step, scope)
        else:
            elements = resolve(step.each, scope)
            scope["steps"][step.id] = [one(step, {**scope, "item": element}) for element in elements]
    return resolve(skill.result, scope), written


@settings(max_examples=60)
@given(plan=plans(), delays=st.lists(st.integers(0, 3), min_size=8, max_size=8))
def test_parallel_execution_gives_what_serial_execution_gives(plan, delays):
    calls = 0

    async def tool(arguments: dict[str, Any]) -> Any:
        nonlocal calls
        calls += 1
        for _ in range(delays[calls % len(delays)]):
            await anyio.sleep(0)
        return value_of(arguments)

    box = Tools(READ, WRITE, read=tool, write=tool)
    run = run_flow(plan, Scripted(), box, {"x": 1})
    expected, written = serially(plan)
    assert run.status == "ok", run.reason
    assert run.output == expected
    assert [arguments for name, arguments in box.calls if name == "write"] == written


@given(plan=plans())
def test_a_plan_shows_every_step_after_those_it_waits_for(plan):
    shown = preview(plan, {"x": 1})
    groups = {step.id: step.group for step in shown}
    order = graph(plan, writing_tools(plan.tools))
    assert list(groups.values()) == sorted(groups.values())
    assert groups.keys() == {step.id for step in plan.steps}
    for step in shown:
        assert step.waits_for == order.needs[step.id]
        assert all(groups[need] < step.group for need in step.waits_for)
        assert step.known.keys() | step.open.keys() == (next(s for s in plan.steps if s.id == step.id)).args.keys()


def test_a_plan_says_what_is_known_and_what_is_open():
    order, judge, refunding, reply = preview(refund(), GIVEN)
    assert (order.known, order.open, order.runs, order.writes) == ({"order_id": "o1"}, {}, "yes", False)
    assert (judge.model_calls, judge.model_calls_at_most, judge.group) == (2, 2, 2)
    assert (refunding.known, refunding.open) == ({"order_id": "o1"}, {"amount": ("steps.order.total",)})
    assert (refunding.runs, refunding.writes, refunding.tools) == ("open", True, ("refund_order",))
    assert reply.waits_for == ("refund",)


def test_a_plan_settles_conditions_and_lists_that_the_input_decides():
    each = {"id": "tell", "each": {"from": "lines"}, "tool": "notify", "args": {"sku": {"from": "item"}}}
    never = {"id": "never", "when": {"from": "lines.0", "equals": "z"}, "tool": "notify", "args": {"sku": "x"}}
    after = {"id": "after", "tool": "notify", "args": {"sku": {"from": "steps.never", "default": "y"}}}
    skill = flow(each, never, after, input={"lines": {"type": "array"}}, tools=[NOTIFY])
    shown = {step.id: step for step in preview(skill, {"lines": ["a", "b"]})}
    assert (shown["tell"].times, shown["tell"].each, shown["tell"].open) == (2, "lines", {"sku": ("item",)})
    assert (shown["never"].runs, shown["never"].known) == ("no", {"sku": "x"})
    assert shown["after"].known == {"sku": "y"}


def test_a_plan_calls_nothing_and_a_run_keeps_to_it():
    box = Tools()
    shown = preview(refund(), GIVEN)
    run = run_flow(refund(), Scripted([{"ok": True}, "x"]), box)
    assert [step.key for step in run.steps] == [step.id for step in shown]
    assert ORDER["total"] == 30


def test_a_write_waits_for_every_step_that_stands_before_it():
    skill = flow(
        {"id": "look", "tool": "read", "args": {"n": 1}},
        {"id": "pay", "tool": "write", "args": {"n": 2}},
        {"id": "see", "tool": "read", "args": {"n": 3}},
        {"id": "log", "tool": "write", "args": {"n": 4}},
        tools=[READ, WRITE],
        input={"x": {}},
        output={"n": {}},
        result={"n": 1},
    )
    needs = graph(skill, frozenset({"write"})).needs
    assert needs == {"look": (), "pay": ("look",), "see": (), "log": ("look", "pay", "see")}
