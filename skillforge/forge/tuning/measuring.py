"""Measuring forms of a skill on train and dev cases: samples by content address, scored as an eval scores them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from skillforge.canonical import canonical_json, digest
from skillforge.case import Case
from skillforge.engine.compiled import compiled
from skillforge.engine.execute import PromptExecutor
from skillforge.engine.frame import complete_input
from skillforge.evals.answer import Answer
from skillforge.evals.running.arms import Arm, ArmKind
from skillforge.evals.running.evaluate import evaluate
from skillforge.evals.running.limits import Meter
from skillforge.evals.scorers.resolve import judged_by
from skillforge.evals.scoring import score_answers
from skillforge.forge.measuring.judging import judge_table
from skillforge.forge.measuring.measure import StoredSamples
from skillforge.forge.measuring.plan import Prepared
from skillforge.forge.measuring.reporting import cleaned, comparable
from skillforge.forge.session import Session
from skillforge.forge.workspace import Workspace
from skillforge.run import Run
from skillforge.skill import Skill
from skillforge.store.registry import SkillVersion
from skillforge.students.tune.costs import cached_usd, is_free, request_of
from skillforge.students.tune.values import CaseScore

OnAsked = Callable[[bool], None]
"""Called with whether the answer was known already."""


class _Shown:
    """Which inputs a skill shows among its examples."""

    def __init__(self) -> None:
        self._known: dict[str, frozenset[bytes]] = {}

    def holds(self, skill: Skill, given: Mapping[str, Any]) -> bool:
        named = compiled(skill).digest
        if named not in self._known:
            inputs = (example.input for example in skill.examples.items)
            self._known[named] = frozenset(canonical_json(complete_input(skill, each)) for each in inputs)
        return canonical_json(complete_input(skill, given)) in self._known[named]


@dataclass(frozen=True)
class _WithoutItself(PromptExecutor):
    """Never shows a case its own answer: the examples of a skill are train cases as a rule."""

    shown: _Shown = field(default_factory=_Shown)

    async def execute(self, skill: Skill, given: Mapping[str, Any], epoch: int = 0) -> Run:
        by = PromptExecutor(self.provider, self.role, self.custom_checks, self.shown.holds(skill, given))
        return await by.execute(skill, given, epoch)


@dataclass(frozen=True)
class _TrainArm(Arm):
    """What differs from what production would be asked is kept apart from it: the case is one of the examples."""

    shown: _Shown = field(default_factory=_Shown)

    def sample_key(self, case: Case, epoch: int = 0) -> str:
        key = super().sample_key(case, epoch)
        return digest({"key": key, "without": "itself"}) if self.shown.holds(self.skill, case.input) else key


class Measuring:
    """``Measure`` for one student. Every sample is stored as it arrives, under the key an eval would give it: what was
    measured before, here or by ``eval``, is not asked again.
    """

    def __init__(
        self,
        work: Workspace,
        version: SkillVersion,
        session: Session,
        ready: Prepared,
        student: str,
        on_asked: OnAsked = lambda reused: None,
    ) -> None:
        self._work = work
        self._version = version
        self._session = session
        self._ready = ready
        self._on_asked = on_asked
        self._shown = _Shown()
        opened = session.executor(student)
        self._executor = _WithoutItself(
            opened.provider, role=opened.role, custom_checks=opened.custom_checks, shown=self._shown
        )
        self._journal = StoredSamples(work, version, session, cleaned=cleaned(work, ready))
        self.thinks = False  # whether the student was seen to think before it answers

    @cached_property
    def _free(self) -> bool:
        return is_free(self._executor.provider)

    async def __call__(self, skill: Skill, cases: Sequence[Case]) -> dict[str, CaseScore]:
        """Raises ``Halt`` where no further call makes sense; what was answered until then is stored."""
        kind: ArmKind = "skill" if skill == self._version.skill else "variant"
        name = f"{self._executor.student} + {kind}"
        arm = _TrainArm(name, kind, skill, self._executor, shown=self._shown)
        answers: dict[str, tuple[Answer, ...]] = {}
        values: dict[str, float] = {}
        if cases:

            def on_sample(arm: Arm, case_id: str, answer: Answer, reused: bool) -> None:
                self._on_asked(reused)

            table = await evaluate([arm], list(cases), self._journal, on_sample, 1, Meter())
            answers = table[arm.name]
            ready = replace(self._ready, arms=[arm], cases=list(cases))
            judged = await judge_table(self._work, self._session, ready, table, Meter())
            metric = judged_by(ready.scorers, judged.scores).metric
            expected = {case.id: case.expected for case in comparable(self._work, ready) if case.expected is not None}
            values = score_answers(metric, cases, answers, expected).values
        runs = self._work.samples.stored([given[0].key for given in answers.values()])
        return {case.id: self._score(skill, case, answers[case.id][0], values.get(case.id), runs) for case in cases}

    def _score(
        self, skill: Skill, case: Case, answer: Answer, value: float | None, runs: Mapping[str, Any]
    ) -> CaseScore:
        run: Run | None = runs[answer.key].run if answer.key in runs else None
        if run is not None and run.usage.reasoning_tokens:
            self.thinks = True
        return CaseScore(
            case_id=case.id,
            score=value,
            ok=answer.run_status == "ok",
            output=run.output if run is not None else answer.output,
            problem=answer.reason or (run.reason if run is not None else ""),
            usd=self._usd(skill, case, run),
            input_tokens=answer.input_tokens,
            output_tokens=answer.output_tokens,
            seconds=answer.latency_s,
        )

    def _usd(self, skill: Skill, case: Case, run: Run | None) -> float | None:
        if self._free:
            return 0.0
        if run is None:
            return None
        request = request_of(skill, case.input)
        paid = [cached_usd(self._executor.provider, request, attempt.usage) for attempt in run.attempts]
        known = [usd for usd in paid if usd is not None]
        return sum(known) if len(known) == len(paid) else None
