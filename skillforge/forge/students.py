"""``forge.students``: making cheap students good, and knowing which of them is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

from skillforge.evals.running.evaluate import OnSample
from skillforge.forge.measuring.plan import OnStart
from skillforge.forge.portal import Portal, now
from skillforge.forge.workspace import Workspace
from skillforge.students.requalified import OnSkill

if TYPE_CHECKING:
    from skillforge.forge.fitting import Trained, TrainWishes
    from skillforge.forge.ladders import Taken
    from skillforge.forge.requalify import RequalifyPlan
    from skillforge.forge.tuning.plan import TuneWishes
    from skillforge.store.candidates import Candidate
    from skillforge.students.leaderboard import Leaderboard
    from skillforge.students.recommend import Recommendation
    from skillforge.students.requalified import Requalified
    from skillforge.students.tune.estimate import TuneEstimate
    from skillforge.students.tune.tuned import Tuned


class Heard(TypedDict, total=False):
    """What long work may tell as it goes on: a skill is begun, an eval starts, a sample arrives."""

    on_skill: OnSkill
    on_start: OnStart
    on_sample: OnSample


class Students:
    """Every method has an async twin with the prefix ``a``."""

    def __init__(self, portal: Portal, work: Workspace) -> None:
        self._portal = portal
        self._work = work

    def leaderboard(self, ref: str, *, floors: bool = False) -> Leaderboard:
        """All students ever measured on a skill, those on its suite as it is now first; the Pareto front is marked.

        ``floors`` adds the students bare and with the examples alone. Nothing is measured. Raises ``NotFound`` where
        nobody was.
        """
        from skillforge.forge.leaderboard import board_of

        return self._portal.run(lambda: board_of(self._work, ref, floors=floors))

    async def aleaderboard(self, ref: str, *, floors: bool = False) -> Leaderboard:
        from skillforge.forge.leaderboard import board_of

        return await self._portal.acall(lambda: now(lambda: board_of(self._work, ref, floors=floors)))

    def recommend(
        self,
        ref: str,
        *,
        min_parity: float = 0.95,
        max_cost: float | None = None,
        max_p95_ms: float | None = None,
        local_only: bool = False,
        edge_only: bool = False,
    ) -> Recommendation:
        """The cheapest student that surely reaches ``min_parity`` of the teacher's quality and meets the other needs,
        or which measurement is missing. ``max_cost`` is dollars for 1,000 runs. Raises ``UsageError``.
        """
        from skillforge.forge.leaderboard import recommended
        from skillforge.students.recommend import Needs

        needs = Needs(min_parity, max_cost, max_p95_ms, local_only, edge_only)
        return self._portal.run(lambda: recommended(self._work, ref, needs))

    async def arecommend(
        self,
        ref: str,
        *,
        min_parity: float = 0.95,
        max_cost: float | None = None,
        max_p95_ms: float | None = None,
        local_only: bool = False,
        edge_only: bool = False,
    ) -> Recommendation:
        from skillforge.forge.leaderboard import recommended
        from skillforge.students.recommend import Needs

        needs = Needs(min_parity, max_cost, max_p95_ms, local_only, edge_only)
        return await self._portal.acall(lambda: now(lambda: recommended(self._work, ref, needs)))

    def requalify(self, plan: RequalifyPlan, **heard: Unpack[Heard]) -> Requalified:
        """Measure the deployed skills on a new student, one after the other, the cheapest first, within one budget;
        with ``plan.move`` those that may move to it are promoted. The same call goes on where an interruption left it.

        Raises ``NotFound`` where nothing is promoted, ``UsageError``, and ``Halt`` when no further call makes sense.
        """
        return self._portal.call(lambda: self._requalify(plan, heard), paid=True)

    async def arequalify(self, plan: RequalifyPlan, **heard: Unpack[Heard]) -> Requalified:
        return await self._portal.acall(lambda: self._requalify(plan, heard))

    async def _requalify(self, plan: RequalifyPlan, heard: Heard) -> Requalified:
        from skillforge.forge.requalify import requalify

        on_skill = heard.get("on_skill", lambda name, number, count: None)
        on_start = heard.get("on_start", lambda arms, cases, repeat: None)
        on_sample = heard.get("on_sample", lambda arm, case_id, answer, reused: None)
        return await requalify(self._work, plan, on_skill, on_start, on_sample)

    def tune(self, ref: str, **wishes: Unpack[TuneWishes]) -> Tuned:
        """Find the form of a skill that suits one student, by measuring on dev within a budget; test it once on unseen
        cases and write ``variants/<student>.yaml``. The same call goes on where it was stopped and pays nothing twice.

        Raises ``NotFound`` (skill, suite), ``UsageError``, ``Halt`` where no further call makes sense (not where the
        budget is spent: ``Tuned.status`` says that).
        """
        return self._portal.call(lambda: self._tune(ref, wishes), paid=True)

    async def atune(self, ref: str, **wishes: Unpack[TuneWishes]) -> Tuned:
        return await self._portal.acall(lambda: self._tune(ref, wishes))

    async def _tune(self, ref: str, wishes: TuneWishes) -> Tuned:
        from skillforge.forge.measuring.measure import told_without_secrets
        from skillforge.forge.tuning.plan import plan_tuning
        from skillforge.forge.tuning.tune import tune_skill

        with told_without_secrets(self._work):
            return await tune_skill(self._work, plan_tuning(self._work, ref, wishes), wishes)

    def estimate_tuning(self, ref: str, **wishes: Unpack[TuneWishes]) -> TuneEstimate:
        """What ``tune`` would ask at most, and about what it costs. Nothing is asked."""
        from skillforge.forge.tuning.estimate import estimate_tuning

        return self._portal.run(lambda: estimate_tuning(self._work, ref, wishes))

    def tunings(self, ref: str, *, student: str = "") -> list[Tuned]:
        """What was tuned for a skill, newest first, with every candidate and its scores. Nothing is asked."""
        from skillforge.forge.tuning.history import tunings_of

        return self._portal.run(lambda: tunings_of(self._work, ref, student))

    async def aestimate_tuning(self, ref: str, **wishes: Unpack[TuneWishes]) -> TuneEstimate:
        from skillforge.forge.tuning.estimate import estimate_tuning

        return await self._portal.acall(lambda: now(lambda: estimate_tuning(self._work, ref, wishes)))

    async def atunings(self, ref: str, *, student: str = "") -> list[Tuned]:
        from skillforge.forge.tuning.history import tunings_of

        return await self._portal.acall(lambda: now(lambda: tunings_of(self._work, ref, student)))

    def candidates(self, ref: str) -> list[Candidate]:
        """Inputs that went up a ladder of this skill and became no case yet, with what every rung said, oldest first.

        Named and deployed runs leave them, unless ``store_io`` is ``none``; ``purge`` erases them as it erases runs.
        """
        from skillforge.forge.ladders import waiting

        return self._portal.run(lambda: waiting(self._work, ref))

    async def acandidates(self, ref: str) -> list[Candidate]:
        from skillforge.forge.ladders import waiting

        return await self._portal.acall(lambda: now(lambda: waiting(self._work, ref)))

    def take(self, ref: str, count: int | None = None, *, suite: str | Path | None = None) -> Taken:
        """Add the oldest ``count`` of them (all) to the train split of the skill's suite, labelled with the last rung's
        answer. What says the same as a case of the suite is left out. Raises ``UsageError``, ``NotFound``.
        """
        from skillforge.forge.ladders import take

        place = None if suite is None else Path(suite)
        return self._portal.run(lambda: take(self._work, ref, count, place))

    async def atake(self, ref: str, count: int | None = None, *, suite: str | Path | None = None) -> Taken:
        from skillforge.forge.ladders import take

        place = None if suite is None else Path(suite)
        return await self._portal.acall(lambda: now(lambda: take(self._work, ref, count, place)))

    def train(self, ref: str, **wishes: Unpack[TrainWishes]) -> Trained:
        """Fit a tiny classifier for a skill whose outputs are all labels, on the suite's train split; it is written to
        ``skills/<skill>/encoders/`` and is the student ``encoder:NAME``. No model is asked.

        Raises ``NotFound`` (skill, suite), ``UsageError``, ``MissingPackage`` (the extra ``encoder``).
        """
        return self._portal.call(lambda: self._train(ref, wishes))

    async def atrain(self, ref: str, **wishes: Unpack[TrainWishes]) -> Trained:
        return await self._portal.acall(lambda: self._train(ref, wishes))

    async def _train(self, ref: str, wishes: TrainWishes) -> Trained:
        from skillforge.forge.fitting import TrainPlan, train_encoder

        return await train_encoder(self._work, ref, TrainPlan(**wishes))
