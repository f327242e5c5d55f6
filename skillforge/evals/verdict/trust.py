"""What forbids a conclusion: answers that did not come, a scorer that failed, or one that is silent on one side.

A verdict compares the cases that both arms have a score of. Where what is missing is missing on one side, those are not
the cases the suite was made of: who says nothing on the hard ones must not look good on the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from skillforge.evals.answer import Answers
from skillforge.evals.scoring import Scores

MAX_ERRORS = 0.02  # share of infrastructure errors above which nothing is concluded
MAX_LOPSIDED = 0.01  # difference in that share between student and teacher


@dataclass(frozen=True)
class Seen:
    """What there is of one arm. ``passes`` are its answers to the cases that count; of a teacher that answered twice
    for want of labels both, since a case takes part with both only. ``scores`` are those it is compared by.
    """

    passes: tuple[Answers, ...]
    scores: Scores

    @property
    def errors(self) -> float:
        """Share of infrastructure errors, of several passes in the worst."""
        return max((_errors(answers) for answers in self.passes), default=0.0)

    @property
    def failed(self) -> float:
        """Share of the cases that the scorer failed on."""
        failed = len(self.scores.errors)
        return failed / max(1, failed + len(self.scores.values))

    def silence(self, case_id: str) -> float:
        """Share of the answers to a case that the scorer said nothing of."""
        epochs = self.passes[-1].get(case_id, ())
        return self.scores.silent.get(case_id, 0) / max(1, sum(answer.status != "error" for answer in epochs))


def untrusted(here: Seen, there: Seen, margin: float, *, better: bool = False) -> str:
    """Why nothing may be concluded from an arm and the teacher (``there``), or an empty string. ``better``: the arm
    surely is, so that it owes nothing to the margin.
    """
    bar = there.scores.mean
    if bar == 0:
        return "the teacher is right on no case: the labels or the metric do not fit the task"
    if bar is not None and bar <= margin and not better:  # no student can be worse than always wrong
        return f"the teacher is right on {bar:.1%}, the margin is {margin:.1%}: who is always wrong would pass too"
    worst = max(here.errors, there.errors)
    if worst > MAX_ERRORS:
        return f"{worst:.1%} infrastructure errors (at most {MAX_ERRORS:.0%})"
    if abs(here.errors - there.errors) > MAX_LOPSIDED:
        return f"errors are lopsided: {here.errors:.1%} here, {there.errors:.1%} at the teacher"
    unread = max(here.failed, there.failed)
    if unread > MAX_ERRORS:
        return f"the scorer failed on {unread:.1%} of the answers (at most {MAX_ERRORS:.0%})"
    if abs(here.failed - there.failed) > MAX_LOPSIDED:
        return f"the scorer's failures are lopsided: {here.failed:.1%} here, {there.failed:.1%} at the teacher"
    if here.scores.values.keys().isdisjoint(there.scores.values):
        return "no case has a score on both sides: the labels or the metric do not fit the task"
    return _silent(here, there)


def _silent(here: Seen, there: Seen) -> str:
    """Why a scorer that says nothing of some answers forbids a conclusion. What it says of neither arm (a label that it
    cannot compare) is nobody's doing.
    """
    shares = [(here.silence(case_id), there.silence(case_id)) for case_id in _comparable(here, there)]
    count = max(1, len(shares))
    mine = sum(max(0.0, one - other) for one, other in shares) / count
    theirs = sum(max(0.0, other - one) for one, other in shares) / count
    if max(mine, theirs) > MAX_ERRORS or abs(mine - theirs) > MAX_LOPSIDED:
        return f"the metric is silent on one side alone: on {mine:.1%} here, {theirs:.1%} at the teacher"
    return ""


def _comparable(here: Seen, there: Seen) -> Iterator[str]:
    """The cases that at least one of the two has a score of, and that nothing else keeps the other from."""
    for case_id in {**here.scores.values, **there.scores.values}:
        answered = case_id in here.passes[-1] and case_id in there.passes[-1]
        if answered and case_id not in here.scores.errors and case_id not in there.scores.errors:
            yield case_id


def _errors(answers: Answers) -> float:
    given = [answer.status for epochs in answers.values() for answer in epochs]
    return given.count("error") / max(1, len(given))
