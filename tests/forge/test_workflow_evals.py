"""Workflows in an eval: a sandbox for every execution, the loop they replace beside them, recordings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from skillforge import tool
from skillforge.errors import UsageError
from skillforge.forge.forge import Forge
from skillforge.forge.session import Terms
from skillforge.tools.recorded import RecordedCall, RecordedTools

SKILL = """\
schema: skillforge/v1
name: refund
description: Refund an order and say so.
input: {order_id: {type: string}}
output: {refunded: {type: number}, said: {type: string}}
tools:
- {name: get_order, parameters: {type: object, properties: {order_id: {type: string}}, required: [order_id]}}
- name: refund_order
  effect: write
  parameters:
    type: object
    properties: {order_id: {type: string}, amount: {type: number}}
    required: [order_id, amount]
steps:
- {id: order, tool: get_order, args: {order_id: {from: order_id}}}
- id: refund
  tool: refund_order
  args: {order_id: {from: order_id}, amount: {from: steps.order.total}}
- id: reply
  prompt: "{{ steps.refund }} {{ order_id }}"
  output: {text: {type: string}}
  examples: {items: [{id: seen, input: {order_id: o23, steps: {refund: {amount: 1}}}, output: {text: Done.}}]}
result: {refunded: {from: steps.order.total}, said: {from: steps.reply.text}}
"""
SUITE = "schema: skillforge/suite/v1\nname: refund\ndecision: {metric: /refunded, margin: 0.3}\ncases: file://r.jsonl\n"
RIGHT = 'reply: {refunded: 12.5, said: "It is done."}'
LOOK = "calls: [{tool: get_order, arguments: {order_id: any}}]"
MODEL = f"""\
answers:
- {{when: {{role: "solve:answer"}}, {LOOK}}}
- {{when: {{role: "solve:answer-turn2"}}, {RIGHT}}}
- {{when: {{role: "run:answer"}}, {LOOK}}}
- {{when: {{role: "run:answer-turn2"}}, {RIGHT}}}
- {{when: {{role: "run:reply"}}, reply: {{text: It is done.}}}}
"""
CASES = 24
ARMS = {"students": "scripted:model.yaml", "teacher": "scripted:teacher.yaml"}


class Boxes:
    """A sandbox that says how often it was opened and closed, and for what."""

    opened: list[dict[str, Any]]
    closed: int
    refunds: list[str]

    def __init__(self) -> None:
        self.opened, self.closed, self.refunds = [], 0, []

    @contextmanager
    def __call__(self, given: dict[str, Any]) -> Iterator[list[Any]]:
        self.opened.append(given)
        mine = []

        def get_order(order_id: str) -> dict[str, Any]:
            return {"total": 12.5}

        @tool(effect="write")
        def refund_order(order_id: str, amount: float) -> dict[str, Any]:
            mine.append(order_id)
            return {"amount": amount, "in_this_box": len(mine)}

        try:
            yield [get_order, refund_order]
        finally:
            self.closed += 1
            self.refunds += mine
            assert len(mine) <= 1


@contextmanager
def sandbox(given: dict[str, Any]) -> Iterator[list[Any]]:
    with Boxes()(given) as tools:
        yield tools


@contextmanager
def other_sandbox(given: dict[str, Any]) -> Iterator[list[Any]]:
    """The same with other code."""
    with Boxes()({**given, "more": 1}) as tools:
        yield tools


@pytest.fixture
def forge(repo: Path, forge_at: Any, monkeypatch: pytest.MonkeyPatch) -> Forge:
    monkeypatch.chdir(repo)
    (repo / "skills" / "refund").mkdir(parents=True)
    (repo / "skills" / "refund" / "skill.yaml").write_text(SKILL)
    (repo / "evals").mkdir(exist_ok=True)
    (repo / "evals" / "refund.yaml").write_text(SUITE)
    expected = {"refunded": 12.5, "said": "It is done."}
    rows = [{"id": f"c{n}", "input": {"order_id": f"o{n}"}, "expected": expected} for n in range(CASES)]
    (repo / "evals" / "r.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name in ("model", "teacher"):
        (repo / f"{name}.yaml").write_text(MODEL)
    made: Forge = forge_at(repo)
    return made


def test_a_workflow_is_measured_beside_the_loop_it_replaces(forge: Forge) -> None:
    report = forge.evals.measure("refund", sandbox=sandbox, **ARMS).report
    assert [arm.kind for arm in report.arms] == ["bare", "skill"]
    bare, skill = report.arms
    assert (report.teacher.quality, bare.quality, skill.quality) == (1.0, 1.0, 1.0)
    assert (report.teacher.model_calls, report.teacher.tool_calls) == (2.0, 1.0)
    assert (skill.model_calls, skill.tool_calls) == (1.0, 2.0)


def test_a_case_that_an_example_of_a_step_shows_is_left_out(forge: Forge) -> None:
    report = forge.evals.measure("refund", sandbox=sandbox, **ARMS).report
    assert report.cases == CASES - 1
    assert [item.case for item in report.excluded] == ["c23"]


def test_every_execution_has_a_sandbox_of_its_own(forge: Forge) -> None:
    boxes = Boxes()

    def mine(given: dict[str, Any]) -> Any:
        return boxes(given)

    forge.evals.measure("refund", sandbox=mine, arms=["skill"], **ARMS)
    assert len(boxes.opened) == boxes.closed == 2 * (CASES - 1)
    assert sorted(boxes.refunds) == sorted(f"o{n}" for n in range(CASES - 1))
    assert {"order_id": "o7"} in boxes.opened


def test_samples_are_those_of_a_sandbox(forge: Forge) -> None:
    first = forge.evals.measure("refund", sandbox=sandbox, **ARMS).report
    assert forge.evals.measure("refund", sandbox=sandbox, **ARMS).report.reused == first.samples
    assert forge.evals.measure("refund", sandbox=other_sandbox, **ARMS).report.reused == 0
    assert forge.evals.rescore("refund", sandbox=sandbox, **ARMS).report.samples == first.samples


def test_what_is_known_of_the_calls_is_known_of_stored_samples_too(forge: Forge) -> None:
    first = forge.evals.measure("refund", sandbox=sandbox, **ARMS).report
    again = forge.evals.measure("refund", sandbox=sandbox, **ARMS).report
    assert [(arm.model_calls, arm.tool_calls) for arm in again.arms] == [
        (arm.model_calls, arm.tool_calls) for arm in first.arms
    ]


def test_tools_that_write_are_refused_without_a_sandbox(forge: Forge) -> None:
    with sandbox({}) as tools, pytest.raises(UsageError, match="refund_order of refund would") as refused:
        forge.evals.measure("refund", tools=tools, **ARMS)
    assert "--sandbox" in refused.value.hint
    assert "--tool-recording" in refused.value.hint


def test_a_variant_does_not_write_for_real_either(forge: Forge, repo: Path) -> None:
    quiet = SKILL.replace("  effect: write\n", "")
    assert quiet != SKILL
    (repo / "skills" / "refund" / "skill.yaml").write_text(quiet)
    (repo / "writes.yaml").write_text(SKILL)
    called = []

    def get_order(order_id: str) -> dict[str, Any]:
        called.append("get_order")
        return {"total": 12.5}

    def refund_order(order_id: str, amount: float) -> dict[str, Any]:
        called.append("refund_order")
        return {"amount": amount}

    tools = [get_order, refund_order]
    with pytest.raises(UsageError, match="refund_order of refund would"):
        forge.evals.measure("refund", tools=tools, variants=["writes.yaml"], **ARMS)
    assert called == []


def test_a_recording_of_tools_may_write(forge: Forge) -> None:
    calls = []
    for number in range(CASES):
        order = {"order_id": f"o{number}"}
        calls.append(RecordedCall(tool="get_order", arguments=order, content={"total": 12.5}))
        calls.append(RecordedCall(tool="refund_order", arguments={**order, "amount": 12.5}, content={"amount": 12.5}))
    calls.append(RecordedCall(tool="get_order", arguments={"order_id": "any"}, content={"total": 12.5}))
    report = forge.evals.measure("refund", tools=RecordedTools(calls), **ARMS).report
    assert [arm.errors for arm in (report.teacher, *report.arms)] == [0, 0, 0]


def test_missing_tools_are_named(forge: Forge) -> None:
    with pytest.raises(UsageError, match="get_order, refund_order"):
        forge.evals.measure("refund", **ARMS)


def test_a_recording_holds_the_steps_and_the_loops(forge: Forge, forge_at: Any, repo: Path) -> None:
    first = forge.evals.measure("refund", sandbox=sandbox, terms=Terms(record=repo / "rec"), **ARMS).report
    forge.close()
    (repo / ".skillforge" / "registry.db").unlink()
    for name in ("model", "teacher"):
        (repo / f"{name}.yaml").write_text("answers: []\n")
    again = forge_at(repo).evals.measure("refund", sandbox=sandbox, terms=Terms(replay=repo / "rec"), **ARMS).report
    assert [arm.errors for arm in (again.teacher, *again.arms)] == [0, 0, 0]
    assert [arm.quality for arm in again.arms] == [arm.quality for arm in first.arms]
    assert [arm.model_calls for arm in again.arms] == [arm.model_calls for arm in first.arms]


def test_an_estimate_counts_every_step_that_asks(forge: Forge) -> None:
    estimate = forge.evals.estimate("refund", sandbox=sandbox, **ARMS)
    assert {line.what: line.calls for line in estimate.expenses} == {
        "teacher": CASES - 1,
        "scripted:model.yaml bare": CASES - 1,
        "scripted:model.yaml + skill": CASES - 1,
    }


def test_what_was_measured_in_a_sandbox_may_be_promoted(forge: Forge) -> None:
    assert forge.evals.measure("refund", sandbox=sandbox, **ARMS).report.verdict == "pass"
    move = forge.deployments.promote("refund", student="scripted:model.yaml")
    assert move is not None
