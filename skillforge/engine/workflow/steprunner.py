"""What one step does once its turn has come: call a tool, ask a model, or say why the run ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import anyio
import anyio.lowlevel

from skillforge.canonical import compact, digest_bytes
from skillforge.engine.execute import PromptExecutor
from skillforge.engine.journal import StepJournal, StepState
from skillforge.engine.pool import Places
from skillforge.engine.workflow.compiledflow import CompiledFlow
from skillforge.engine.workflow.language import step_input
from skillforge.engine.workflow.sums import NO_USAGE, model_state
from skillforge.engine.workflow.toolcalls import ToolCaller, consent
from skillforge.errors import InvalidInput, ProviderError, ToolUnavailable
from skillforge.references import holds, steps_named
from skillforge.run import Run, StepRun, StepStatus
from skillforge.step import Step

TOOL_PLACES = 8  # calls of tools at once, of one run
UNKNOWN_WRITE = "was started and nobody knows whether it happened"
LOOK = "look whether it did; to begin anew, which would write again: --fresh --yes (fresh=True)"
OTHERWISE = "an earlier process has called it, and now it would be called otherwise or not at all"

Scope = Mapping[str, Any]


@dataclass
class StepRunner:
    """Does the steps of one run and tells the journal of them. ``stopped`` ends that: nothing is begun any more.
    ``under_way`` are the keys of the calls that began and have not ended.

    ``unmet`` are the writes that an earlier process began and that this one has not come to. Not every answer is kept,
    and a question that is asked again may be answered otherwise: whoever then comes to another write makes none.
    ``lost`` are the steps of which it is only known that they were done.
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
    unmet: set[str] = field(init=False)
    lost: frozenset[str] = field(init=False)
    model_places: Places = field(init=False)
    tool_places: Places = field(init=False)

    def __post_init__(self) -> None:
        self.kept = self.journal.finished() if self.journal is not None else {}
        self.begun = self.journal.started() if self.journal is not None else frozenset()
        self.unmet = {key for key in (*self.kept, *self.begun) if key.partition("[")[0] in self.flow.graph.writes}
        self.lost = frozenset(key.partition("[")[0] for key, state in self.kept.items() if state.lost)
        self.model_places = Places(self.prompts.concurrency)
        self.tool_places = Places(TOOL_PLACES)

    async def do(self, step: Step, key: str, scope: Scope) -> StepState | None:
        """One step, or one element of it; ``None`` where the run was stopped before it began.

        What goes wrong is in the state. ``error`` is the first failure of a model's provider.
        """
        if self.stopped:
            return None
        await anyio.lowlevel.checkpoint_if_cancelled()  # a write before it was shielded from that
        kept, wrote, lost = self.kept.get(key), key in self.unmet, self.lost_for([step.args, step.when, step.each])
        self.unmet.discard(key)
        if kept is not None and (lost or not wrote):
            return _resumed(kept)
        if lost:
            return _state(step, key, "escalated", lost)
        try:
            if step.when is not None and not holds(step.when, scope):
                return _state(step, key, "escalated", OTHERWISE) if wrote else _state(step, key, "skipped")
            return await self._do(step, key, scope)
        except InvalidInput as exc:
            return _state(step, key, "failed", str(exc))
        except RecursionError:
            return _state(step, key, "failed", "a value is nested too deeply")

    def lost_for(self, values: Any) -> str:
        """Why these references cannot be followed; "" where they can."""
        lost = ", ".join(sorted(self.lost & steps_named(values)))
        return f"what {lost} gave to an earlier process was not kept" if lost else ""

    async def _do(self, step: Step, key: str, scope: Scope) -> StepState | None:
        if step.kind == "escalate":
            return _state(step, key, "escalated", step.escalate)
        if self._in_doubt(step, key):
            return _state(step, key, "escalated", f"{step.tool or step.id} {UNKNOWN_WRITE}: {LOOK}")
        kept = self.kept.get(key)
        if self.unmet and kept is None and key not in self.begun and step.id in self.flow.graph.writes:
            return _state(step, key, "escalated", f"an earlier process has written otherwise: {told(self.unmet)}")
        if step.kind == "tool":
            return await self._tool(step, key, scope)
        if kept is not None:
            return _resumed(kept)
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
        if (kept := self.kept.get(key)) is not None:
            same = kept.said in ("", self._said(arguments))
            return _resumed(kept) if same else _state(step, key, "escalated", OTHERWISE)
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
            state = StepState(run=run, said=self._said(arguments) if step.id in self.flow.graph.writes else "")
        return await self._finished(state)

    def _said(self, arguments: dict[str, Any]) -> str:
        """What a call said, as far as it must be known to be the same: values are not always kept."""
        return digest_bytes(compact([self.caller.run_id, arguments]).encode("utf-8", "backslashreplace"))

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


def _resumed(kept: StepState) -> StepState:
    return kept.model_copy(update={"run": kept.run.model_copy(update={"resumed": True})})


def told(keys: Iterable[str]) -> str:
    return ", ".join(sorted(keys))


def _asked(key: str, run: Run) -> StepRun:
    return StepRun(key=key, kind="prompt", status=run.status, reason=run.reason, output=run.output, checks=run.checks)
