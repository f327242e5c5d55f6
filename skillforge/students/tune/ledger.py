"""What one optimiser has measured: each form on each case once, never more runs than it was given."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from skillforge.case import Case
from skillforge.students.tune.values import CaseScore, Task

_LEAST_SELECTION = 8
_PROPOSALS = 3  # so many proposals should be affordable


class Spent(Exception):
    """The next measurement would take more runs than are left."""


class Ledger:
    """``used`` counts runs of the student that were asked for here. A run is booked before it is asked for: what was
    cut off may have been paid. Whether it was in the store already is not told, so ``used`` is never too low.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._known: dict[str, dict[str, CaseScore]] = {}
        self.used = 0

    @property
    def left(self) -> int:
        return max(0, self._task.calls - self.used)

    def price(self, instructions: str, cases: Sequence[Case]) -> int:
        """Runs that measuring this would take."""
        known = self._known.get(instructions, {})
        return len({case.id for case in cases} - known.keys())

    def known(self, instructions: str, cases: Sequence[Case]) -> dict[str, CaseScore]:
        """What was measured of it so far."""
        found = self._known.get(instructions, {})
        return {case.id: found[case.id] for case in cases if case.id in found}

    async def scores(self, instructions: str, cases: Sequence[Case]) -> dict[str, CaseScore]:
        """By case id, for every case; a case without an answer has the score ``None``.

        Raises ``Spent`` before anything is run where it would be too much, and what measuring raises.
        """
        known = self._known.setdefault(instructions, {})
        fresh = list({case.id: case for case in cases if case.id not in known}.values())
        if len(fresh) > self.left:
            raise Spent
        if fresh:
            self.used += len(fresh)
            found = await self._task.measure(self._task.skill.model_copy(update={"instructions": instructions}), fresh)
            known |= {case.id: found.get(case.id) or CaseScore(case_id=case.id, score=None) for case in fresh}
        return {case.id: known[case.id] for case in cases}


def affordable_selection(task: Task, batch: int) -> list[Case]:
    """The selection cases, or as many of them as leave runs for a few proposals, each on ``batch`` feedback cases twice
    and on the selection once. The part is drawn with the task's seed: cases often lie sorted by label.
    """
    cases = list(task.selection)
    Random(task.seed).shuffle(cases)
    fits = (task.calls - 2 * _PROPOSALS * batch) // (_PROPOSALS + 1)
    chosen = {case.id for case in cases[: max(_LEAST_SELECTION, fits)]}
    return [case for case in task.selection if case.id in chosen]


def gained(before: dict[str, CaseScore], after: dict[str, CaseScore]) -> float:
    """The sum of the differences over the cases that both have a score of."""
    both = [(before[case].score, after[case].score) for case in before if case in after]
    return sum(new - old for old, new in both if old is not None and new is not None)
