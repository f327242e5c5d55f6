"""A step that is a bounded tool loop: the model may look around, its answer is held to the step's contract."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio

from skillforge.canonical import digest
from skillforge.checks import run_checks
from skillforge.engine.agent.limits import LoopLimits
from skillforge.engine.agent.loop import LoopResult, run_loop
from skillforge.engine.execute import PromptExecutor
from skillforge.engine.frame import epoch_role, repair_request, student_request
from skillforge.engine.journal import StepState
from skillforge.engine.parse import parse_output
from skillforge.engine.workflow.sums import model_state
from skillforge.engine.workflow.toolcalls import consent
from skillforge.errors import ContextOverflow, ProviderError, ToolUnavailable, UnknownRequest
from skillforge.messages import Request, Tool, ToolCall
from skillforge.run import Attempt, CheckResult, StepRun, StepStatus
from skillforge.skill import Skill
from skillforge.step import Agent
from skillforge.tokens import estimate_tokens
from skillforge.tools.base import ToolBox, ToolOutcome

BeforeWrite = Callable[[], Awaitable[None]]


@dataclass
class AgentStep:
    """One loop under way. ``small`` is the step as a small skill, ``key`` the step's, ``run_id`` the run's.

    ``before_write`` is awaited before the first call that writes: from then on nobody may do the step again.
    """

    prompts: PromptExecutor
    small: Skill
    agent: Agent
    box: ToolBox
    key: str
    run_id: str
    before_write: BeforeWrite
    attempts: list[Attempt] = field(default_factory=list)
    called: list[ToolCall] = field(default_factory=list)
    error: ProviderError | None = None
    output: Any = None
    checks: tuple[CheckResult, ...] = ()
    problems: tuple[str, ...] = ()

    async def run(self, given: Mapping[str, Any], epoch: int) -> StepState:
        """What goes wrong is in the state, whose status is that of a run; ``error`` is the provider's failure."""
        try:
            status, reason = await self._run(given, epoch)
        except ContextOverflow as exc:
            status, reason = "escalated", str(exc)
        except (ProviderError, ToolUnavailable) as exc:
            self.error = exc if isinstance(exc, ProviderError) else None
            status, reason = "error", f"{exc} ({exc.hint})" if exc.hint else str(exc)
        return self._state(status, reason)

    async def _run(self, given: Mapping[str, Any], epoch: int) -> tuple[StepStatus, str]:
        role = epoch_role(self.prompts.role, epoch)
        request = student_request(self.small, given, given, role=role, exclude_same=self.prompts.exclude_same)
        if estimate_tokens(request) > (most := self.small.limits.input_tokens):
            return "escalated", f"the input is longer than {most} tokens"
        box = _Chosen(self.box, self.agent.tools, self.before_write)
        result = await self._loop(request, box, self.agent.max_turns)
        if result.stop == "refused":
            return "failed", result.problem
        if result.stop != "answered":
            return "escalated", result.problem
        self._judge(result.text, given)
        if self.problems:
            await self._repair(request, result, box, given)
        if self.problems:
            return "failed", "; ".join(self.problems)
        stopped = [check for check in self.checks if not check.passed and check.on_fail == "escalate"]
        return ("escalated", "; ".join(check.reason for check in stopped)) if stopped else ("ok", "")

    async def _repair(self, request: Request, result: LoopResult, box: ToolBox, given: Mapping[str, Any]) -> None:
        so_far = (*request.messages[:1], *result.messages[1:-1])  # the loop frames the system message itself
        asked = repair_request(request.model_copy(update={"messages": so_far}), result.text, self.problems)
        key = asked.key.model_copy(update={"input": {"given": request.key.input, "answer": digest(result.text)}})
        try:
            again = await self._loop(asked.model_copy(update={"key": key}), box, 1)
        except UnknownRequest:  # a recording holds what was answered, not what would have been
            self.attempts.pop()
            return
        if again.stop == "answered":
            self._judge(again.text, given)

    async def _loop(self, request: Request, box: ToolBox, turns: int) -> LoopResult:
        provider = self.prompts.provider
        run_id = f"{self.run_id} {self.key}"
        result = await run_loop(
            provider, request, box, LoopLimits(turns=turns), on_turn=self.attempts.append, run_id=run_id
        )
        self.called += result.called
        return result

    def _judge(self, text: str, given: Mapping[str, Any]) -> None:
        self.checks = ()
        self.output, self.problems = parse_output(self.small, text)
        if self.output is not None:
            self.checks = run_checks(self.small.checks, self.output, given, self.prompts.custom_checks)
            wrong = (check for check in self.checks if not check.passed and check.on_fail == "repair")
            self.problems = tuple(f"check {check.type}: {check.reason}" for check in wrong)
        if self.attempts:
            self.attempts[-1] = self.attempts[-1].model_copy(update={"problems": self.problems})

    def _state(self, status: StepStatus, reason: str) -> StepState:
        run = StepRun(
            key=self.key,
            kind="agent",
            status=status,
            reason=reason,
            output=self.output,
            called=tuple(self.called),
            checks=self.checks,
        )
        return model_state(run, self.attempts)


class _Chosen:
    """The tools of one agent. A write that was begun is waited for, whatever else ends the run meanwhile."""

    def __init__(self, box: ToolBox, names: tuple[str, ...], before_write: BeforeWrite) -> None:
        self._box = box
        self._names = names
        self._before_write = before_write

    @property
    def tools(self) -> tuple[Tool, ...]:
        known = {tool.name: tool for tool in self._box.tools}
        return tuple(known[name] for name in self._names)

    @property
    def identity(self) -> str:
        return self._box.identity

    async def call(self, name: str, arguments: dict[str, Any]) -> ToolOutcome:
        tool = next(tool for tool in self.tools if tool.name == name)
        if tool.effect == "read" or not await consent(self._box, tool, arguments):
            return await self._box.call(name, arguments)
        with anyio.CancelScope(shield=True):
            await self._before_write()
            return await self._box.call(name, arguments)
        raise AssertionError("unreachable")

    async def aclose(self) -> None:
        """The box is the run's."""
