"""What a step of a workflow costs beside its call: instant tools, an instant model, no journal.

Run: ``python bench/workflow_overhead.py [steps]`` (default 50). Prints microseconds a step for chains and for steps
that run at the same time, of tools and of prompts, and what the same prompt costs as a skill of its own.
"""

from __future__ import annotations

import statistics
import sys
import time
from typing import Any

import anyio

from skillforge.engine.execute import Executor, PromptExecutor
from skillforge.engine.workflow.execute import WorkflowExecutor
from skillforge.messages import Completion, Cost, Message, Request, Tool, Usage
from skillforge.skill import Skill
from skillforge.skillfile import parse_skill
from skillforge.tools.base import ToolOutcome

ROUNDS = 40
READ = {"name": "read", "parameters": {"type": "object", "properties": {"n": {}, "x": {}}}}
ANSWER = Completion(message=Message.of("assistant", "x"), stop="stop", model="m", usage=Usage(), cost=Cost(usd=0.0))


class Instant:
    """A model and a tool that answer at once."""

    name = "instant"
    concurrency = 32
    native_tools = True
    tools = (Tool.model_validate(READ),)
    identity = "instant"

    def fingerprint(self) -> str:
        return "instant"

    def price(self, usage: Usage) -> Cost:
        return Cost(usd=0.0)

    async def complete(self, request: Request) -> Completion:
        return ANSWER

    async def call(self, name: str, arguments: dict[str, Any]) -> ToolOutcome:
        return ToolOutcome(content={"x": 1}, latency_s=0.0)

    async def aclose(self) -> None:
        return None


def flow(steps: list[dict[str, Any]], **more: Any) -> Skill:
    body = {"schema": "skillforge/v1", "name": "bench", "description": "Bench.", "input": {"x": {}}, "output": "text"}
    return parse_skill({**body, "tools": [READ], "steps": steps, "result": "x", **more}, path="bench")


def tool(number: int, *, chain: bool) -> dict[str, Any]:
    given = {"from": f"steps.s{number - 1}.x"} if chain and number else {"from": "x"}
    return {"id": f"s{number}", "tool": "read", "args": {"n": number, "x": given}}


def prompt(number: int, *, chain: bool) -> dict[str, Any]:
    return {"id": f"s{number}", "prompt": f"{{{{ steps.s{number - 1} }}}}" if chain and number else "{{ x }}"}


async def seconds(executor: Executor, skill: Skill) -> float:
    """Of one run, the median of many."""
    took = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        run = await executor.execute(skill, {"x": 1})
        took.append(time.perf_counter() - started)
        assert run.status == "ok", run.reason
    return statistics.median(took)


async def main(count: int) -> None:
    instant = Instant()
    executor = WorkflowExecutor(PromptExecutor(instant), instant)
    print(f"{count} steps, median of {ROUNDS} runs")
    for name, make in (("tool", tool), ("prompt", prompt)):
        for chain in (True, False):
            skill = flow([make(number, chain=chain) for number in range(count)], tools=[READ] if make is tool else [])
            one = await seconds(executor, skill) / count
            print(f"{name:8} {'one after another' if chain else 'at the same time':18} {one * 1e6:7.0f} µs a step")
    alone = flow([], instructions="", prompt="{{ x }}", tools=[], result=None)
    print(f"{'prompt':8} {'as a skill':18} {await seconds(PromptExecutor(instant), alone) * 1e6:7.0f} µs")


if __name__ == "__main__":
    anyio.run(main, int(sys.argv[1]) if len(sys.argv) > 1 else 50)
