"""A run: one execution of a skill on one input, and the attempts that are its trace."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import Field

from skillforge.canonical import compact
from skillforge.messages import Cost, ToolCall, Usage, Value

AttemptKind = Literal["student", "repair"]  # a turn of a tool loop is a student's attempt too

# skipped: its condition was false. The others are those of a run.
StepStatus = Literal["ok", "skipped", "failed", "escalated", "error"]

# ok: valid output, every check passed or only warned. failed: the output stayed wrong. escalated: a check or limit says
# a stronger model should answer. error: no answer came (infrastructure), which is never scored as a wrong answer.
RunStatus = Literal["ok", "failed", "escalated", "error"]


class CheckResult(Value):
    """What one check said of one output."""

    type: str
    passed: bool
    reason: str = ""
    path: str | None = None
    weight: float = 1.0
    on_fail: str = "repair"


class Attempt(Value):
    """One model call of a run: the first one (``student``) or its repair.

    ``calls`` is how many requests reached for the provider before this answer or error stood, retries included.
    ``list_usd`` is what its tokens cost at the list price without a prompt cache, in US dollars; ``None`` is unknown.
    ``step`` is the step of a workflow that asked (``order``, of a list ``order[2]``).
    """

    kind: AttemptKind
    text: str = ""
    problems: tuple[str, ...] = ()
    stop: str = ""
    model: str = ""
    usage: Usage = Usage()
    cost: Cost = Cost()
    list_usd: float | None = None
    latency_s: float | None = None
    error: str = ""
    calls: int = 1
    step: str = ""

    @property
    def uncached_usd(self) -> float | None:
        """``list_usd``, or the cost where no cache was touched: that is the same."""
        touched = self.usage.cached_tokens or self.usage.written_tokens
        return self.list_usd if self.list_usd is not None or touched else self.cost.usd


class StepRun(Value):
    """What one step of a workflow did. ``key`` is its id, with the place of the element where it ran for ``each``
    (``notify[2]``).

    ``tool`` and ``arguments`` are what was called, ``reason`` says why the status is not ``ok``, ``tries`` counts the
    calls of the tool or of the model, ``usage``, ``cost`` and ``latency_s`` (seconds) sum up its attempts.
    ``called`` are the calls of a tool loop, in their order. ``resumed``: it was finished by an earlier process.
    """

    key: str
    kind: str
    status: StepStatus
    reason: str = ""
    tool: str = ""
    arguments: dict[str, Any] = Field(default_factory=dict)
    output: Any = None
    called: tuple[ToolCall, ...] = ()
    checks: tuple[CheckResult, ...] = ()
    tries: int = 0
    usage: Usage = Usage()
    cost: Cost = Cost(usd=0.0)
    latency_s: float | None = None
    resumed: bool = False


class Rung(Value):
    """What one rung of a ladder did with an input. ``output`` is what it answered, ``confidence`` is as in ``Run``;
    ``reason`` says why the next rung was asked, and is empty for the one that answered. ``cost`` is US dollars,
    ``latency_s`` seconds.
    """

    student: str
    status: RunStatus
    reason: str = ""
    output: Any = None
    confidence: float | None = None
    cost: Cost = Cost(usd=0.0)
    latency_s: float | None = None


class Run(Value):
    """The typed result of executing a skill once.

    ``output`` is the parsed output (a dict, or a string for text skills), ``None`` when there is none. ``reason`` says
    in one line why the status is not ``ok``. ``usage``, ``cost`` and ``latency_s`` (seconds) sum up the attempts.
    ``alias`` is the deployment that was called (empty: a version was named); ``fallback`` says in one line why another
    model than the student had to answer, ``student`` then is that other one. ``steps`` are those of a workflow, in the
    order in which they ended; its attempts name their step.

    ``probabilities`` are those of the labels of each label field (an enum or a boolean), as the student tells them: a
    classifier its own, a model those of the tokens that spell a label; empty where it tells none. Labels are written as
    compact JSON. ``rungs`` are those of a ladder that were asked, the one that answered last.
    """

    id: str = ""
    skill: str
    version: int | None = None
    digest: str
    student: str
    model: str = ""
    status: RunStatus
    reason: str = ""
    input: dict[str, Any]
    output: Any = None
    checks: tuple[CheckResult, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    usage: Usage = Usage()
    cost: Cost = Cost()
    latency_s: float | None = None
    tags: dict[str, str] = Field(default_factory=dict)
    alias: str = ""
    fallback: str = ""
    steps: tuple[StepRun, ...] = ()
    probabilities: dict[str, dict[str, float]] = Field(default_factory=dict)
    rungs: tuple[Rung, ...] = ()

    @property
    def confidence(self) -> float | None:
        """The probability of the least sure of the labels that were answered, 0 to 1; ``None`` where none is told."""
        if not self.probabilities or not isinstance(self.output, dict):
            return None
        told = [given.get(compact(self.output.get(field)), 0.0) for field, given in self.probabilities.items()]
        return min(told)

    @property
    def ok(self) -> bool:
        return self.status == "ok"

    @property
    def latency(self) -> float | None:
        """Seconds over all attempts, ``None`` if unknown."""
        return self.latency_s

    @property
    def list_usd(self) -> float | None:
        """US dollars over all attempts at the list price without a prompt cache, ``None`` if unknown."""
        known = [attempt.uncached_usd for attempt in self.attempts]
        return (math.fsum(usd or 0.0 for usd in known) if None not in known else None) if known else self.cost.usd

    @property
    def repaired(self) -> bool:
        return any(attempt.kind == "repair" for attempt in self.attempts)
