"""What came of a tuning, as it is told: values only."""

from __future__ import annotations

from pydantic import Field

from skillforge.messages import Value
from skillforge.students.tune.board import Board, Entry
from skillforge.students.tune.compare import Decided, Rule, cost_of, mean_score
from skillforge.variant import Variant


class Tried(Value):
    """One candidate as ``tune --history`` shows it. ``quality`` is its mean on the ``n`` dev cases it was measured on;
    ``usd`` and ``tokens`` are of a mean call (dollars at cached rates), ``forecast_usd`` and ``forecast_tokens`` what
    was expected before it was measured. ``None`` is unknown.
    """

    number: int
    id: str
    parent: str
    stage: str
    note: str
    author: str = ""
    variant: Variant
    decided: Decided
    n: int = 0
    quality: float | None = None
    usd: float | None = None
    tokens: float | None = None
    forecast_usd: float | None = None
    forecast_tokens: float | None = None


class TestFigures(Value):
    """The winner on the test split, beside the skill as it was. ``verdict`` is the eval's, against the teacher."""

    __test__ = False

    cases: int
    of: int
    verdict: str = ""
    quality: dict[str, float | None] = Field(default_factory=dict)
    low: float | None = None
    high: float | None = None
    worse: bool = False
    words: str = ""


class Tuned(Value):
    """A tuning. ``status``: ``done``, ``budget`` (stopped there: more goes on) or ``open`` (interrupted). ``winner`` is
    the id of the form to use, empty while nothing is known; ``words`` say what came of it. ``file`` is the variant that
    was written, empty: none. ``spent_usd`` of ``None`` is unknown.
    """

    tuning: str
    skill: str
    version: int
    student: str
    teacher: str = ""
    status: str
    rule: Rule
    stages: tuple[str, ...] = ()
    cases: dict[str, int] = Field(default_factory=dict)
    tried: tuple[Tried, ...] = ()
    winner: str = ""
    words: tuple[str, ...] = ()
    test: TestFigures | None = None
    file: str = ""
    calls: int = 0
    spent_usd: float | None = None
    created_at: str = ""

    def named(self, candidate: str) -> Tried | None:
        return next((each for each in self.tried if each.id == candidate), None)

    @property
    def best(self) -> Tried | None:
        return self.named(self.winner)

    @property
    def start(self) -> Tried | None:
        return self.tried[0] if self.tried else None


def tried_of(entry: Entry, dev: set[str]) -> Tried:
    """An entry of the board with its figures on the dev cases."""
    ids = [case for case in entry.scores if case in dev]
    usd, tokens = cost_of(entry.scores, ids)
    return Tried(
        number=entry.number,
        id=entry.candidate.id,
        parent=entry.candidate.parent,
        stage=entry.candidate.stage,
        note=entry.candidate.note,
        author=entry.candidate.author,
        variant=entry.candidate.variant,
        decided=entry.decided,
        n=sum(entry.scores[case].score is not None for case in ids),
        quality=mean_score(entry.scores, ids),
        usd=usd,
        tokens=tokens,
        forecast_usd=entry.forecast[0],
        forecast_tokens=entry.forecast[1],
    )


def all_tried(board: Board, dev: set[str]) -> tuple[Tried, ...]:
    return tuple(tried_of(entry, dev) for entry in board.entries.values())


def winner_words(winner: Tried, start: Tried, skill: str, student: str) -> list[str]:
    """What the winner means, in plain words."""
    if winner.id == start.id:
        return [f"nothing is proven better than {skill} as it is for {student}: no variant is written"]
    form = winner.variant.form
    said = []
    if form == "bare":
        said.append(f"no skill is better for this student: {student} does the task best when it is only told it")
    elif form == "raw":
        said.append(f"no skill is better for this student: {student} does best when it is told what the teacher was")
    elif form == "examples":
        said.append(f"the examples alone are better for {student} than the skill's instructions")
    said.append(f"{winner.note} ({winner.decided.why})")
    return said
