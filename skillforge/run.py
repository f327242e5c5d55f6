"""A run: one execution of a skill on one input, and the attempts that are its trace."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from skillforge.messages import Cost, Usage, Value

AttemptKind = Literal["student", "repair"]

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
    """

    kind: AttemptKind
    text: str = ""
    problems: tuple[str, ...] = ()
    stop: str = ""
    model: str = ""
    usage: Usage = Usage()
    cost: Cost = Cost()
    latency_s: float | None = None
    error: str = ""
    calls: int = 1


class Run(Value):
    """The typed result of executing a skill once.

    ``output`` is the parsed output (a dict, or a string for text skills), ``None`` when there is none. ``reason`` says
    in one line why the status is not ``ok``. ``usage``, ``cost`` and ``latency_s`` (seconds) sum up the attempts.
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

    @property
    def ok(self) -> bool:
        return self.status == "ok"

    @property
    def latency(self) -> float | None:
        """Seconds over all attempts, ``None`` if unknown."""
        return self.latency_s

    @property
    def repaired(self) -> bool:
        return any(attempt.kind == "repair" for attempt in self.attempts)
