"""Run a workflow: every step as soon as what it waits for is there, a model only where a step needs language."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from skillforge.checks import require_bound
from skillforge.engine.execute import PromptExecutor, Tried
from skillforge.engine.frame import complete_input
from skillforge.engine.journal import StepJournal
from skillforge.engine.workflow.compiledflow import compiled_flow
from skillforge.engine.workflow.graph import writing_tools
from skillforge.engine.workflow.schedule import Schedule
from skillforge.engine.workflow.steprunner import StepRunner
from skillforge.engine.workflow.toolcalls import ToolCaller
from skillforge.errors import Halt
from skillforge.run import Run
from skillforge.skill import Skill
from skillforge.tools.base import ToolBox
from skillforge.tools.binding import bind

OpenJournal = Callable[[Skill, Mapping[str, Any]], StepJournal]


@dataclass(frozen=True)
class WorkflowExecutor:
    """A model and tools. A skill without steps goes to ``prompts``.

    ``journal`` opens the journal of one run, given skill and completed input: steps that it holds as finished are taken
    over, and its run id is what idempotency keys are made of. Without one nothing can be resumed.

    How a run ends: ``ok``; ``failed`` where an answer stayed wrong, a reference found nothing, arguments do not fit
    their tool or the result does not fit the contract; ``escalated`` by a step, a check, a limit, a tool that said no,
    or a write of which nobody knows whether it happened; ``error`` where a model or a tool could not be reached: what
    is finished stays so, and the run can be taken up again.
    """

    prompts: PromptExecutor
    box: ToolBox
    journal: OpenJournal | None = field(default=None, compare=False)

    @property
    def student(self) -> str:
        return self.prompts.student

    @property
    def concurrency(self) -> int:
        return self.prompts.concurrency

    @property
    def identity(self) -> str:
        return f"{self.prompts.identity} tools {self.box.identity}"

    async def execute(self, skill: Skill, given: Mapping[str, Any], epoch: int = 0) -> Run:
        """Raises ``InvalidInput`` when the input does not fit the contract, ``UsageError`` for a tool or a custom check
        that nobody gave, and a ``Halt``, when what was under way has ended; everything later is in the ``Run``.
        """
        tried = await self.tried(skill, given, epoch)
        if isinstance(tried.error, Halt):
            raise tried.error
        return tried.run

    async def tried(self, skill: Skill, given: Mapping[str, Any], epoch: int = 0) -> Tried:
        """The same with the provider's error beside the run, a ``Halt`` too: whoever has another model goes on, from
        the first step that has no answer where both are given the journal of one run.
        """
        if not skill.steps:
            return await self.prompts.tried(skill, given, epoch)
        values = complete_input(skill, given)
        for checks in (skill.checks, *(step.checks for step in skill.steps)):
            require_bound(checks, self.prompts.custom_checks)
        runner = self._runner(skill, values, epoch)
        run = await Schedule(skill, values, runner).run()
        return Tried(run, runner.error if run.status == "error" else None)

    def _runner(self, skill: Skill, values: Mapping[str, Any], epoch: int) -> StepRunner:
        box = bind(self.box, skill.tools)
        flow = compiled_flow(skill, writing_tools(box.tools))
        journal = self.journal(skill, values) if self.journal is not None else None
        run_id = journal.run_id if journal is not None else uuid.uuid4().hex
        tools = {tool.name: tool for tool in box.tools}
        caller = ToolCaller(box, tools, flow.arguments, run_id)
        return StepRunner(prompts=self.prompts, flow=flow, caller=caller, journal=journal, epoch=epoch)
