"""Run one skill on one input with one student: render, call, parse, check, repair once."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import Any, Protocol

from skillforge.canonical import digest
from skillforge.checks import CustomCheck, require_bound, run_checks
from skillforge.engine.codedigest import code_digest
from skillforge.engine.compiled import compiled
from skillforge.engine.frame import complete_input, epoch_role, repair_request, student_request
from skillforge.engine.labelprobs import label_probabilities
from skillforge.engine.nomodel import label_fields
from skillforge.engine.parse import parse_output
from skillforge.errors import ContextOverflow, Halt, InputRefused, ProviderError, UnknownRequest
from skillforge.messages import Completion, Cost, Request, Usage
from skillforge.providers.base import Provider
from skillforge.run import Attempt, AttemptKind, CheckResult, Run
from skillforge.skill import Skill
from skillforge.tokens import estimate_tokens

_REFUSALS = frozenset({"refusal", "content_filter"})
_SHOWN = 200  # characters of a refusal


class Executor(Protocol):
    """Turns (skill, input) into a ``Run``. Nothing above cares whether a model, a classifier or a cascade does it.

    ``identity`` names everything besides skill and input that can change the answer. ``epoch`` tells repeated answers
    to one input apart: an answer of one is never given for another.
    """

    @property
    def student(self) -> str: ...

    @property
    def concurrency(self) -> int: ...

    @property
    def identity(self) -> str: ...

    async def execute(self, skill: Skill, given: Mapping[str, Any], epoch: int = 0) -> Run: ...


@dataclass(frozen=True, slots=True)
class Tried:
    """A run, and the provider's error that ended it, ``None`` where the model answered."""

    run: Run
    error: ProviderError | None = None


@dataclass(frozen=True)
class PromptExecutor:
    """A model behind a provider. A provider's failure becomes a run with status ``error``, never an exception; only a
    ``Halt`` (no further call makes sense) is raised.

    With ``probabilities`` the model is asked for those of its tokens, and the run tells those of its labels where the
    model tells enough (``labelprobs``).
    """

    provider: Provider
    role: str = "run"
    custom_checks: Mapping[str, CustomCheck] = field(default_factory=dict)
    exclude_same: bool = False
    probabilities: bool = False

    @property
    def student(self) -> str:
        return self.provider.name

    @property
    def concurrency(self) -> int:
        return self.provider.concurrency

    @property
    def identity(self) -> str:
        bound = [[name, code_digest(function)] for name, function in sorted(self.custom_checks.items())]
        told = [digest(bound)] if bound else []
        return " ".join([self.provider.fingerprint(), *told, *(["probabilities"] if self.probabilities else [])])

    async def execute(self, skill: Skill, given: Mapping[str, Any], epoch: int = 0) -> Run:
        """Raises ``InvalidInput`` when the input does not fit the contract and ``UsageError`` for a custom check that
        nobody bound; everything later is in the ``Run``.
        """
        tried = await self.tried(skill, given, epoch)
        if isinstance(tried.error, Halt):
            raise tried.error
        return tried.run

    async def tried(self, skill: Skill, given: Mapping[str, Any], epoch: int = 0) -> Tried:
        """The same with the provider's error beside the run, a ``Halt`` too: whoever has another model goes on."""
        values = complete_input(skill, given)
        require_bound(skill.checks, self.custom_checks)
        role = epoch_role(self.role, epoch)
        request = student_request(skill, values, given, role=role, exclude_same=self.exclude_same)
        if self.probabilities and label_fields(skill):
            request = request.model_copy(update={"logprobs": True})
        work = _Execution(skill, values, self)
        if estimate_tokens(request) > skill.limits.input_tokens:
            return Tried(work.result("escalated", f"the input is longer than {skill.limits.input_tokens} tokens"))
        run = await work.run(request)
        return Tried(run, work.error)


def list_usd(provider: Provider, completion: Completion) -> float | None:
    """US dollars of the answer at the list price, as if there were no prompt cache. ``None`` is unknown, as where a
    recording tells what was paid and not at which price.
    """
    usage, paid = completion.usage, completion.cost.usd
    if paid is None:
        return None
    priced = provider.price(usage).usd
    if priced is None or not math.isclose(priced, paid, rel_tol=1e-6):
        return None
    if not usage.cached_tokens and not usage.written_tokens:
        return priced
    return provider.price(usage.model_copy(update={"cached_tokens": 0, "written_tokens": 0})).usd


@dataclass
class _Execution:
    """One execution under way: collects attempts until it has a result."""

    skill: Skill
    values: dict[str, Any]
    executor: PromptExecutor
    attempts: list[Attempt] = field(default_factory=list)
    output: Any = None
    checks: tuple[CheckResult, ...] = ()
    problems: tuple[str, ...] = ()
    refused: bool = False
    error: ProviderError | None = None
    probabilities: dict[str, dict[str, float]] = field(default_factory=dict)

    async def run(self, request: Request) -> Run:
        try:
            await self._attempt("student", request)
            if self.problems and not self.refused:
                await self._repair(repair_request(request, self.attempts[-1].text, self.problems, self.skill.repair))
        except ContextOverflow as exc:
            return self.result("escalated", str(exc))
        except InputRefused as exc:
            return self.result("failed", str(exc))
        except ProviderError as exc:
            self.error = exc
            return self.result("error", f"{exc} ({exc.hint})" if exc.hint else str(exc))
        if self.problems:
            return self.result("failed", "; ".join(self.problems))
        stopped = [check for check in self.checks if not check.passed and check.on_fail == "escalate"]
        if stopped:
            return self.result("escalated", "; ".join(check.reason for check in stopped))
        return self.result("ok", "")

    async def _repair(self, request: Request) -> None:
        try:
            await self._attempt("repair", request)
        except UnknownRequest:
            # A recording holds what was answered, not what would have been: the answer it holds is what is judged.
            self.attempts.pop()

    async def _attempt(self, kind: AttemptKind, request: Request) -> None:
        started = time.perf_counter()
        try:
            completion = await self.executor.provider.complete(request)
        except ProviderError as exc:
            elapsed = time.perf_counter() - started
            cost = Cost() if exc.maybe_billed else Cost(usd=0.0, basis="not billed")
            self.attempts.append(Attempt(kind=kind, error=str(exc), cost=cost, latency_s=elapsed, calls=exc.calls))
            raise
        self._judge(completion)
        self.attempts.append(
            Attempt(
                kind=kind,
                text=completion.text,
                problems=self.problems,
                stop=completion.stop,
                model=completion.model,
                usage=completion.usage,
                cost=completion.cost,
                list_usd=list_usd(self.executor.provider, completion),
                latency_s=completion.latency_s,
                calls=completion.calls,
            )
        )

    def _judge(self, completion: Completion) -> None:
        self.checks, self.probabilities = (), {}
        self.refused = completion.stop in _REFUSALS
        if self.refused:  # asking again would be refused again
            self.output, self.problems = None, (f"the model refused to answer: {completion.text[:_SHOWN]}",)
            return
        self.output, self.problems = parse_output(self.skill, completion.text)
        if completion.stop == "length" and (self.output is None or self.skill.output == "text"):
            self.output, self.problems = None, (*self.problems, self._cut(completion))
        if self.output is None:
            return
        self.probabilities = label_probabilities(self.skill, completion.text, completion.logprobs)
        self.checks = run_checks(self.skill.checks, self.output, self.values, self.executor.custom_checks)
        self.problems = tuple(
            f"check {check.type}: {check.reason}"
            for check in self.checks
            if not check.passed and check.on_fail == "repair"
        )

    def _cut(self, completion: Completion) -> str:
        if completion.usage.reasoning_tokens and not completion.text.strip():
            return "the limit was spent on thinking (thinking_tokens and effort in skillforge.toml)"
        return f"the answer was cut off at the limit of {self.skill.limits.output_tokens} tokens: be shorter"

    def result(self, status: Any, reason: str) -> Run:
        attempts = tuple(self.attempts)
        latencies = [attempt.latency_s for attempt in attempts]
        known = [value for value in latencies if value is not None]
        return Run(
            skill=self.skill.name,
            digest=compiled(self.skill).digest,
            student=self.executor.student,
            model=attempts[-1].model if attempts else "",
            status=status,
            reason=reason,
            input=self.values,
            output=self.output,
            checks=self.checks,
            probabilities=self.probabilities,
            attempts=attempts,
            usage=reduce(add, [attempt.usage for attempt in attempts]) if attempts else Usage(),
            cost=reduce(add, [attempt.cost for attempt in attempts]) if attempts else Cost(usd=0.0),
            latency_s=sum(known) if known and len(known) == len(latencies) else None,
        )
