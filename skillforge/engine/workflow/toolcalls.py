"""One call of a tool as a step makes it: arguments that fit, the key that makes a repeat the same call, retries."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from skillforge.canonical import compact, digest
from skillforge.contract import Validator
from skillforge.engine.workflow.sums import NO_USAGE
from skillforge.errors import InvalidInput
from skillforge.messages import Tool
from skillforge.references import Scope, resolve
from skillforge.run import StepRun
from skillforge.step import Step
from skillforge.tools.base import ToolBox
from skillforge.tools.guard import Guarded

_SHOWN = 500  # characters of what a tool says is wrong


@dataclass(frozen=True)
class ToolCaller:
    """Makes the calls of tool steps on a box. ``run_id`` stays the same over all processes that work on a run."""

    box: ToolBox
    tools: Mapping[str, Tool]
    validators: Mapping[str, Validator]
    run_id: str

    def arguments(self, step: Step, key: str, scope: Scope) -> dict[str, Any]:
        """What the tool is given: references resolved, the idempotency key filled in.

        Raises ``InvalidInput`` for what is not there or does not fit the tool's parameters: nothing was called then.
        """
        tool = self.tools[step.tool or ""]
        arguments = {name: _copied(resolve(value, scope)) for name, value in step.args.items()}
        if tool.idempotency_key:
            arguments[tool.idempotency_key] = digest([self.run_id, key])
        problems = self.validators[tool.name].problems(arguments)
        if problems:
            raise InvalidInput(f"the arguments do not fit {tool.name}: {'; '.join(problems)}")
        return arguments

    async def call(self, step: Step, key: str, arguments: dict[str, Any]) -> StepRun:
        """The call, and again up to ``step.retry`` times where the tool says no. A call that writes is repeated only
        under an idempotency key.

        Raises ``ToolUnavailable``.
        """
        tool = self.tools[step.tool or ""]
        tries, seconds = 0, 0.0
        again = 0 if tool.effect == "write" and not tool.idempotency_key else step.retry
        while True:
            tries += 1
            started = time.perf_counter()
            outcome = await self.box.call(tool.name, _copied(arguments))
            took = outcome.latency_s
            seconds += took if took is not None else time.perf_counter() - started
            if not outcome.is_error or tries > again:
                break
        known = StepRun(
            key=key,
            kind="tool",
            status="ok",
            tool=tool.name,
            arguments=arguments,
            output=outcome.content,
            tries=tries,
            usage=NO_USAGE,
            latency_s=seconds,
        )
        if not outcome.is_error:
            return known
        said = outcome.content if isinstance(outcome.content, str) else compact(outcome.content)
        if step.on_error == "continue":
            return known.model_copy(update={"output": {"error": said}, "reason": f"{tool.name}: {said[:_SHOWN]}"})
        return known.model_copy(update={"status": "escalated", "reason": f"{tool.name}: {said[:_SHOWN]}"})


async def consent(box: ToolBox, tool: Tool, arguments: dict[str, Any]) -> bool:
    """Whether a call may write. A person is asked before it is begun, while an interrupt is still heard; the box, which
    asks again, is given the same answer.
    """
    return not isinstance(box, Guarded) or await box.answers.allow(tool, arguments)


def _copied(value: Any) -> Any:
    """A tool may change what it is given: the values of other steps must not change with it."""
    if isinstance(value, dict):
        return {key: _copied(inner) for key, inner in value.items()}
    return [_copied(inner) for inner in value] if isinstance(value, list | tuple) else value
