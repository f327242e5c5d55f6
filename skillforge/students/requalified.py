"""What a new model means for the skills there are: which may move to it, what that saves, which would get worse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from skillforge.evals.statistics import Verdict
from skillforge.evals.wording.reading import dollars, one_line, percent, points, short
from skillforge.markdowntext import code, plain
from skillforge.messages import Value

# move: it matches the teacher and costs less than what answers now. stay: it does, and saves nothing. worse: it does
# not match the teacher. unsure: more cases would tell. unmeasured: the budget, or an error, came before it.
Advice = Literal["move", "stay", "worse", "unsure", "unmeasured"]
ADVICE_WORDS = {
    "move": "MAY MOVE",
    "stay": "NO GAIN",
    "worse": "WORSE",
    "unsure": "NOT SURE",
    "unmeasured": "NOT MEASURED",
}


OnSkill = Callable[[str, int, int], None]
"""Called before each skill with its name, its number and how many there are."""


class Figures(Value):
    """How one model does with a skill: ``quality`` is its mean score, ``usd_per_1000`` dollars, ``p95_s`` seconds."""

    student: str
    quality: float | None
    usd_per_1000: float | None
    cost_estimated: bool = False
    p95_s: float | None
    verdict: Verdict | None


class Outcome(Value):
    """One skill measured on the new student. ``now`` is what answers for it (``None``: nothing is promoted, or it was
    never measured). ``difference`` is new minus teacher with its 95% sure ends; ``saves_per_1000`` dollars against what
    answers now. ``lost`` are cases that the teacher has right and the new student has not. ``moved``: its alias points
    to the new student now.
    """

    skill: str
    version: int
    alias: str = ""
    advice: Advice
    why: str
    now: Figures | None = None
    new: Figures | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    cases_needed: int | None = None
    saves_per_1000: float | None = None
    lost: tuple[str, ...] = ()
    moved: bool = False


class Requalified(Value):
    """All skills on one new student, the cheapest to measure first. ``spent_usd`` of ``None`` is unknown."""

    student: str
    outcomes: tuple[Outcome, ...]
    spent_usd: float | None

    def of(self, advice: Advice) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.advice == advice]


def advise(new: Figures, now: Figures | None, cases_needed: int | None) -> tuple[Advice, str]:
    """What to do with one skill, and why in a line. Only a verdict of ``pass`` moves anything."""
    if new.verdict == "fail":
        return "worse", "it does not match the teacher"
    if new.verdict != "pass":
        more = (
            f"about {cases_needed:,} more cases would tell"
            if cases_needed
            else "no sensible number of cases would tell"
        )
        return "unsure", more
    if now is None:
        return "move", "it matches the teacher, and nothing cheaper is known to answer now"
    if now.usd_per_1000 is None or new.usd_per_1000 is None:
        return "stay", "it matches the teacher; what it would save is unknown, for want of a price"
    if new.usd_per_1000 < now.usd_per_1000 or now.verdict != "pass":
        return "move", "it matches the teacher" + ("" if now.verdict == "pass" else ", which what answers now does not")
    return "stay", "it matches the teacher and saves nothing"


def title(found: Requalified) -> str:
    """One line for a pull request."""
    counts = [f"{len(found.of(advice))} {word}" for advice, word in _COUNTED if found.of(advice)]
    return f"{one_line(short(found.student))}: {', '.join(counts) or 'no skill was measured'}"


_COUNTED: tuple[tuple[Advice, str], ...] = (
    ("move", "may move"),
    ("stay", "gain nothing"),
    ("worse", "would get worse"),
    ("unsure", "not sure"),
    ("unmeasured", "not measured"),
)


def cells(outcome: Outcome) -> list[str]:
    """One skill as the cells of ``HEAD``."""
    now, new = outcome.now, outcome.new
    return [
        ADVICE_WORDS[outcome.advice] + (" (moved)" if outcome.moved else ""),
        f"{outcome.skill}@{outcome.version}",
        "–" if now is None else f"{one_line(short(now.student))} {percent(now.quality)}",
        "–" if new is None else percent(new.quality),
        "–" if outcome.low is None or outcome.high is None else f"{points(outcome.low)} to {points(outcome.high)}",
        "–" if new is None else dollars(new.usd_per_1000, new.cost_estimated),
        "–" if outcome.saves_per_1000 is None else dollars(outcome.saves_per_1000),
        one_line(outcome.why),
    ]


HEAD = ("", "skill", "answers now", "new", "to teacher", "$/1000", "saves/1000", "why")


def markdown(found: Requalified) -> str:
    """The text of the one pull request: the table, then what would be lost where it gets worse."""
    lines = [f"## Requalified on {code(found.student)}", "", plain(title(found)), ""]
    lines += ["| " + " | ".join(head or " " for head in HEAD) + " |", "|" + " --- |" * len(HEAD)]
    lines += ["| " + " | ".join(plain(cell) for cell in cells(outcome)) + " |" for outcome in found.outcomes]
    for outcome in found.outcomes:
        if outcome.lost:
            shown = ", ".join(code(case) for case in outcome.lost[:10])
            more = f" and {len(outcome.lost) - 10} more" if len(outcome.lost) > 10 else ""
            lines += ["", f"{plain(outcome.skill)} loses {len(outcome.lost)} of {outcome.n} cases: {shown}{more}"]
    lines += [
        "",
        "Only a verdict of REPLACE against the teacher moves a deployment; every figure is in the evidence files.",
    ]
    return "\n".join(lines) + "\n"
