"""``eval`` and ``rescore``: measure a stored skill, keep every sample as it arrives, judge, report."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from skillforge.engine.frame import epoch_role
from skillforge.engine.pool import Together
from skillforge.engine.programs import CallableExecutor, CommandExecutor
from skillforge.engine.retold import sample_calls
from skillforge.errors import Halt, UsageError
from skillforge.evals.answer import Answer, Table
from skillforge.evals.running.arms import Arm
from skillforge.evals.running.evaluate import OnSample, evaluate, recall
from skillforge.evals.running.limits import Meter
from skillforge.evals.running.sandboxed import prompts_of
from skillforge.evals.running.sequential import evaluate_sequentially
from skillforge.evals.verdict.summary import Measure
from skillforge.forge.measuring.judging import judge_table, open_judges
from skillforge.forge.measuring.plan import EvalPlan, OnStart, Prepared, prepare, telling, unopened, with_tools
from skillforge.forge.measuring.reporting import (
    Circumstances,
    Measured,
    cleaned,
    comparable,
    keep,
    measure_of,
    report_of,
)
from skillforge.forge.measuring.rungs import RungSamples
from skillforge.forge.measuring.thresholds import settled
from skillforge.forge.session import Session
from skillforge.forge.workspace import Workspace
from skillforge.sample import Sample
from skillforge.store.database import is_of_the_file
from skillforge.store.registry import SkillVersion


async def evaluate_skill(
    work: Workspace,
    version: SkillVersion,
    plan: EvalPlan,
    on_start: OnStart,
    on_sample: OnSample,
    session: Session | None = None,
) -> Measured:
    """Measure, store every sample as it arrives, judge, keep the evidence, report. ``session`` opens the models instead
    of one on the plan's terms.

    Raises ``NotFound`` (suite), ``UsageError``, ``InvalidInput`` (a case does not fit the contract), ``Halt`` when no
    further call makes sense: what was measured is kept.
    """
    session = session or Session(work, plan.terms)
    rungs = RungSamples(work, version, session)

    async def on_dev(ready: Prepared) -> tuple[Table, Measure]:
        for arm in ready.arms:
            _ = arm.executor.identity
        meter = Meter(plan.limits)
        journal = StoredSamples(work, version, session, cleaned=cleaned(work, ready))
        table = await evaluate(ready.arms, ready.cases, journal, meter=meter)
        return table, measure_of(ready, await judge_table(work, session, ready, table, meter))

    async with with_tools(work, version.skill, plan, telling(session.executor, version.skill, plan)) as executor:
        plan = await settled(work, version, plan, executor, on_dev)
        ready = prepare(work, version, plan, executor, rungs)
        return await _evaluate(work, version, plan, session, ready, on_start, on_sample)


async def _evaluate(
    work: Workspace,
    version: SkillVersion,
    plan: EvalPlan,
    session: Session,
    ready: Prepared,
    on_start: OnStart,
    on_sample: OnSample,
) -> Measured:
    for arm in ready.arms:
        _ = arm.executor.identity  # opens every model: a wrong name must not be found after half is paid for
    open_judges(session, ready)
    on_start(ready.arms, ready.cases, ready.suite.repeat)
    started, meter = time.monotonic(), Meter(plan.limits)
    counted = _Counting(on_sample)
    journal = StoredSamples(work, version, session, cleaned=cleaned(work, ready))
    if ready.suite.decision.mode == "sequential":

        async def judging(table: Table) -> Measure:
            return measure_of(ready, await judge_table(work, session, ready, table, meter))

        table = await evaluate_sequentially(
            ready.arms, comparable(work, ready), journal, counted, ready.suite.repeat, meter, judging
        )
    else:
        table = await evaluate(ready.arms, ready.cases, journal, counted, ready.suite.repeat, meter)
    if plan.terms.record is not None:
        _record(work, session, ready, table, journal.added)
    return await _finish(work, version, plan, ready, table, session, counted, started, meter)


async def rescore_skill(work: Workspace, version: SkillVersion, plan: EvalPlan, on_start: OnStart) -> Measured:
    """Score what is stored again, by the suite as it is now. No model answers a case; a judge may be asked.

    Raises as ``evaluate_skill``, and ``UsageError`` where no sample of an arm is stored.
    """
    session = Session(work, plan.terms)

    async def on_dev(ready: Prepared) -> tuple[Table, Measure]:
        journal = StoredSamples(work, version, session, cleaned=cleaned(work, ready))
        table = recall(ready.arms, ready.cases, journal, lambda arm, case_id, answer, reused: None, 1)
        return table, measure_of(ready, await judge_table(work, session, ready, table, Meter(plan.limits)))

    async with with_tools(work, version.skill, plan, telling(unopened(work), version.skill, plan)) as executor:
        plan = await settled(work, version, plan, executor, on_dev)
        ready = prepare(work, version, plan, executor)
    on_start(ready.arms, ready.cases, ready.suite.repeat)
    started = time.monotonic()
    counted = _Counting(lambda arm, case_id, answer, reused: None)
    journal = StoredSamples(work, version, session, cleaned=cleaned(work, ready))
    table = recall(ready.arms, ready.cases, journal, counted, ready.suite.repeat)
    empty = [arm.name for arm in ready.arms if not table[arm.name] and any(map(arm.covers, ready.cases))]
    if ready.arms[0].name in empty or len(empty) == len(ready.arms):
        raise UsageError(f"nothing is stored of {', '.join(empty)}", hint="measure first: skillforge eval")
    if empty:  # an arm that was stopped, or never asked for
        work.say(f"nothing is stored of {', '.join(empty)}: left out")
        left = [arm for arm in ready.arms if arm.name not in empty]
        ready = replace(ready, arms=left)
        table = {arm.name: table[arm.name] for arm in left}
    missing = sum(arm.covers(case) and case.id not in table[arm.name] for arm in ready.arms for case in ready.cases)
    if missing and ready.suite.decision.mode == "fixed":  # who stopped early has not asked them all
        work.say(f"{missing} samples are not stored: skillforge eval asks for them, rescore leaves them out")
    return await _finish(work, version, plan, ready, table, session, counted, started, Meter(plan.limits))


async def _finish(
    work: Workspace,
    version: SkillVersion,
    plan: EvalPlan,
    ready: Prepared,
    table: Table,
    session: Session,
    counted: _Counting,
    started: float,
    meter: Meter,
) -> Measured:
    judged = await judge_table(work, session, ready, table, meter)
    spent = session.spent_usd
    paid = None if spent is None or counted.programs_usd is None else spent + counted.programs_usd
    figures = Circumstances(counted.total, counted.reused, paid, time.monotonic() - started)
    measured = report_of(work, version, plan, ready, table, judged, figures)
    keep(work, version, plan, measured)
    if not any(answer.status == "error" for given in table.values() for epochs in given.values() for answer in epochs):
        session.finish()
    return measured


@contextmanager
def told_without_secrets(work: Workspace) -> Iterator[None]:
    """Why an eval stopped quotes what a program or a server said last: its secrets are taken out."""
    try:
        yield
    except Halt as exc:
        clean = work.redactor.text
        if clean(str(exc)) == str(exc) and clean(exc.hint) == exc.hint:
            raise
        told = type(exc)(clean(str(exc)), hint=clean(exc.hint), maybe_billed=exc.maybe_billed, calls=exc.calls)
        raise told from None  # a traceback must not show it either


def _record(work: Workspace, session: Session, ready: Prepared, table: Table, added: Collection[str]) -> None:
    """A recording is whole: answers that an earlier eval paid for are written into it too, where it kept them. What was
    ``added`` now is in it already; of a workflow nobody kept what its steps were asked.
    """
    lost = 0
    inputs = {case.id: case.input for case in ready.cases}
    for arm in ready.arms:
        model = prompts_of(arm.executor)
        if model is None:
            continue
        if arm.skill.is_workflow:
            lost += sum(a.status == "ok" and a.key not in added for given in table[arm.name].values() for a in given)
            continue
        for case_id, epochs in table[arm.name].items():
            stored = work.samples.stored(answer.key for answer in epochs)
            for number, answer in enumerate(epochs):
                role = epoch_role(model.role, arm.first_epoch + number)
                run = stored[answer.key].run if answer.key in stored else None
                calls = [] if run is None else sample_calls(arm.skill, inputs[case_id], run, role)
                session.record(arm.executor.student, calls)
                lost += not calls and answer.status == "ok" and (run is None or bool(run.attempts))
    if lost:
        why = "an earlier eval kept no texts of them (store_io = none, or steps of a workflow)"
        work.say(f"{lost} samples are not in the recording: {why}")


class StoredSamples:
    """The store's sample log as the engine sees it; every run carries the version it measures."""

    def __init__(self, work: Workspace, version: SkillVersion, session: Session, *, cleaned: bool) -> None:
        self._log = work.samples
        self._version = version
        self._session = session
        self._clean = work.redactor.value if cleaned else None
        self.added: set[str] = set()
        self._write = Together(work.samples.write, hopeless=is_of_the_file)  # answers that come at once share a commit

    def known(self, keys: Iterable[str]) -> dict[str, Sample]:
        return {key: self._as_scored(sample) for key, sample in self._log.known(keys).items()}

    async def add(self, sample: Sample) -> Sample:
        # only the skill's own arm runs this very version; the other arms run forms derived from it
        version = self._version.version if sample.run.digest == self._version.digest else None
        await self._write(self._log.prepare(sample, version=version))
        self.added.add(sample.key)
        if sample.status == "ok":
            self._session.stored()
        else:
            self._session.left_open()
        return self._as_scored(sample)

    def _as_scored(self, sample: Sample) -> Sample:
        if self._clean is None:
            return sample
        run, output = sample.run, self._clean(sample.run.output)
        if output == run.output:
            return sample
        return sample.model_copy(update={"run": run.model_copy(update={"output": output})})


class _Counting:
    """How many samples there are, how many of them were known, and what programs of the caller's own say they took now
    (US dollars; ``None`` as soon as one does not say).
    """

    def __init__(self, on_sample: OnSample) -> None:
        self._on_sample = on_sample
        self.total = 0
        self.reused = 0
        self.programs_usd: float | None = 0.0

    def __call__(self, arm: Arm, case_id: str, answer: Answer, reused: bool) -> None:
        self.total += answer.asked
        self.reused += reused
        if isinstance(arm.executor, CallableExecutor | CommandExecutor) and not reused and answer.asked:
            unknown = None in (self.programs_usd, answer.usd)
            self.programs_usd = None if unknown else (self.programs_usd or 0.0) + (answer.usd or 0.0)
        self._on_sample(arm, case_id, answer, reused)
