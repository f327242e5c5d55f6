"""Another model answers when the student cannot. It decides on an *error*; a wrong answer is the student's own."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import Any, cast

from skillforge.engine.execute import Executor, Tried
from skillforge.errors import (
    BudgetReached,
    Halt,
    ProviderError,
    RateLimited,
    RequestRejected,
    RetryableError,
    SkillforgeError,
)
from skillforge.providers.breaker import is_404
from skillforge.run import Run
from skillforge.skill import Skill

REST_S = 30.0  # a model that could not answer is left alone for so long; then one call looks whether it can again
LEAST_REST_S = 1.0


@dataclass
class Rest:
    """Whether a model that failed is left alone. Shared by all calls of that model in one process, on one event loop.

    ``clock`` gives seconds.
    """

    clock: Callable[[], float] = time.monotonic
    reason: str = ""  # why it rests; empty while it does not
    _until: float = 0.0
    _looking: bool = False  # one call tries it again, the others wait for what comes of that

    def skips(self) -> bool:
        """Whether the next call should leave the model alone. A call that is let through must say how it ended."""
        if not self.reason:
            return False
        if self._looking or self.clock() < self._until:
            return True
        self._looking = True
        return False

    def answered(self) -> None:
        self.reason = ""
        self._looking = False

    def failed(self, reason: str, seconds: float) -> None:
        self.reason = reason
        self._until = self.clock() + seconds
        self._looking = False

    def undecided(self) -> None:
        """The call said nothing about the model: it was cancelled, or never reached it."""
        self._looking = False


async def attempted(executor: Executor, skill: Skill, given: Mapping[str, Any], epoch: int = 0) -> Tried:
    """One run with the provider's error beside it, a ``Halt`` too. Executors that know both say so by ``tried``."""
    tried = getattr(executor, "tried", None)
    if tried is not None:
        return cast(Tried, await tried(skill, given, epoch))
    try:
        run = await executor.execute(skill, given, epoch)
    except ProviderError as exc:
        told = f"{exc} ({exc.hint})" if exc.hint else str(exc)
        values = dict(given)
        run = Run(skill=skill.name, digest=skill.digest(), student=executor.student, status="error", input=values)
        return Tried(run.model_copy(update={"reason": told}), exc)
    return Tried(run, ProviderError(run.reason) if run.status == "error" else None)


@dataclass(frozen=True)
class FallbackExecutor:
    """The ``primary`` model; where it gives no answer, ``fallback`` runs the same skill on the same input.

    ``open_model`` makes the executor of a model, not before it is needed: whoever rests is not asked for a key. The run
    says in ``fallback`` why another model answered, ``student`` then is that one; its attempts, usage and cost are both
    models'. Where neither answers the run is an error that names both. Nothing falls back on a reached budget.
    """

    primary: str
    fallback: str
    open_model: Callable[[str], Executor]
    rest: Rest = field(default_factory=Rest)

    @property
    def student(self) -> str:
        return self.primary

    @property
    def concurrency(self) -> int:
        return self.open_model(self.primary).concurrency

    @property
    def identity(self) -> str:
        return f"{self.open_model(self.primary).identity} else {self.open_model(self.fallback).identity}"

    async def execute(self, skill: Skill, given: Mapping[str, Any], epoch: int = 0) -> Run:
        """Raises ``InvalidInput`` and ``UsageError`` as a single model does, and ``BudgetReached``."""
        if self.rest.skips():
            return await self._fall_back(skill, given, epoch, None, self.rest.reason)
        try:
            tried = await attempted(self.open_model(self.primary), skill, given, epoch)
        except BaseException:
            self.rest.undecided()
            raise
        if tried.error is None:
            if tried.run.attempts:
                self.rest.answered()
            else:
                self.rest.undecided()
            return tried.run
        if isinstance(tried.error, BudgetReached):
            self.rest.undecided()
            raise tried.error
        why = f"{self.primary} could not answer: {_said(self.primary, tried)}"
        if _concerns_all(tried.error):
            self.rest.failed(why, _rest_s(tried.error))
        else:
            self.rest.undecided()
        return await self._fall_back(skill, given, epoch, tried.run, why)

    async def _fall_back(self, skill: Skill, given: Mapping[str, Any], epoch: int, first: Run | None, why: str) -> Run:
        try:
            executor = self.open_model(self.fallback)
        except SkillforgeError as exc:  # no key, no such file: found out too late to hide why it was needed
            raise ProviderError(f"{why}; {self.fallback} could not answer either: {exc}", hint=exc.hint) from exc
        tried = await attempted(executor, skill, given, epoch)
        if isinstance(tried.error, BudgetReached):
            raise tried.error
        run = tried.run if first is None else after(first, tried.run)
        if tried.error is None:
            return run.model_copy(update={"fallback": why})
        neither = f"{why}; {self.fallback} could not answer either: {_said(self.fallback, tried)}"
        return run.model_copy(update={"fallback": why, "reason": neither})


def _concerns_all(error: ProviderError) -> bool:
    """Whether the next call would most likely fail too; a request that was refused as it is says nothing of others."""
    return isinstance(error, Halt | RetryableError) or (isinstance(error, RequestRejected) and is_404(error))


def _rest_s(error: ProviderError) -> float:
    """Less where the server says itself when it takes calls again: a rate limit may be over in a second."""
    asked = error.retry_after_s if isinstance(error, RateLimited) else None
    return REST_S if asked is None else min(max(asked, LEAST_REST_S), REST_S)


def _said(model: str, tried: Tried) -> str:
    return " ".join(str(tried.error).removeprefix(f"{model}: ").split())


def after(first: Run, second: Run) -> Run:
    """The second run with the first one's attempts before its own. What a refused call used is nothing, not unknown.

    Of a workflow those are left out that the second run has itself: of steps that it took over, and answers that were
    kept for it (their ``calls`` are none).
    """
    taken = {step.key for step in second.steps if step.resumed}
    kept = {attempt.step for attempt in second.attempts if not attempt.calls}
    before = [
        attempt
        for attempt in first.attempts
        if not attempt.step or (attempt.step not in taken and (attempt.error or attempt.step not in kept))
    ]
    asked = [attempt.usage for attempt in before if not (attempt.error and attempt.cost.usd == 0.0)]
    latencies = [second.latency_s, *([first.latency_s] if not second.steps else [each.latency_s for each in before])]
    costs = [first.cost] if not second.steps else [each.cost for each in before]
    return second.model_copy(
        update={
            "attempts": (*before, *second.attempts),
            "usage": reduce(add, asked, second.usage),
            "cost": reduce(add, costs, second.cost),
            "latency_s": None if None in latencies else sum(value or 0.0 for value in latencies),
        }
    )
