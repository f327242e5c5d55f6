"""Run every arm on every case, once: committed as it arrives, resumed for free."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import anyio

from skillforge.case import Case
from skillforge.engine.journal import SampleJournal
from skillforge.engine.pool import Stop, for_each
from skillforge.evals.arms import Arm
from skillforge.sample import Sample

OnSample = Callable[[Arm, Sample, bool], None]
Table = dict[str, dict[str, Sample]]  # arm name -> case id -> sample


async def evaluate(
    arms: Sequence[Arm],
    cases: Sequence[Case],
    journal: SampleJournal,
    on_sample: OnSample = lambda arm, sample, reused: None,
) -> Table:
    """Samples of every arm on every case it covers. What the journal knows is reused; the rest is asked for and is
    reported at once.

    Students that share a model take turns, so that the arms of an interrupted eval have come equally far.
    """
    table: Table = {arm.name: {} for arm in arms}
    limiters: dict[str, anyio.CapacityLimiter] = {}
    stop = Stop()

    async def one_arm(arm: Arm) -> None:
        executor = arm.executor
        limiter = limiters.setdefault(executor.student, anyio.CapacityLimiter(max(1, executor.concurrency)))
        covered = [case for case in cases if arm.covers(case)]
        await _run_arm(arm, covered, journal, on_sample, table[arm.name], limiter, stop)

    await for_each(arms, one_arm, concurrency=len(arms), stop=stop)
    # in the order of the cases, not of their arrival: a resumed eval must add up the same figures in the same order
    return {name: {case.id: found[case.id] for case in cases if case.id in found} for name, found in table.items()}


async def _run_arm(
    arm: Arm,
    cases: Sequence[Case],
    journal: SampleJournal,
    on_sample: OnSample,
    found: dict[str, Sample],
    limiter: anyio.CapacityLimiter,
    stop: Stop,
) -> None:
    keys = {case.id: arm.sample_key(case) for case in cases}
    known = journal.known(keys.values())
    asked: dict[str, Case] = {}  # equal inputs are one question: asked once, answered for all
    for case in cases:
        asked.setdefault(keys[case.id], case)

    async def one(case: Case) -> None:
        key = keys[case.id]
        if key in known:
            sample = known[key].model_copy(update={"arm": arm.name, "case_id": case.id})
        else:
            async with limiter:
                run = await arm.executor.execute(arm.skill, case.input)
            sample = Sample(
                key=key, arm=arm.name, case_id=case.id, status="error" if run.status == "error" else "ok", run=run
            )
            journal.add(sample)
        found[case.id] = sample
        on_sample(arm, sample, key in known)

    await for_each(asked.values(), one, concurrency=arm.executor.concurrency, stop=stop)
    for case in cases:
        first = asked[keys[case.id]]
        if first is not case:
            found[case.id] = found[first.id].model_copy(update={"case_id": case.id})
            on_sample(arm, found[case.id], True)
