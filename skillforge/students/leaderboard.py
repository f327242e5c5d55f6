"""All students ever measured on a skill, side by side: who is how good, for how much, and who is beaten by nobody."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from skillforge.evals.report import ArmReport, EvalReport
from skillforge.evals.running.arms import ArmKind
from skillforge.evals.statistics import Verdict
from skillforge.evals.verdict.comparison import Bounds
from skillforge.messages import Value

# edge: small enough for a phone or a small board; local: on the caller's own machines; api: somebody else's
Place = Literal["edge", "local", "api", "program", "unknown"]
FLOORS: tuple[ArmKind, ...] = ("no-model", "examples", "raw", "bare")
_WHOLE: tuple[ArmKind, ...] = ("own", "encoder", "ladder", "no-model")  # there is one form of these


class Home(Value):
    """Where a student runs and how large it is: ``size`` of what has to lie on a disk, in bytes (``None``: unknown, or
    not here).
    """

    place: Place
    size: int | None = None


class Entry(Value):
    """One student in one form, as it was measured last.

    ``quality`` is the mean score with its two-sided 95% interval, ``parity`` the share of the teacher's quality that it
    reaches and ``parity_low`` the lower end of it that the verdict's one-sided bound gives (the teacher's own quality
    taken as measured). ``usd_per_1000`` is dollars for 1,000 runs, ``p50_s`` and ``p95_s`` are seconds, ``size`` bytes;
    ``None`` is unknown. ``cases_needed`` is how many more cases would settle the verdict.

    ``comparable``: on the same cases of the same suite as the others. ``stale`` says what changed since. ``front``: no
    comparable student is as good or better for as little or less.
    """

    student: str
    kind: ArmKind
    version: int | None
    digest: str
    suite: str
    split: str
    n: int
    quality: float
    bounds: Bounds
    parity: float | None
    parity_low: float | None
    difference: float | None
    verdict: Verdict | None
    reason: str = ""
    cases_needed: int | None = None
    usd_per_1000: float | None
    cost_estimated: bool
    p50_s: float | None
    p95_s: float | None
    errors: int = 0
    place: Place = "unknown"
    size: int | None = None
    measured_at: str
    comparable: bool = True
    part: bool = False
    stale: tuple[str, ...] = ()
    front: bool = False

    @property
    def name(self) -> str:
        """The student with its form, as an eval calls the arm."""
        return self.student if self.kind in _WHOLE else f"{self.student} + {self.kind}"


class Leaderboard(Value):
    """The students of one skill, the best first; those that are not comparable stand last. ``teacher`` is that of the
    newest result. ``unread`` results are of another version of skillforge.
    """

    skill: str
    version: int | None
    suite: str
    split: str
    teacher: str
    teacher_quality: float | None
    teacher_usd_per_1000: float | None
    teacher_estimated: bool = False
    teacher_p95_s: float | None = None
    entries: tuple[Entry, ...]
    unread: int = 0


class Row(Value):
    """One stored result as the board takes it: what was measured, of whom, and whether it still holds."""

    student: str
    report: EvalReport
    kind: ArmKind
    measured_at: str
    stale: tuple[str, ...] = ()
    part: bool = False


def leaderboard(
    rows: Sequence[Row], digest: str, suite_digest: str, split: str, *, floors: bool = False
) -> Leaderboard:
    """The board of a skill from its results, newest first.

    Of every student and form the newest result counts: a whole one before a part, one of ``suite_digest`` and ``split``
    before others, one of the version ``digest`` before older ones. ``floors`` adds what stood beside them: bare, raw
    and examples; what no model does at all is always there. Raises ``ValueError`` without rows.
    """
    if not rows:
        raise ValueError("nothing was measured")
    best: dict[tuple[str, ArmKind], Entry] = {}
    for row in rows:
        same = (row.report.suite_digest, row.report.split) == (suite_digest, split)
        for entry in _entries(row, comparable=same, floors=floors):
            key = (entry.student, entry.kind)
            if key not in best or _worth(entry, digest) > _worth(best[key], digest):
                best[key] = entry
    current = (row.report for row in rows if (row.report.suite_digest, row.report.split) == (suite_digest, split))
    told = next(current, rows[0].report)
    teacher = told.teacher
    return Leaderboard(
        skill=told.skill,
        version=told.version,
        suite=told.suite,
        split=split,
        teacher=teacher.model or teacher.student,
        teacher_quality=teacher.quality,
        teacher_usd_per_1000=teacher.usd_per_1000,
        teacher_estimated=teacher.cost_estimated,
        teacher_p95_s=teacher.p95_s,
        entries=tuple(sorted(best.values(), key=_order)),
    )


def with_front(board: Leaderboard) -> Leaderboard:
    """The board with its Pareto front marked: by quality and dollars, among comparable results whose cost is known."""
    known = [entry for entry in board.entries if entry.comparable and not entry.part and entry.usd_per_1000 is not None]
    front = {id(entry) for entry in known if not any(_beats(other, entry) for other in known)}
    marked = tuple(entry.model_copy(update={"front": id(entry) in front}) for entry in board.entries)
    return board.model_copy(update={"entries": marked})


def _beats(one: Entry, other: Entry) -> bool:
    """As good for as little, and better in one of both."""
    mine, theirs = (one.quality, -(one.usd_per_1000 or 0.0)), (other.quality, -(other.usd_per_1000 or 0.0))
    return mine != theirs and all(a >= b for a, b in zip(mine, theirs, strict=True))


def _worth(entry: Entry, digest: str) -> tuple[bool, bool, bool, str]:
    return (entry.comparable, not entry.part, entry.digest == digest, entry.measured_at)


def _order(entry: Entry) -> tuple[bool, bool, float, float, str]:
    usd = entry.usd_per_1000
    return (not entry.comparable, entry.part, -entry.quality, float("inf") if usd is None else usd, entry.name)


def _entries(row: Row, *, comparable: bool, floors: bool) -> Iterable[Entry]:
    kinds = {row.kind, "no-model", *(FLOORS if floors else ())}
    for arm in row.report.arms:
        is_own = arm.kind == row.kind and arm.student == row.student
        is_floor = arm.kind in FLOORS and (arm.kind == "no-model" or arm.student == row.student)
        if arm.kind in kinds and arm.quality is not None and (is_own or is_floor):
            yield _entry(row, arm, comparable=comparable)


def _entry(row: Row, arm: ArmReport, *, comparable: bool) -> Entry:
    report, versus = row.report, arm.versus_teacher
    bar = report.teacher.quality
    parity = low = None
    if versus is not None and versus.n and bar:
        parity, low = 1 + versus.difference / bar, 1 + versus.bounds.low / bar
    return Entry(
        student=arm.student,
        kind=arm.kind,
        version=report.version,
        digest=report.digest,
        suite=report.suite,
        split=report.split,
        n=arm.n,
        quality=arm.quality or 0.0,
        bounds=arm.bounds,
        parity=parity,
        parity_low=low,
        difference=None if versus is None else versus.difference,
        verdict=None if versus is None else versus.verdict,
        reason="" if versus is None else versus.reason,
        cases_needed=None if versus is None else versus.cases_needed,
        usd_per_1000=arm.usd_per_1000,
        cost_estimated=arm.cost_estimated,
        p50_s=arm.p50_s,
        p95_s=arm.p95_s,
        errors=arm.errors,
        measured_at=row.measured_at,
        comparable=comparable,
        part=row.part,
        stale=row.stale if arm.kind == row.kind else (),
    )
