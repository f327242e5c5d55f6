"""What reproduces its traces for the wrong reason is told: every way of cheating that a program can see."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest

from skillforge.engine.compiling.doubts import doubts
from skillforge.engine.compiling.propose import read_proposal
from skillforge.trace import Trace
from tests.fakes.agent_traces import agent_trace

TASK = "Refund what the policy allows."


def _trace(n: int, *, late: bool = True) -> Trace:
    order = {"id": f"A-{n}00", "total": 100 + n, "state": "late" if late else "on time", "lines": []}
    calls: list[Any] = [("get_order", {"order_id": f"A-{n}00"}, order)]
    if late:
        calls.append(("refund_order", {"order_id": f"A-{n}00", "amount": 100 + n}, {"refunded": 100 + n}))
    answer = f"I refunded {100 + n}." if late else "It is on time."
    return agent_trace(f"t{n}", calls, said=f"My order A-{n}00 is late!", answer=answer, as_text=True)


TRACES = [_trace(1), _trace(2), _trace(3, late=False), _trace(4, late=False)]
HIDDEN = {"tool": "refund_order", "args": {"order_id": "A-9", "amount": 1}}


def _proposal() -> dict[str, Any]:
    return {
        "name": "refund-request",
        "description": "Refunds late orders.",
        "output": "text",
        "instructions": "Only late orders are refunded.",
        "steps": [
            {"id": "read", "prompt": "{{ request }}", "output": {"order_id": {"type": "string"}}},
            {"id": "order", "tool": "get_order", "args": {"order_id": {"from": "steps.read.order_id"}}},
            {
                "id": "refund",
                "when": {"from": "steps.order.state", "equals": "late"},
                "tool": "refund_order",
                "args": {"order_id": {"from": "steps.order.id"}, "amount": {"from": "steps.order.total"}},
            },
            {"id": "reply", "prompt": "{{ request }} {{ steps.order }} {{ steps.refund }}"},
        ],
        "result": {"from": "steps.reply"},
        "answers": {f"t{n}": {"read": {"order_id": f"A-{n}00"}} for n in (1, 2, 3, 4)},
    }


def _doubts(body: dict[str, Any], traces: list[Trace] = TRACES) -> tuple[str, ...]:
    read = anyio.run(read_proposal, TASK, json.dumps(body), traces)
    assert read.problems == ()
    assert read.skill is not None
    assert read.verified is not None
    return doubts(read.skill, traces, read.verified)


def test_a_plan_that_moves_its_data_by_reference_leaves_no_doubt() -> None:
    assert _doubts(_proposal()) == ()


@pytest.mark.parametrize(
    "condition",
    [
        {"when": {"from": "steps.order.state", "equals": "lost"}},
        {"each": {"from": "steps.order.lines"}},
    ],
)
def test_a_write_that_no_trace_runs_is_told(condition: dict[str, Any]) -> None:
    body = _proposal()
    body["steps"].insert(3, {"id": "more", **HIDDEN, **condition})
    assert "step more writes, and runs in none of the traces: nothing shows that it is right" in _doubts(body)


def test_an_answer_that_could_not_be_known_yet_is_told() -> None:
    body = _proposal()
    body["steps"][0]["output"]["amount"] = {"type": "integer"}
    body["steps"][2]["args"]["amount"] = {"from": "steps.read.amount"}
    for n in (1, 2, 3, 4):
        body["answers"][f"t{n}"]["read"]["amount"] = 100 + n
    told = "amount of read stands only in the result of order, which the step does not see"
    assert told in _doubts(body)


@pytest.mark.parametrize(
    "condition",
    [
        {"from": "steps.order.id", "in": ["A-100", "A-200"]},
        {"all": [{"from": "steps.order.total", "lt": 103}]},
        {"from": "request", "in": ["My order A-100 is late!", "My order A-200 is late!"]},
    ],
)
def test_a_condition_that_names_its_traces_is_told(condition: dict[str, Any]) -> None:
    body = _proposal()
    body["steps"][2]["when"] = condition
    assert any(line.startswith("the condition of refund holds ") for line in _doubts(body))


@pytest.mark.parametrize("where", ["instructions", "prompt"])
def test_answers_written_into_what_a_step_is_told_are_named(where: str) -> None:
    body = _proposal()
    body["steps"][3][where] = f"{body['steps'][3].get(where, '')} Order A-300 is on time."
    assert any("A-300, out of a trace" in line for line in _doubts(body))


def test_what_one_trace_shows_is_called_a_guess() -> None:
    body = {**_proposal(), "answers": {"t1": {"read": {"order_id": "A-100"}}}}
    body["steps"][2]["args"] = {"order_id": "A-100", "amount": 101}
    told = _doubts(body, TRACES[:1])
    assert told[0] == "it is made from one trace: what stays and what depends on the input is guessed"
    assert "the args of refund hold A-100, a value out of a trace" in told
    assert "the args of refund hold 101, a value out of a trace" in told


def test_a_condition_that_one_trace_shows_is_told() -> None:
    body = _proposal()
    del body["answers"]["t4"]
    assert "the condition of refund, which writes, rests on one trace" in _doubts(body, TRACES[:3])


def test_a_plan_that_always_escalates_is_told() -> None:
    body = {**_proposal(), "steps": [{"id": "stop", "escalate": "hard"}], "result": {"from": "request"}, "answers": {}}
    assert any(line.startswith("it escalates in every trace") for line in _doubts(body, TRACES[2:]))
