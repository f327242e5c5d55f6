"""Measure until the verdict is sure: blocks of cases in a random order, and a test that is valid at any time.

The order (``in_random_order``) is fixed before anything runs and owes nothing to the answers, the test
(``BettingTest``) may be looked at after every case. Of several candidates each has its share of alpha
(``shared_alpha``). So ``summarise`` draws from the same answers the verdicts that were stopped at, whenever it is
asked: after a killed eval was resumed, and when it is scored again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import groupby

from skillforge.case import Case
from skillforge.engine.journal import SampleJournal
from skillforge.evals.answer import Table
from skillforge.evals.running.arms import CANDIDATES, Arm
from skillforge.evals.running.evaluate import Evaluation, OnSample
from skillforge.evals.running.limits import Meter
from skillforge.evals.sampling import in_random_order
from skillforge.evals.scoring import score_answers
from skillforge.evals.statistics import BettingTest, largest_of
from skillforge.evals.verdict.gates import floor_test
from skillforge.evals.verdict.summary import Measure, references, shared_alpha

BLOCK = 16  # cases between two looks: more would be paid for in vain, fewer would leave a model's concurrency unused

Judging = Callable[[Table], Awaitable[Measure]]
"""How the answers of a table are judged: where a model judges, it is asked about these."""


async def evaluate_sequentially(
    arms: Sequence[Arm],
    cases: Sequence[Case],
    journal: SampleJournal,
    on_sample: OnSample,
    repeat: int,
    meter: Meter,
    judging: Judging,
) -> Table:
    """As ``evaluate``, but a candidate is asked no more once its verdict is sure, nor are the other arms of its
    student; when all are sure, nobody is.

    The table holds what was asked, in the order of the cases. Where no verdict can be drawn (no candidate; no labels
    and no second pass of the teacher) every case is asked.
    """
    evaluation = Evaluation(arms, journal, on_sample, repeat, meter)
    measure = await judging({arm.name: {} for arm in arms})
    reference, _ = references(measure.metric, cases, {})
    candidates = [arm.name for arm in arms[1:] if arm.kind in CANDIDATES]
    if not candidates or (reference == "teacher" and not any(arm.kind == "again" for arm in arms)):
        return await evaluation.ask(arms, cases)
    race = Race(arms, candidates, cases, measure)
    table: Table = {arm.name: {} for arm in arms}
    for block in race.blocks():
        running = [name for name in race.running if name not in evaluation.stopped]
        if not running:
            break
        part: Table = {arm.name: {} for arm in arms}
        part.update(await evaluation.ask(still_asked(arms, running), block))
        race.run(running, block, part, await judging(part))
        for name, answers in part.items():
            table[name].update(answers)
    return {name: {case.id: found[case.id] for case in cases if case.id in found} for name, found in table.items()}


class Race:
    """The candidates on their way to a verdict, each with a test of its own."""

    def __init__(self, arms: Sequence[Arm], candidates: Sequence[str], cases: Sequence[Case], measure: Measure) -> None:
        rule = shared_alpha(measure.decision, arms)
        largest = largest_of(measure.clusters.values()) if measure.clusters else 1
        self._teacher = arms[0].name
        self._again = next((arm.name for arm in arms if arm.kind == "again"), None)
        self._cases = cases
        self._clusters = measure.clusters
        self._tests = {name: BettingTest(rule.margin, rule.alpha, largest) for name in candidates}
        floors = {
            name: floor_test(rule, largest) for name in candidates
        }  # of the least quality, where one is asked for
        self._floors = {name: test for name, test in floors.items() if test is not None}

    @property
    def running(self) -> list[str]:
        """The candidates whose verdict is not sure yet: neither one surely too bad nor one good enough in all."""
        return [name for name in self._tests if self._open(name)]

    def _open(self, name: str) -> bool:
        floor = self._floors.get(name)
        verdicts = {self._tests[name].verdict, "pass" if floor is None else floor.verdict}
        return "fail" not in verdicts and "inconclusive" in verdicts

    def blocks(self) -> Iterator[list[Case]]:
        """The cases in blocks of at least ``BLOCK`` in their random order; no cluster is parted."""
        by_id = {case.id: case for case in self._cases}
        block: list[Case] = []
        for ids in self._units(in_random_order(by_id, self._clusters)):
            block.extend(by_id[case_id] for case_id in ids)
            if len(block) >= BLOCK:
                yield block
                block = []
        if block:
            yield block

    def run(self, names: Sequence[str], block: Sequence[Case], table: Table, measure: Measure) -> None:
        """Let these candidates bet on a block: against the teacher or, without labels, against its second pass. A case
        that either has no score for is left out.
        """
        reference, expected = references(measure.metric, self._cases, table[self._teacher])
        bar_name = self._again if reference == "teacher" and self._again else self._teacher
        bar = score_answers(measure.metric, block, table[bar_name], expected).values
        for name in names:
            scores = score_answers(measure.metric, block, table[name], expected).values
            for ids in self._units([case.id for case in block if case.id in scores and case.id in bar]):
                self._tests[name].add(*(scores[case_id] - bar[case_id] for case_id in ids))
                if (floor := self._floors.get(name)) is not None:
                    floor.add(*(scores[case_id] - 1 for case_id in ids))

    def _units(self, ids: Sequence[str]) -> Iterator[list[str]]:
        """Ids that go together: those of one cluster, each other one alone."""
        for _, members in groupby(ids, key=lambda case_id: self._clusters.get(case_id, f"\0{case_id}")):
            yield list(members)


def still_asked(arms: Sequence[Arm], running: Sequence[str]) -> list[Arm]:
    """The arms without the candidates that are sure, and without what else their students answer."""
    done = {arm.student for arm in arms[1:] if arm.kind in CANDIDATES}
    done -= {arm.student for arm in arms if arm.name in running}
    asked = [arm for arm in arms[1:] if arm.name in running or arm.kind not in CANDIDATES]
    return [arms[0], *(arm for arm in asked if arm.kind == "again" or arm.student not in done)]
