"""The order of one run: what is ready starts, what fails ends the others, and what came of it becomes a ``Run``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio
from anyio.abc import TaskGroup

from skillforge.checks import run_checks
from skillforge.engine.compiled import compiled
from skillforge.engine.journal import StepState
from skillforge.engine.pool import for_each
from skillforge.engine.recorded import fitting
from skillforge.engine.workflow.clock import Lanes
from skillforge.engine.workflow.steprunner import TOOL_PLACES, StepRunner, told
from skillforge.engine.workflow.sums import NO_USAGE, cost_of, usage_of
from skillforge.errors import InvalidInput
from skillforge.messages import Cost
from skillforge.references import resolve
from skillforge.run import Attempt, CheckResult, Run, RunStatus, StepRun
from skillforge.skill import Skill
from skillforge.step import Step

MAX_ELEMENTS = 1_000  # of one list: each is a call


class Schedule:
    """One run under way. A chain of steps is one task; where several become ready at once, each more is a new one.

    What is final (``failed``, ``escalated``) cancels what else is under way, except writes. Where no answer came
    (``error``) nothing new is begun and what is under way is waited for: it may have been paid for, and
    whoever takes the run up again need not ask it twice.
    """

    def __init__(self, skill: Skill, values: dict[str, Any], runner: StepRunner) -> None:
        self._skill = skill
        self._input = values
        self._runner = runner
        self._graph = runner.flow.graph
        self._values: dict[str, Any] = {}  # of the steps that have ended
        self._scope = {**values, "steps": self._values}
        self._left = {step: len(needs) for step, needs in self._graph.needs.items()}
        self._steps: list[StepRun] = []
        self._attempts: list[Attempt] = []
        self._ended: tuple[RunStatus, str] | None = None
        self._failure: Exception | None = None
        self._ends: dict[str, float] = {}  # seconds after the start
        self._last = 0.0
        self._timed = True
        self._lanes = {"tool": Lanes(TOOL_PLACES), "model": Lanes(runner.prompts.concurrency)}

    async def run(self) -> Run:
        """Raises what a tool or the journal raises beyond what a step can say, as it is."""
        ready = [step for step in self._skill.steps if not self._left[step.id]]
        async with anyio.create_task_group() as group:
            for step in ready:
                group.start_soon(self._chain, group, step)
        if self._failure is not None:
            raise self._failure
        return self._result()

    async def _chain(self, group: TaskGroup, step: Step) -> None:
        following: Step | None = step
        try:
            while following is not None and not self._runner.stopped:
                following = await self._step(group, following)
        except Exception as exc:
            self._failure = self._failure or exc
            self._runner.stopped = True
            group.cancel_scope.cancel()

    async def _step(self, group: TaskGroup, step: Step) -> Step | None:
        """Do one step; the first of those that wait for nothing else any more."""
        ready = max((self._ends[need] for need in self._graph.needs[step.id]), default=0.0)
        value, self._ends[step.id] = await self._value(group, step, ready)
        if self._runner.stopped:
            return None
        self._values[step.id] = value
        following: list[Step] = []
        for name in self._graph.followers[step.id]:
            self._left[name] -= 1
            if not self._left[name]:
                following.append(self._runner.flow.steps[name])
        following.sort(key=lambda other: other.kind != "escalate")  # before anything else is paid for
        for other in following[1:]:
            group.start_soon(self._chain, group, other)
        return following[0] if following else None

    async def _value(self, group: TaskGroup, step: Step, ready: float) -> tuple[Any, float]:
        """The step's value and when it has it."""
        if step.each is None:
            return await self._one(group, step, step.id, self._scope, ready)
        if lost := self._runner.lost_for(step.each):
            return self._take(group, step, _of(step, "escalated", lost), ready)
        try:
            elements = self._elements(step)
        except InvalidInput as exc:
            self._take(group, step, _of(step, "failed", str(exc)), ready)
            return None, ready
        if not elements:
            return self._take(group, step, _of(step, "ok", "", output=[]), ready)
        made: list[tuple[Any, float]] = [(None, ready)] * len(elements)

        async def one(number: int) -> None:
            begins = made[number - 1][1] if writes and number else ready
            scope = {**self._scope, "item": elements[number]}
            made[number] = await self._one(group, step, f"{step.id}[{number}]", scope, begins)

        # what is written is written in the order of the list
        writes = step.id in self._graph.writes
        places = TOOL_PLACES if step.kind == "tool" else self._runner.prompts.concurrency
        await for_each(range(len(elements)), one, concurrency=1 if writes else min(len(elements), places))
        return [value for value, _ in made], max(end for _, end in made)

    def _elements(self, step: Step) -> list[Any]:
        elements = resolve(step.each, self._scope)
        path = (step.each or {}).get("from", "each")
        if elements is None:
            return []  # of a step that was skipped
        if not isinstance(elements, list | tuple):
            raise InvalidInput(f"{path} is no list, so there is nothing to do for each of it")
        if len(elements) > MAX_ELEMENTS:
            raise InvalidInput(f"{path} has {len(elements):,} elements, more than {MAX_ELEMENTS:,}")
        return list(elements)

    async def _one(
        self, group: TaskGroup, step: Step, key: str, scope: Mapping[str, Any], ready: float
    ) -> tuple[Any, float]:
        try:
            state = await self._runner.do(step, key, scope)
        except anyio.get_cancelled_exc_class():
            self._cut(step, key)
            raise
        return (None, ready) if state is None else self._take(group, step, state, ready)

    def _take(self, group: TaskGroup, step: Step, state: StepState, ready: float) -> tuple[Any, float]:
        """Book what a step did; its value and when it had it."""
        run = state.run
        self._steps.append(run)
        self._attempts += state.attempts
        seconds = run.latency_s or 0.0
        self._timed = self._timed and run.latency_s is not None
        lane = self._lanes["tool" if run.kind == "tool" else "model"]
        end = lane.call(ready, seconds) if seconds else ready
        self._last = max(self._last, end)
        if run.status != "ok" and run.status != "skipped":
            self._runner.stopped = True
            self._ended = self._ended or (run.status, f"{run.key}: {run.reason}")
            if run.status != "error":  # final
                group.cancel_scope.cancel()
        return run.output, end

    def _cut(self, step: Step, key: str) -> None:
        """A call that was stopped because another step ended the run. What a model's cost nobody knows."""
        if key not in self._runner.under_way:
            return
        reason = "stopped: another step ended the run"
        if step.kind in ("prompt", "agent"):
            self._attempts.append(Attempt(kind="student", error=reason, cost=Cost(), step=key))
            self._steps.append(StepRun(key=key, kind=step.kind, status="error", reason=reason, cost=Cost()))
        else:
            self._steps.append(StepRun(key=key, kind=step.kind, status="error", reason=reason, usage=NO_USAGE))

    def _result(self) -> Run:
        ended, output, checks = (self._ended, None, ()) if self._ended is not None else self._answer()
        status, reason = ended
        if self._runner.unmet and status != "error":
            wrote = f"an earlier process has written what this one did not come to: {told(self._runner.unmet)}"
            status, reason = "escalated" if status == "ok" else status, f"{reason}; {wrote}" if reason else wrote
        attempts = tuple(self._attempts)
        models = [attempt.model for attempt in attempts if attempt.model]
        return Run(
            skill=self._skill.name,
            digest=compiled(self._skill).digest,
            student=self._runner.prompts.student,
            model=models[-1] if models else "",
            status=status,
            reason=reason,
            input=self._input,
            output=output,
            checks=checks,
            attempts=attempts,
            usage=usage_of(attempts),
            cost=cost_of(attempts),
            latency_s=self._last if self._timed else None,
            steps=tuple(self._steps),
        )

    def _answer(self) -> tuple[tuple[RunStatus, str], Any, tuple[CheckResult, ...]]:
        """The result, held to the contract and the checks of the whole skill. Nothing repairs it any more."""
        skill = self._skill
        result = {"from": f"steps.{skill.steps[-1].id}"} if skill.result is None else skill.result
        if lost := self._runner.lost_for(result):
            return ("escalated", f"result: {lost}"), None, ()
        try:
            value = resolve(result, self._scope)
        except InvalidInput as exc:
            return ("failed", f"result: {exc}"), None, ()
        output, problems = fitting(skill, value)
        if problems:
            return ("failed", f"result: {'; '.join(problems)}"), None, ()
        if skill.output != "text":
            output = {name: output[name] for name in skill.output if name in output}
        checks = run_checks(skill.checks, output, self._input, self._runner.prompts.custom_checks)
        wrong = [check for check in checks if not check.passed and check.on_fail != "warn"]
        failed = [f"check {check.type}: {check.reason}" for check in wrong if check.on_fail == "repair"]
        if failed:
            return ("failed", "; ".join(failed)), output, checks
        if wrong:
            return ("escalated", "; ".join(check.reason for check in wrong)), output, checks
        return ("ok", ""), output, checks


def _of(step: Step, status: Any, reason: str, output: Any = None) -> StepState:
    return StepState(
        run=StepRun(
            key=step.id, kind=step.kind, status=status, reason=reason, output=output, usage=NO_USAGE, latency_s=0.0
        )
    )
