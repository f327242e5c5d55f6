"""Run every arm on every case, once an epoch: committed as it arrives, resumed for free."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Literal

from skillforge.case import Case
from skillforge.engine.journal import SampleJournal
from skillforge.engine.pool import Places, Stop, for_each
from skillforge.errors import ProviderStopped
from skillforge.evals.answer import Answer, Table
from skillforge.evals.running.arms import Arm
from skillforge.evals.running.limits import Meter
from skillforge.sample import Sample

_AT_ONCE = 500  # keys looked up together: a stored sample with its texts is a hundred times its answer
_FLOORS = ("today", "no-model")  # arms that ask nobody: where only these are left, nothing is measured any more


OnSample = Callable[[Arm, str, Answer, bool], None]


async def evaluate(
    arms: Sequence[Arm],
    cases: Sequence[Case],
    journal: SampleJournal,
    on_sample: OnSample = lambda arm, case_id, answer, reused: None,
    repeat: int = 1,
    meter: Meter | None = None,
) -> Table:
    """Answers of every arm to every case it covers, ``repeat`` of each (recorded answers as they are: ``Arm.epochs``).
    What the journal knows is reused; the rest is asked for and is reported at once.

    Students that share a model take turns, so that the arms of an interrupted eval have come equally far. The first arm
    is the teacher. Raises ``LimitReached`` and every other ``Halt``; an arm whose model or program alone says the same
    error again and again is stopped, and what it was not asked is an error of its report.
    """
    return await Evaluation(arms, journal, on_sample, repeat, meter or Meter()).ask(arms, cases)


class Evaluation:
    """An eval under way: what holds for all its cases, whether they are asked at once or in blocks."""

    def __init__(
        self, arms: Sequence[Arm], journal: SampleJournal, on_sample: OnSample, repeat: int, meter: Meter
    ) -> None:
        self._teacher = arms[0].student if arms else ""
        self._measured = {arm.name for arm in arms if arm.student != self._teacher and arm.kind not in _FLOORS}
        self.stopped: dict[str, ProviderStopped] = {}  # by arm: these are not asked any more
        self._journal = journal
        self._on_sample = on_sample
        self._repeat = repeat
        self._meter = meter
        self._stop = Stop()
        self._places: dict[str, Places] = {}

    async def ask(self, arms: Sequence[Arm], cases: Sequence[Case]) -> Table:
        """The answers of these arms to these cases. Ladders come last: what their rungs were asked is known by then."""
        table: Table = {arm.name: {} for arm in arms}

        async def one_arm(arm: Arm) -> None:
            places = self._places.setdefault(arm.executor.student, Places(arm.executor.concurrency))
            covered = [case for case in cases if arm.covers(case)]
            found: dict[str, tuple[Answer, ...]] = {}
            for epoch in arm.epochs(self._repeat):
                for case_id, answer in (await self._run_arm(arm, covered, epoch, places)).items():
                    found[case_id] = (*found.get(case_id, ()), answer)
            # in the order of the cases, not of their arrival: a resumed eval must add up the same figures in the same
            # order
            table[arm.name] = {case.id: found[case.id] for case in covered}

        single = [arm for arm in arms if arm.kind != "ladder"]
        ladders = [arm for arm in arms if arm.kind == "ladder"]
        for group in (single, ladders):
            if group:
                await for_each(group, one_arm, concurrency=len(group), stop=self._stop)
        return table

    async def _run_arm(self, arm: Arm, cases: Sequence[Case], epoch: int, places: Places) -> dict[str, Answer]:
        keys = [arm.sample_key(case, epoch) for case in cases]
        answers = known_answers(self._journal, keys)  # by key
        reused = set(answers)

        async def one(asked: tuple[Case, str]) -> None:
            case, key = asked
            async with places:  # until it is kept: no call begins while an answer before it could still be lost
                sample = await self._sample(arm, case, key, epoch)
                answer = sample if isinstance(sample, Answer) else Answer.of(await self._journal.add(sample))
            answers[key] = answer
            self._on_sample(arm, case.id, answer, False)
            if isinstance(sample, Sample):
                self._meter.count(answer.reason if answer.status == "error" else None)

        first: dict[str, Case] = {}  # equal inputs are one question: asked once, answered for all
        for case, key in zip(cases, keys, strict=True):
            first.setdefault(key, case)
            if key in reused:
                self._on_sample(arm, case.id, answers[key], True)
        open_ = ((case, key) for key, case in first.items() if key not in reused)
        await for_each(open_, one, concurrency=arm.executor.concurrency, stop=self._stop)
        for case, key in zip(cases, keys, strict=True):
            if key not in reused and first[key] is not case:
                self._on_sample(arm, case.id, answers[key], True)
        return {case.id: answers[key] for case, key in zip(cases, keys, strict=True)}

    async def _sample(self, arm: Arm, case: Case, key: str, epoch: int) -> Sample | Answer:
        """A new sample; an answer that says why there is none where the arm was stopped."""
        if self._stop.reason is not None:  # while this one waited for its turn
            raise self._stop.reason
        if arm.name not in self.stopped:
            self._meter.look_at_the_clock()
            try:
                run = await arm.executor.execute(arm.skill, case.input, epoch)
            except ProviderStopped as exc:
                self._give_up(arm, exc)
            else:
                status: Literal["ok", "error"] = "error" if run.status == "error" else "ok"
                return Sample(key=key, arm=arm.name, case_id=case.id, status=status, run=run)
        return Answer.not_asked(key, str(self.stopped[arm.name]))

    def _give_up(self, arm: Arm, error: ProviderStopped) -> None:
        """Stop one arm. Raises the error where nothing is left to be compared: the teacher, or all others."""
        self.stopped.setdefault(arm.name, error)
        if arm.student == self._teacher or self._measured <= self.stopped.keys():
            raise error


def known_answers(journal: SampleJournal, keys: Iterable[str]) -> dict[str, Answer]:
    """The answers that are known among ``keys``, by key."""
    stream = iter(dict.fromkeys(keys))
    found: dict[str, Answer] = {}
    while part := list(islice(stream, _AT_ONCE)):
        found.update((key, Answer.of(sample)) for key, sample in journal.known(part).items())
    return found


def recall(
    arms: Sequence[Arm], cases: Sequence[Case], journal: SampleJournal, on_sample: OnSample, repeat: int = 1
) -> Table:
    """The answers that are known already; nothing is asked. A case without all its answers is left out."""
    table: Table = {arm.name: {} for arm in arms}
    for arm in arms:
        covered = [case for case in cases if arm.covers(case)]
        given: dict[str, list[Answer]] = {case.id: [] for case in covered}
        for epoch in arm.epochs(repeat):
            keys = [arm.sample_key(case, epoch) for case in covered]
            known = known_answers(journal, keys)
            for case, key in zip(covered, keys, strict=True):
                if key in known:
                    given[case.id].append(known[key])
        for case_id, answers in given.items():
            if len(answers) == len(arm.epochs(repeat)):
                table[arm.name][case_id] = tuple(answers)
                for answer in answers:
                    on_sample(arm, case_id, answer, True)
    return table
