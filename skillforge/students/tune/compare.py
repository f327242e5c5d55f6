"""The rule by which one form of a skill takes the place of another: paired on the same dev cases.

A dev set is small and is looked at often, so the rule is declared before anything runs, and what it cannot prove is
told as undecided:

- A challenger ``wins`` where the paired interval of its gain lies above 0. Right or wrong: Tango's score interval
  (Tango 1998, Statistics in Medicine 17:891-908); graded or clustered scores: paired t (Miller 2024, arXiv 2411.00640).
  That a change must strictly gain on cases it was not made from is the gate of SkillOpt and GEPA; the interval asks for
  more.
- Several finalists of a stage share its error (Bonferroni: each is held to ``1 - (1 - level) / finalists``), since the
  best of several is better than it looks.
- What one form answers and the other does not (too long for the model's window, a server that fails) counts as wrong:
  a form must not win by being compared on the cases alone that it can answer. A case that neither answers is left out.
- It is ``cheaper`` where it costs less and the interval lies above ``-tolerance`` (non-inferiority, as in an eval).
  Tolerance is counted from the best form that was found, never from the last step: small losses must not add up.

What is chosen on dev still looks too good. Only the test split, touched once at the end, says how good it is.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from typing import Literal

from pydantic import Field

from skillforge.evals.statistics import Interval, paired_t_interval, tango_interval
from skillforge.messages import Value
from skillforge.students.tune.values import CaseScore, Scores

CHEAPER = 0.99  # of the cost of the other: less of a difference is none

Outcome = Literal["start", "wins", "cheaper", "loses", "undecided", "raced out", "anchor", "refused", "unfinished"]


class Rule(Value):
    """``level`` of the two-sided interval (.90: each end is a one-sided 95% bound); ``tolerance`` in score units."""

    level: float = Field(default=0.9, gt=0, lt=1)
    tolerance: float = Field(default=0.05, ge=0, lt=1)

    def shared(self, finalists: int) -> float:
        """The level each of so many finalists is held to."""
        return 1 - (1 - self.level) / max(1, finalists)


class Paired(Value):
    """Two forms on the same ``n`` cases: means, cases only one of them got right, the interval of the difference.
    ``unanswered``: how many of them the one before and the one after gave no answer to.
    """

    n: int
    before: float
    after: float
    gained: int
    lost: int
    low: float
    high: float
    level: float
    unanswered: tuple[int, int] = (0, 0)

    @property
    def difference(self) -> float:
        return self.after - self.before


class Decided(Value):
    """What became of a candidate, and why in one line."""

    outcome: Outcome
    why: str
    against: str = ""
    paired: Paired | None = None

    @property
    def adopted(self) -> bool:
        return self.outcome in ("start", "wins", "cheaper")


def paired(
    before: Scores, after: Scores, cases: Collection[str], level: float, clusters: Mapping[str, str] | None = None
) -> Paired:
    """Compare on those of ``cases`` that both were asked and one answered. None at all: the interval [-1, 1]."""
    asked = [case for case in cases if case in before and case in after]
    both = [case for case in asked if _scored(before[case]) or _scored(after[case])]
    old = [before[case].score or 0.0 for case in both]
    new = [after[case].score or 0.0 for case in both]
    gained = sum(b > a for a, b in zip(old, new, strict=True))
    lost = sum(b < a for a, b in zip(old, new, strict=True))
    interval = _interval(old, new, gained, lost, level, [(clusters or {}).get(case) for case in both], both)
    n = len(both)
    return Paired(
        n=n,
        before=math.fsum(old) / n if n else 0.0,
        after=math.fsum(new) / n if n else 0.0,
        gained=gained,
        lost=lost,
        low=interval.low,
        high=interval.high,
        level=level,
        unanswered=(sum(not _scored(before[case]) for case in both), sum(not _scored(after[case]) for case in both)),
    )


def judge(rule: Rule, level: float, found: Paired, *, less: bool, trades: bool, against: str) -> Decided:
    """Whether a challenger takes the place of the best form. ``less``: it costs less. ``trades``: the stage is there to
    save, so it may lose within the tolerance; elsewhere a saving counts only where no quality was seen to be lost.
    """
    seen = f"{found.after:.3f} against {found.before:.3f} on {found.n} dev cases (+{found.gained} -{found.lost})"
    if any(found.unanswered):
        seen += ", without an answer {1} against {0} of them, which counts as wrong".format(*found.unanswered)
    bounds = f"{found.difference:+.3f}, {level:.1%} interval {found.low:+.3f} to {found.high:+.3f}"
    if found.n == 0:
        return Decided(outcome="unfinished", why="no case was scored", against=against, paired=found)
    if found.low > 0:
        return Decided(outcome="wins", why=f"{seen}: {bounds}", against=against, paired=found)
    answers = found.unanswered[1] <= found.unanswered[0]  # what gives no answer costs nothing
    if less and answers and found.low > -rule.tolerance and (trades or found.difference >= 0):
        why = f"costs less and is surely less than {rule.tolerance:g} worse: {seen}: {bounds}"
        return Decided(outcome="cheaper", why=why, against=against, paired=found)
    if found.high < 0:
        return Decided(outcome="loses", why=f"{seen}: {bounds}", against=against, paired=found)
    more = " (costs less, but that it is not worse is not proven)" if less else ""
    return Decided(outcome="undecided", why=f"{seen}: {bounds}{more}", against=against, paired=found)


def mean_score(scores: Scores, cases: Iterable[str]) -> float | None:
    """The mean of what was scored among ``cases``; ``None`` where nothing was."""
    known = [one.score for case in cases if (one := scores.get(case)) is not None and one.score is not None]
    return math.fsum(known) / len(known) if known else None


def worth(scores: Scores, cases: Collection[str]) -> float:
    """The mean score over all ``cases``; what was not answered is worth nothing."""
    return math.fsum(scores[case].score or 0.0 for case in cases if case in scores) / max(1, len(cases))


def cost_of(scores: Scores, cases: Iterable[str]) -> tuple[float | None, float | None]:
    """(US dollars, tokens) of a mean call; each ``None`` where it is unknown of a case."""
    seen = [one for case in cases if (one := scores.get(case)) is not None and one.score is not None]
    dollars = [one.usd for one in seen]
    tokens = [None if one.input_tokens is None else one.input_tokens + (one.output_tokens or 0) for one in seen]
    return _mean(dollars), _mean(tokens)


def costs_less(before: Scores, after: Scores, cases: Collection[str]) -> bool:
    """By dollars where both are known and not nothing, else by tokens: those are what a model of one's own works on."""
    (old_usd, old_tokens), (new_usd, new_tokens) = cost_of(before, cases), cost_of(after, cases)
    if old_usd is not None and new_usd is not None and (old_usd > 0 or new_usd > 0):
        return new_usd < CHEAPER * old_usd
    return old_tokens is not None and new_tokens is not None and new_tokens < CHEAPER * old_tokens


def failed_anchors(parent: Scores, child: Scores, anchors: Iterable[str], passes: float = 0.5) -> tuple[str, ...]:
    """The anchors that the parent passed and the child does not (a score below ``passes``, or no answer)."""

    def passed(score: CaseScore | None) -> bool:
        return score is not None and score.score is not None and score.score >= passes

    return tuple(case for case in anchors if passed(parent.get(case)) and case in child and not passed(child[case]))


def _interval(
    old: list[float], new: list[float], gained: int, lost: int, level: float, groups: list[str | None], ids: list[str]
) -> Interval:
    if not old:
        return Interval(-1.0, 1.0, level)
    if all(score in (0.0, 1.0) for score in (*old, *new)) and not any(groups):
        return tango_interval(gained, lost, len(old), level)
    named = [group or f"\0{case}" for group, case in zip(groups, ids, strict=True)] if any(groups) else None
    return paired_t_interval([b - a for a, b in zip(old, new, strict=True)], level, named)


def _scored(score: CaseScore) -> bool:
    return score.score is not None


def _mean(values: list[float | None] | list[int | None] | list[float] | list[int]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known and len(known) == len(values) else None
