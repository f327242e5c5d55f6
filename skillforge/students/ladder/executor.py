"""A ladder of students as one executor: the cheapest is asked first, what it cannot answer well goes one rung up."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, Literal

from skillforge.canonical import digest
from skillforge.engine.compiled import compiled
from skillforge.engine.execute import Executor, Tried
from skillforge.engine.fallback import after, attempted
from skillforge.engine.frame import complete_input
from skillforge.errors import BudgetReached, LimitReached, ProviderError
from skillforge.evals.running.arms import ArmKind
from skillforge.ladder import LadderSpec, RungSpec, threshold_text
from skillforge.messages import Cost
from skillforge.run import Run, Rung
from skillforge.skill import Skill

_SHOWN = 300  # characters of why an input went up


@dataclass(frozen=True)
class LadderRung:
    """Who stands on a rung. ``form`` is what it runs in the skill's place (its variant; the bare prompt of a teacher).

    ``arm`` is the kind of arm that asks the same in an eval, ``most`` how many answers to one input it holds (``None``:
    as many as it is asked for).
    """

    spec: RungSpec
    executor: Executor
    form: Skill | None = None
    arm: ArmKind = "skill"
    most: int | None = None

    def skill(self, skill: Skill) -> Skill:
        return skill if self.form is None else self.form

    def epoch(self, epoch: int) -> int:
        """The epoch in which it is asked: what is recorded once is the answer of every epoch."""
        return epoch if self.most is None else min(epoch, self.most - 1)


AskRung = Callable[[LadderRung, Skill, Mapping[str, Any], int], Awaitable[Tried]]
"""Asks a rung; an eval looks up first whether it was asked the same before."""


async def ask_live(rung: LadderRung, skill: Skill, given: Mapping[str, Any], epoch: int) -> Tried:
    return await attempted(rung.executor, rung.skill(skill), given, rung.epoch(epoch))


@dataclass(frozen=True)
class LadderExecutor:
    """Asks rung after rung until one answers well enough.

    An input goes up where the run was no success (its checks failed after their repair, it was escalated, no answer
    came), where the answer is less sure than the rung's threshold, and where the rung has a threshold and its student
    tells no probabilities. Nothing goes up on a reached budget. The last rung's run counts as it is.

    The run says in ``rungs`` who was asked; usage, cost and latency are those of all of them, ``model`` and
    ``probabilities`` of the one that answered.
    """

    spec: LadderSpec
    rungs: Sequence[LadderRung]
    ask: AskRung = field(default=ask_live, compare=False)
    arm_kind: Literal["ladder"] = "ladder"

    @property
    def student(self) -> str:
        return str(self.spec)

    @property
    def concurrency(self) -> int:
        return min(rung.executor.concurrency for rung in self.rungs)

    @property
    def identity(self) -> str:
        """Everything beside skill and input that can change the answer: who stands where, in which form, and from where
        on an answer is sure enough.
        """
        steps = [
            [rung.executor.identity, rung.arm, rung.spec.threshold, "" if rung.form is None else rung.form.digest()]
            for rung in self.rungs
        ]
        return f"ladder {digest(steps)}"

    async def execute(self, skill: Skill, given: Mapping[str, Any], epoch: int = 0) -> Run:
        """Raises ``InvalidInput`` and ``UsageError`` as a single model does, and ``BudgetReached``."""
        return (await self.tried(skill, given, epoch)).run

    async def tried(self, skill: Skill, given: Mapping[str, Any], epoch: int = 0) -> Tried:
        """The same with the error of the last rung beside the run."""
        values = complete_input(skill, given)
        runs: list[Run] = []
        asked: list[Rung] = []
        error: ProviderError | None = None
        for rung in self.rungs:
            tried = await self.ask(rung, skill, given, epoch)
            if isinstance(tried.error, BudgetReached | LimitReached):
                raise tried.error
            why = why_up(tried, rung.spec) if rung is not self.rungs[-1] else ""
            runs.append(_timed(tried.run))
            asked.append(_told(rung, tried.run, why))
            error = tried.error
            if not why:
                break
        run = reduce(lambda later, earlier: after(earlier, later), reversed(runs))
        told = {
            "id": "",  # a rung's run may be a stored one: the ladder's is another
            "version": None,
            "skill": skill.name,
            "digest": compiled(skill).digest,
            "student": self.student,
            "input": values,
            "rungs": tuple(asked),
        }
        return Tried(run.model_copy(update=told), error)


def why_up(tried: Tried, rung: RungSpec) -> str:
    """Why the next rung is asked, in one line; empty where the answer stays."""
    run, threshold = tried.run, rung.threshold
    if run.status == "error":
        return _line(f"no answer came: {tried.error or run.reason}")
    if run.status != "ok":
        return _line(f"{run.status}: {run.reason}")
    if threshold is None:
        return ""
    confidence = sureness(run)
    if confidence is None:
        return f"it tells no probabilities, and answers below {threshold_text(threshold)} go up"
    if confidence < threshold:
        return f"{confidence:.3g} sure, below {threshold_text(threshold)}"
    return ""


def sureness(run: Run) -> float | None:
    """The run's confidence; ``None`` where it tells none, or what is no number."""
    confidence = run.confidence
    return None if confidence is None or not math.isfinite(confidence) else confidence


def _told(rung: LadderRung, run: Run, why: str) -> Rung:
    return Rung(
        student=rung.spec.student,
        status=run.status,
        reason=why,
        output=run.output,
        confidence=sureness(run),
        cost=run.cost,
        latency_s=run.latency_s,
    )


def _timed(run: Run) -> Run:
    """A rung that turned the input away unasked took no time, not an unknown one."""
    unasked = not run.attempts and run.latency_s is None and run.status == "escalated"
    return run.model_copy(update={"latency_s": 0.0, "cost": Cost(usd=0.0)}) if unasked else run


def _line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 1]}…"
