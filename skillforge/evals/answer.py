"""What one sample means for a report: small enough to be held for every case of every arm."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from skillforge.engine.parse import NO_OBJECT
from skillforge.run import Run, RunStatus
from skillforge.sample import Sample

_READ = 4_000  # characters of an answer that are looked at
_REFUSAL = re.compile(
    r"\W*(?:i(?:['\u2019]?m| am) (?:very |so )?sorry|sorry,|as an ai\b|i(?:['\u2019]m| am) (?:unable|not able) to"
    r"|i (?:can(?:['\u2019]?t|not)|won['\u2019]?t)\b)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Manner:
    """How a model said its first answer, whatever became of it: in a code fence, as no JSON object at all, with
    anything that it was asked to repair, as a refusal (the provider says so, or the answer does in the usual words).
    """

    fenced: bool
    broken: bool
    wrong: bool
    refused: bool

    @classmethod
    def of(cls, run: Run) -> Manner | None:
        """``None`` where no model was asked, its text was not kept, or many were asked (a workflow, a ladder)."""
        first = run.attempts[0] if run.attempts else None
        if first is None or run.steps or run.rungs:
            return None
        refused = first.stop in ("refusal", "content_filter")
        if not first.text and not refused:
            return None
        text, problems = first.text[:_READ], first.problems
        return cls("```" in text, NO_OBJECT in problems, bool(problems), refused or bool(_REFUSAL.match(text)))


@dataclass(frozen=True, slots=True)
class Answer:
    """One arm's answer to one case in one epoch, without texts, prompts and attempts: those are in the store, by
    ``key``.

    ``status`` is ``error`` where no answer came (never scored). ``output`` is ``None`` unless the run was ``ok``: what
    failed its checks or was escalated is no answer. ``checks`` are (passed, weight) of the skill's own. Dollars are of
    this run as paid (``usd``) and at the list price without a cache; ``None`` is unknown, as with tokens and seconds.
    Nobody was ``asked`` where the arm had been stopped before. ``model_calls`` and ``tool_calls`` are those of a
    workflow. ``confidence`` is how sure the answer is (``None`` untold), ``rungs`` are those of a ladder that were
    asked: student, status, US dollars; the last one answered. ``probabilities`` are as in ``Run``, ``manner`` is how
    the answer was given, where that is known.
    """

    key: str
    status: Literal["ok", "error"]
    run_status: RunStatus
    output: Any
    reason: str
    checks: tuple[tuple[bool, float], ...]
    repaired: bool
    usd: float | None
    list_usd: float | None
    cost_estimated: bool
    input_tokens: int | None
    output_tokens: int | None
    latency_s: float | None
    model: str
    asked: bool = True
    model_calls: int | None = None
    tool_calls: int | None = None
    confidence: float | None = None
    rungs: tuple[tuple[str, RunStatus, float | None], ...] = ()
    probabilities: Mapping[str, Mapping[str, float]] | None = None
    manner: Manner | None = None

    @classmethod
    def of(cls, sample: Sample) -> Answer:
        """The sample's answer. Its reason is kept where it is an error, for the report."""
        run = sample.run
        return cls(
            key=sample.key,
            status=sample.status,
            run_status=run.status,
            output=run.output if run.status == "ok" else None,
            reason=run.reason if sample.status == "error" else "",
            checks=tuple((check.passed, check.weight) for check in run.checks),
            repaired=run.repaired,
            usd=run.cost.usd,
            list_usd=run.list_usd,
            cost_estimated=run.cost.estimated,
            input_tokens=run.usage.input_tokens,
            output_tokens=run.usage.output_tokens,
            latency_s=run.latency_s,
            model=run.model,
            model_calls=len(run.attempts) if run.steps else None,
            tool_calls=_tool_calls(run) if run.steps else None,
            confidence=run.confidence,
            rungs=tuple((rung.student, rung.status, rung.cost.usd) for rung in run.rungs),
            probabilities=run.probabilities or None,
            manner=Manner.of(run),
        )

    @classmethod
    def not_asked(cls, key: str, why: str) -> Answer:
        """What stands for the answer of an arm that was stopped: an error that cost nothing, and is kept nowhere."""
        return cls(
            key=key,
            status="error",
            run_status="error",
            output=None,
            reason=f"not asked: {why}",
            checks=(),
            repaired=False,
            usd=0.0,
            list_usd=0.0,
            cost_estimated=False,
            input_tokens=None,
            output_tokens=None,
            latency_s=None,
            model="",
            asked=False,
        )


def _tool_calls(run: Run) -> int:
    return sum(step.tries if step.kind == "tool" else len(step.called) for step in run.steps)


Answers = dict[str, tuple[Answer, ...]]
"""Of one arm: case id -> one answer an epoch, in the order of the cases."""

Table = dict[str, Answers]
"""Arm name -> its answers."""
