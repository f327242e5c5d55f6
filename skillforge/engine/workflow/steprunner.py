"""What one step does once its turn has come: call a tool, ask a model, or say why the run ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import anyio
import anyio.lowlevel

from skillforge.engine.execute import PromptExecutor
from skillforge.engine.journal import StepJournal, StepState
from skillforge.engine.pool import Places
from skillforge.engine.workflow.compiledflow import CompiledFlow
from skillforge.engine.workflow.language import step_input
from skillforge.engine.workflow.sums import NO_USAGE, model_state
from skillforge.engine.workflow.toolcalls import ToolCaller, consent
from skillforge.errors import InvalidInput, ProviderError, ToolUnavailable
from skillforge.references import holds
from skillforge.run import Run, StepRun, StepStatus
from skillforge.step import Step

TOOL_PLACES = 8  # calls of tools at once, of one run
UNKNOWN_WRITE = "was started and nobody knows whether it happened"

Scope = Mapping[str, Any]


@dataclass
class StepRunner:
    """Does the steps of one run and tells the journal of them. ``stopped`` ends that: nothing is begun any more.
    ``under_way`` are the keys of the calls that began and have not ended.
    """

    prompts: PromptExecutor
    flow: CompiledFlow
    caller: ToolCaller
    journal: StepJournal | None
    epoch: int
    stopped: bool = False
    error: ProviderError | None = None
    under_way: set[str] = field(default_factory=set)
    kept: dict[str, StepState] = field(init=False)
    begun: frozenset[str] = field(init=False)
    model_places: Places = field(init=False)
    tool_places: Places = field(init=False)

    def __post_init__(self) -> None:
        self.kept = self.journal.finished() if self.journal is not None else {}
        self.begun = self.journal.started() if self.journal is not None else frozenset()
        self.model_places = Places(self.prompts.concurrency)
        self.tool_places = Places(TOOL_PLACES)

    async def do(self, step: Step, key: str, scope: Scope) -> StepState | None:
        """One step, or one element of it; ``None`` where the run was stopped before it began.

        What goes wrong is in the state. ``error`` is the first failure of a model's provider.
        """
        if self.stopped:
            return None
        await anyio.lowlevel.checkpoint_if_cancelled()  # a write before it was shielded from that
        if (kept := self.kept.get(key)) is not None:
            return kept.model_copy(update={"run": kept.run.model_copy(update={"resumed": True})})
        try:
            if step.when is not None and not holds(step.when, scope):
                return _state(step, key, "skipped")
            return await self._do(step, key, scope)
        except InvalidInput as exc:
            return _state(step, key, "failed", str(exc))
        except RecursionError:
            return _state(step, key, "failed", "a value is nested too deeply")

    async def _do(self, step: Step, key: str, scope: Scope) -> StepState | None:
        if step.kind == "escalate":
            return _state(step, key, "escalated", step.escalate)
        if self._in_doubt(step, key):
            return _state(step, key, "escalated", f"{step.tool or step.id} {UNKNOWN_WRITE}")
        if step.kind == "tool":
            return await self._tool(step, key, scope)
        async with self.model_places:
            if self.stopped:
                return None
            return await (self._agent if step.kind == "agent" else self._prompt)(step, key, scope)

    def _in_doubt(self, step: Step, key: str) -> bool:
        """Whether an earlier process began what may have changed the world and can not be told to be the same again."""
        if key not in self.begun or step.id not in self.flow.graph.writes:
            return False
        return step.tool is None or not self.caller.tools[step.tool].idempotency_key

    async def _tool(self, step: Step, key: str, scope: Scope) -> StepState | None:
        arguments = self.caller.arguments(step, key, scope)
        async with self.tool_places:
            if self.stopped:
                return None
            tool = self.caller.tools[step.tool or ""]
            allowed = tool.effect == "read" or await consent(self.caller.box, tool, arguments)
            if self.stopped:
                return None
            # a write that was begun is waited for, and written down, whatever else ends the run meanwhile
            with anyio.CancelScope(shield=tool.effect == "write"):
                return await self._called(step, key, arguments, begins=allowed)
        raise AssertionError("unreachable")

    async def _called(self, step: Step, key: str, arguments: dict[str, Any], *, begins: bool) -> StepState:
        if begins:
            await self._start(key)
        self.under_way.add(key)
        try:
            run = await self.caller.call(step, key, arguments)
        except ToolUnavailable as exc:
            reason = f"{exc} ({exc.hint})" if exc.hint else str(exc)
            state = _state(step, key, "error", reason, tool=step.tool or "", arguments=arguments, tries=1)
        else:
            state = StepState(run=run)
        return await self._finished(state)

    async def _prompt(self, step: Step, key: str, scope: Scope) -> StepState:
        small = self.flow.small[step.id]
        given = step_input(small, scope, self.flow.graph.shown[step.id])
        await self._start(key)
        self.under_way.add(key)
        tried = await self._of_step(step).tried(small, given, self.epoch)
        self.error = self.error or tried.error
        return await self._finished(model_state(_asked(key, tried.run), tried.run.attempts))

    async def _agent(self, step: Step, key: str, scope: Scope) -> StepState:
        from skillforge.engine.workflow.agentstep import AgentStep

        assert step.agent is not None
        small = self.flow.small[step.id]
        given = step_input(small, scope, self.flow.graph.shown[step.id])
        work = AgentStep(
            prompts=self._of_step(step),
            small=small,
            agent=step.agent,
            box=self.caller.box,
            key=key,
            run_id=self.caller.run_id,
            before_write=lambda: self._start(key),
        )
        self.under_way.add(key)
        state = await work.run(given, self.epoch)
        self.error = self.error or work.error
        return await self._finished(state)

    def _of_step(self, step: Step) -> PromptExecutor:
        return replace(self.prompts, role=f"{self.prompts.role}:{step.id}")

    async def _start(self, key: str) -> None:
        if self.journal is not None:
            await self.journal.start(key)

    async def _finished(self, state: StepState) -> StepState:
        """Kept for good before anything is made of it; not so where no answer came: that is asked for again."""
        self.under_way.discard(state.run.key)
        if self.journal is not None and state.run.status != "error":
            with anyio.CancelScope(shield=True):
                await self.journal.finish(state.run.key, state)
        return state


def _state(step: Step, key: str, status: StepStatus, reason: str = "", **more: Any) -> StepState:
    run = StepRun(key=key, kind=step.kind, status=status, reason=reason, usage=NO_USAGE, latency_s=0.0, **more)
    return StepState(run=run)


def _asked(key: str, run: Run) -> StepRun:
    return StepRun(key=key, kind="prompt", status=run.status, reason=run.reason, output=run.output, checks=run.checks)
