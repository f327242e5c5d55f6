"""What an eval found: values that are printed, written to files and kept as evidence. ``summary`` makes them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from skillforge.case import Decision
from skillforge.engine.frame import HARNESS
from skillforge.evals.running.arms import DEPLOYABLE, VARIANT, ArmKind
from skillforge.evals.statistics import Verdict
from skillforge.evals.verdict.comparison import Bounds, Comparison
from skillforge.evals.verdict.shares import RungShare
from skillforge.evals.verdict.versus_today import VersusToday
from skillforge.messages import Value

# labels: what people or a strong model said is right. teacher: the teacher's own answers, so that only agreement is
# measured. scorer: the scorer needs neither (checks, a judge with a rubric, latency).
Reference = Literal["labels", "teacher", "scorer"]


class ScorerFigures(Value):
    """One scorer on one arm: the mean score over ``n`` cases, named parts of it (single fields, named checks), how
    often the scorer failed and how often it said nothing.
    """

    mean: float | None
    n: int
    errors: int = 0
    unscored: int = 0
    parts: dict[str, float] = Field(default_factory=dict)


class Lift(Value):
    """What an arm has over another one of the same student (``versus``) on ``n`` shared cases; ``bounds`` as in
    ``Comparison``.
    """

    versus: ArmKind
    n: int
    difference: float
    bounds: Bounds


class ArmReport(Value):
    """What one arm did. ``quality`` is the mean score over ``n`` scored cases; of its ``answers`` (several to a case
    where they are repeated; of a teacher without labels those of both passes) the errors are counted apart.

    ``error_reasons`` are the commonest of them, each with how often it was given; ``score_errors`` is how many cases
    the scorer (a judge, a function) failed on. ``scores`` holds every scorer of the suite by name.

    ``usd_per_1000`` is dollars per 1,000 runs as paid, with their cache hits; ``list_usd_per_1000`` the same tokens at
    the list price without a cache (``None`` unknown). Latencies are seconds, tokens are means per run, and so are the
    ``model_calls`` and ``tool_calls`` of workflows. ``rungs`` say who answered on a ladder.
    """

    name: str
    kind: ArmKind
    student: str
    model: str
    n: int
    answers: int = 0
    errors: int
    error_reasons: tuple[tuple[str, int], ...] = ()
    score_errors: int = 0
    score_error_reasons: tuple[tuple[str, int], ...] = ()
    quality: float | None
    bounds: Bounds
    fields: dict[str, float]
    scores: dict[str, ScorerFigures] = Field(default_factory=dict)
    checks_passed: float | None
    repaired: int
    usd_per_1000: float | None
    list_usd_per_1000: float | None = None
    cost_estimated: bool
    input_tokens: float | None
    output_tokens: float | None
    p50_s: float | None
    p95_s: float | None
    model_calls: float | None = None
    tool_calls: float | None = None
    versus_teacher: Comparison | None = None
    versus_today: VersusToday | None = None
    lifts: tuple[Lift, ...] = ()
    rungs: tuple[RungShare, ...] = ()


class Excluded(Value):
    """A case that was left out because the skill gives its answer away, and where it does."""

    case: str
    why: str


class JudgeAudit(Value):
    """How far a judge of this eval can be trusted.

    ``calls`` were needed, ``paid`` of them now, for ``usd`` in all (``None`` unknown). ``unreadable`` replies are
    errors. ``flip_rate``: how often a pairwise judge changed its mind with the order (``None``: no pairwise judge).
    ``kappa`` is agreement with human labels where ``judge align`` measured it. ``warnings`` are for people.
    """

    scorer: str
    model: str
    identity: str
    calls: int
    paid: int
    unreadable: int
    usd: float | None
    flip_rate: float | None = None
    longer_wins: float | None = None
    kappa: float | None = None
    kappa_bounds: Bounds | None = None
    warnings: tuple[str, ...] = ()


class EvalReport(Value):
    """The measured result of one eval: the rule, the teacher, the arms.

    ``cost_usd`` is what all its samples cost whenever they were measured, a recorded teacher's estimate included,
    today's answers not (the program bought them); ``spent_usd`` is what this command paid. ``None`` is unknown.
    ``reused`` samples were not paid for again. ``simulated`` of the cases were written by a model.

    ``reference`` says what answers were compared with; ``second_pass`` that the teacher answered every case twice, so
    that agreement with it has something to be compared with. ``limit`` and ``filter`` are set where only a part of the
    split was measured; ``wished`` are the flags that replaced what the suite says (``--judge M``). ``repeat`` is how
    often every case was answered. ``against_itself``: an arm was compared with its own second answers (``--a-a``),
    which says how noisy the harness is and nothing of anybody's quality.

    ``today`` is the name of the arm with the program's own answers, the teacher's where they are the teacher's. Where
    there is one, ``made_usd`` is what creating and measuring the skill took so far, and ``repaid_after`` says after how
    many calls an arm has saved that; arms of which it is unknown, or that save nothing, are left out.
    """

    skill: str
    version: int | None
    digest: str
    suite: str
    suite_digest: str
    split: str
    cases: int
    decision: Decision
    reference: Reference
    harness: str = HARNESS
    teacher: ArmReport
    arms: tuple[ArmReport, ...]
    samples: int
    reused: int
    cost_usd: float | None
    spent_usd: float | None
    seconds: float
    today: str | None = None
    made_usd: float | None = None
    repaid_after: dict[str, int] = Field(default_factory=dict)
    second_pass: bool = False
    repeat: int = 1
    simulated: int = 0
    limit: int | None = None
    filter: str = ""
    wished: tuple[str, ...] = ()
    against_itself: bool = False
    excluded: tuple[Excluded, ...] = ()
    judges: tuple[JudgeAudit, ...] = ()

    def arm(self, name: str) -> ArmReport:
        """The arm of that name, the teacher included. Raises ``KeyError``."""
        return {arm.name: arm for arm in (self.teacher, *self.arms)}[name]

    def candidates(self) -> list[ArmReport]:
        """The arms that may replace the teacher: skills and their variants, classifiers and ladders, else programs of
        the caller's own.
        """
        skills = [arm for arm in self.arms if arm.kind in ("skill", "variant", "encoder", "ladder")]
        return skills or [arm for arm in self.arms if arm.kind == "own"]

    @property
    def verdict(self) -> Verdict | None:
        """The best verdict among the candidates; ``None`` without any."""
        verdicts = {arm.versus_teacher.verdict for arm in self.candidates() if arm.versus_teacher}
        return next((verdict for verdict in _BEST_FIRST if verdict in verdicts), None)


def leaves_evidence(arm: ArmReport) -> bool:
    """Whether what was measured of the arm is evidence of a student; a skill file of ``--variant`` is nobody's form."""
    return arm.kind in DEPLOYABLE and (arm.kind != "variant" or arm.name == f"{arm.student} {VARIANT}")


def evidence_arm(report: EvalReport, student: str, variant: str) -> ArmReport | None:
    """The arm that the evidence of a student is about: with its variant, where ``variant`` names one."""
    own = (arm for arm in report.arms if arm.student == student and leaves_evidence(arm))
    return next((arm for arm in own if (arm.kind == "variant") == bool(variant)), None)


_BEST_FIRST: tuple[Verdict, ...] = ("pass", "inconclusive", "fail")

__all__ = [
    "ArmReport",
    "Bounds",
    "Comparison",
    "EvalReport",
    "Excluded",
    "JudgeAudit",
    "Lift",
    "Reference",
    "RungShare",
    "ScorerFigures",
    "evidence_arm",
    "leaves_evidence",
]
