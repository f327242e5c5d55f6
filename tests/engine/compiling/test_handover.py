"""A trace that ends with a person taking over is reproduced by a plan that escalates."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from skillforge.engine.compiling.effects import is_handover
from skillforge.engine.compiling.verify import verify
from skillforge.skillfile import parse_skill
from tests.fakes.agent_traces import agent_trace


@pytest.mark.parametrize("name", ["transfer_to_human_agents", "escalateToSupervisor", "mcp__desk__handoff_to_human"])
def test_passing_a_task_on_to_a_person_is_a_handover(name: str) -> None:
    assert is_handover(name)


@pytest.mark.parametrize(
    "name", ["transfer_money", "transfer_agent_fee", "list_agents", "escalate_ticket_priority", "cancel_reservation"]
)
def test_moving_things_about_is_none(name: str) -> None:
    assert not is_handover(name)


PLAN = {
    "schema": "skillforge/v1",
    "name": "refund",
    "description": "Refunds late orders.",
    "input": {"request": {"type": "string"}},
    "output": "text",
    "tools": [
        {
            "name": "get_order",
            "parameters": {"type": "object", "properties": {"order_id": {"type": "string"}}, "required": ["order_id"]},
        }
    ],
    "steps": [
        {"id": "read", "prompt": "{{ request }}", "output": {"order_id": {"type": "string"}}},
        {"id": "order", "tool": "get_order", "args": {"order_id": {"from": "steps.read.order_id"}}},
        {"id": "person", "when": {"from": "steps.order.late", "equals": False}, "escalate": "the order is on time"},
    ],
    "result": "done",
}


def test_a_plan_that_escalates_does_what_a_trace_did_that_handed_over() -> None:
    calls: list[tuple[str, dict[str, Any], Any]] = [
        ("get_order", {"order_id": "A-1"}, {"id": "A-1", "late": False}),
        ("transfer_to_human_agents", {"summary": "The customer insists."}, "Transfer successful"),
    ]
    trace = agent_trace("t1", calls, said="My order A-1 is late!", answer="Somebody will call you.", reward=1.0)

    async def main() -> Any:
        return await verify(parse_skill(PLAN, path="test"), [trace], {"t1": {"read": {"order_id": "A-1"}}})

    verified = anyio.run(main)

    assert verified.reproduced, verified.problems
    assert verified.checks[0].run is not None
    assert verified.checks[0].run.status == "escalated"
