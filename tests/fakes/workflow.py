"""A workflow that most tests of the engine use, tools that count, and a journal in memory."""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from skillforge.engine.execute import PromptExecutor
from skillforge.engine.journal import StepState
from skillforge.engine.workflow.execute import WorkflowExecutor
from skillforge.messages import Tool
from skillforge.providers.base import Provider
from skillforge.run import Run
from skillforge.skill import Skill
from skillforge.skillfile import parse_skill
from skillforge.tools.base import ToolBox, ToolOutcome

GET_ORDER: Mapping[str, Any] = {
    "name": "get_order",
    "parameters": {"type": "object", "properties": {"order_id": {"type": "string"}}, "required": ["order_id"]},
}
REFUND_ORDER: Mapping[str, Any] = {
    "name": "refund_order",
    "effect": "write",
    "parameters": {
        "type": "object",
        "properties": {"order_id": {"type": "string"}, "amount": {"type": "number"}, "key": {"type": "string"}},
        "required": ["order_id", "amount"],
    },
}
NOTIFY: Mapping[str, Any] = {
    "name": "notify",
    "effect": "write",
    "parameters": {"type": "object", "properties": {"sku": {"type": "string"}}, "required": ["sku"]},
}
GIVEN = {"order_id": "o1", "request": "It came broken, I want my money back."}
ORDER = {"total": 30, "lines": [{"sku": "a"}, {"sku": "b"}]}

REFUND: Mapping[str, Any] = {
    "schema": "skillforge/v1",
    "name": "refund-request",
    "description": "Decide a refund request.",
    "input": {"order_id": {"type": "string"}, "request": {"type": "string"}},
    "output": {"refunded": {"type": "number"}, "reply": {"type": "string"}},
    "instructions": "Follow the policy.",
    "tools": [GET_ORDER, REFUND_ORDER],
    "steps": [
        {"id": "order", "tool": "get_order", "args": {"order_id": {"from": "order_id"}}},
        {
            "id": "judge",
            "prompt": "Order: {{ steps.order }}\nRequest: {{ request }}",
            "output": {"ok": {"type": "boolean"}},
            "examples": {
                "items": [
                    {
                        "id": "t1",
                        "input": {"request": "It is late.", "steps": {"order": {"total": 3}}},
                        "output": {"ok": False},
                    }
                ]
            },
        },
        {
            "id": "refund",
            "when": {"from": "steps.judge.ok", "equals": True},
            "tool": "refund_order",
            "args": {"order_id": {"from": "order_id"}, "amount": {"from": "steps.order.total"}},
        },
        {"id": "reply", "prompt": "Refunded: {{ steps.refund }}. Tell them, about: {{ request }}"},
    ],
    "result": {"refunded": {"from": "steps.refund.amount", "default": 0}, "reply": {"from": "steps.reply"}},
}


def refund(**changes: Any) -> Skill:
    return parse_skill({**copy.deepcopy(dict(REFUND)), **changes}, path="refund-request")


def flow(*steps: Mapping[str, Any], **changes: Any) -> Skill:
    """A text workflow over ``order_id`` and ``request``; its result is one text, ``done`` unless said otherwise."""
    body = {**REFUND, "output": "text", "instructions": "", "steps": list(steps), "result": "done"}
    return parse_skill({**body, "tools": [GET_ORDER, REFUND_ORDER, NOTIFY], **changes}, path="flow")


Behaviour = Callable[[dict[str, Any]], Any]


class Tools:
    """A box of behaviours: what one returns (a value, a ``ToolOutcome`` or an awaitable) is the outcome. ``calls`` are
    all that began, ``ended`` those that came to their end.
    """

    identity = "tools of the test"

    def __init__(self, *tools: Mapping[str, Any], **behaviours: Behaviour) -> None:
        described = [Tool.model_validate(tool) for tool in tools or (GET_ORDER, REFUND_ORDER, NOTIFY)]
        self.tools = tuple(described)
        self._behaviours: dict[str, Behaviour] = {
            "get_order": lambda given: copy.deepcopy(ORDER),
            "refund_order": lambda given: {"amount": given["amount"]},
            "notify": lambda given: given["sku"].upper(),
            **behaviours,
        }
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.ended: list[str] = []

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.calls]

    async def call(self, name: str, arguments: dict[str, Any]) -> ToolOutcome:
        self.calls.append((name, arguments))
        made = self._behaviours[name](arguments)
        if isinstance(made, Awaitable):
            made = await made
        self.ended.append(name)
        return made if isinstance(made, ToolOutcome) else ToolOutcome(content=made, latency_s=0.5)

    async def aclose(self) -> None:
        return None


class Memory:
    """A journal in memory. ``die_at``: the process is killed right after this many of its entries were made."""

    class Killed(BaseException):
        pass

    def __init__(self, run_id: str = "run-1") -> None:
        self.run_id = run_id
        self.entries: list[tuple[str, str]] = []
        self.states: dict[str, StepState] = {}
        self.die_at = -1

    def finished(self) -> dict[str, StepState]:
        return dict(self.states)

    def started(self) -> frozenset[str]:
        return frozenset(key for kind, key in self.entries if kind == "start") - self.states.keys()

    async def start(self, key: str) -> None:
        self._entry("start", key)

    async def finish(self, key: str, state: StepState) -> None:
        self.states[key] = StepState.model_validate_json(state.model_dump_json())
        self._entry("finish", key)

    def _entry(self, kind: str, key: str) -> None:
        self.entries.append((kind, key))
        if len(self.entries) == self.die_at:
            raise self.Killed


def run_flow(
    skill: Skill, student: Provider, box: ToolBox, given: Mapping[str, Any] = GIVEN, journal: Memory | None = None
) -> Run:
    import anyio

    executor = WorkflowExecutor(PromptExecutor(student), box, (lambda skill, values: journal) if journal else None)
    return anyio.run(executor.execute, skill, given)
