"""Who answered on a ladder: how many inputs each rung was asked, kept, and what that cost."""

from __future__ import annotations

from collections.abc import Sequence

from skillforge.errors import UsageError
from skillforge.evals.answer import Answer, Table
from skillforge.evals.running.arms import Arm
from skillforge.ladder import TEACHER, LadderSpec, parse_ladder
from skillforge.messages import Value


class RungShare(Value):
    """One rung over all answers of its ladder: how many it was ``asked``, how many it ``answered`` (what it gave
    stayed), on how many it gave no answer at all (``errors``). ``share`` is answered over all answers of the ladder,
    ``usd_per_1000`` its part of 1,000 runs of the whole ladder (``None`` unknown).
    """

    student: str
    threshold: float | None = None
    asked: int
    answered: int
    share: float
    errors: int = 0
    usd_per_1000: float | None = None


def rung_shares(student: str, answers: Sequence[Answer]) -> tuple[RungShare, ...]:
    """The rungs of the ladder ``student`` in order, also those that were never asked; none for any other student."""
    ladder = _ladder(student)
    if ladder is None or not answers:
        return ()
    shares = []
    for spec in ladder.rungs:
        found = [rung for answer in answers for rung in answer.rungs if rung[0] == spec.student]
        answered = sum(bool(answer.rungs) and answer.rungs[-1][0] == spec.student for answer in answers)
        dollars = [usd for _, _, usd in found]
        known = [usd for usd in dollars if usd is not None]
        shares.append(
            RungShare(
                student=spec.student,
                threshold=spec.threshold,
                asked=len(found),
                answered=answered,
                share=answered / len(answers),
                errors=sum(status == "error" for _, status, _ in found),
                usd_per_1000=1000 * sum(known) / len(answers) if len(known) == len(dollars) else None,
            )
        )
    return tuple(shares)


def rungs_alone(arms: Sequence[Arm], table: Table) -> list[float | None]:
    """US dollars of what rungs were asked that have no arm of their own in the eval; of several ladders once."""
    single = {arm.student for arm in arms if arm.kind in ("skill", "variant", "encoder")} | {TEACHER}
    found = {
        (student, case_id, epoch): usd
        for arm in arms
        if arm.kind == "ladder"
        for case_id, answers in table[arm.name].items()
        for epoch, answer in enumerate(answers)
        for student, _, usd in answer.rungs
        if student not in single
    }
    return list(found.values())


def _ladder(student: str) -> LadderSpec | None:
    try:
        return parse_ladder(student)
    except UsageError:  # a program's or a file's name may hold anything
        return None
