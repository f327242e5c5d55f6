"""A workflow that hands its model's error over, for whoever has another model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from skillforge.engine.compiled import compiled
from skillforge.engine.execute import Tried
from skillforge.engine.workflow.execute import WorkflowExecutor
from skillforge.errors import Halt, ProviderError
from skillforge.messages import Completion, Cost, Request, Usage
from skillforge.providers.base import Provider
from skillforge.run import Run
from skillforge.skill import Skill


@dataclass(frozen=True)
class TriedWorkflow:
    """A workflow whose model may have another one behind it. Both work on one journal: the other goes on after the
    last finished step. A tool that cannot be reached is no error of the model.
    """

    executor: WorkflowExecutor

    @property
    def concurrency(self) -> int:
        return self.executor.concurrency

    @property
    def identity(self) -> str:
        return self.executor.identity

    async def tried(self, skill: Skill, given: Mapping[str, Any], epoch: int = 0) -> Tried:
        prompts = self.executor.prompts
        noting = _Noting(prompts.provider)
        executor = replace(self.executor, prompts=replace(prompts, provider=noting))
        try:
            run = await executor.execute(skill, given, epoch)
        except Halt as exc:
            run = Run(
                skill=skill.name,
                digest=compiled(skill).digest,
                student=self.executor.student,
                status="error",
                reason=str(exc),
                input=dict(given),
                cost=Cost(usd=0.0),
            )
            return Tried(run, exc)
        said = {attempt.error for attempt in run.attempts if attempt.error}
        return Tried(run, noting.error if run.status == "error" and str(noting.error) in said else None)


class _Noting:
    """A model whose last error is remembered."""

    def __init__(self, base: Provider) -> None:
        self._base = base
        self.error: ProviderError | None = None

    @property
    def name(self) -> str:
        return self._base.name

    @property
    def concurrency(self) -> int:
        return self._base.concurrency

    @property
    def native_tools(self) -> bool:
        return self._base.native_tools

    def fingerprint(self) -> str:
        return self._base.fingerprint()

    def price(self, usage: Usage) -> Cost:
        return self._base.price(usage)

    async def complete(self, request: Request) -> Completion:
        try:
            return await self._base.complete(request)
        except ProviderError as exc:
            self.error = exc
            raise

    async def aclose(self) -> None:
        """Nothing: it is another's to close."""
