"""``create --cases-target``: solve, simulate, label twice, split and freeze, author from train, critique."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

from pydantic import Field

from skillforge.canonical import digest
from skillforge.case import Case, Suite
from skillforge.config import STATE_FOLDER, find_root, store_io
from skillforge.engine.author import Draft, Prove
from skillforge.engine.proposal import Proposal
from skillforge.engine.roles.attacks import Disputed, Material
from skillforge.engine.roles.critic import Criticism, criticise, revise
from skillforge.engine.roles.finding import Finding
from skillforge.engine.roles.label import Labelled
from skillforge.engine.roles.simulate import DEFAULT_LIMITS, SimulateLimits
from skillforge.errors import UsageError
from skillforge.evals.diversity import Diversity, diversity
from skillforge.evals.leaks import leaking
from skillforge.evals.wording.words import many
from skillforge.forge.making.create import Created, CreatePlan, create_skill
from skillforge.forge.making.from_log import Recorded
from skillforge.forge.making.frozen import freeze
from skillforge.forge.making.growing import (
    PROVENANCE,
    SIMULATED,
    Grown,
    Models,
    OnProgress,
    TeachJournal,
    grow,
    overlaid,
)
from skillforge.forge.measuring.plan import EVALS_FOLDER
from skillforge.forge.session import NO_TERMS, Session, Terms
from skillforge.forge.suites.from_log import MARGIN, suite_name
from skillforge.forge.workspace import Workspace
from skillforge.messages import Cost, Value
from skillforge.ref import check_name
from skillforge.suitefile import read_suite
from skillforge.trace import Trace

MAX_TARGET = 10_000
QUEUE = "-queue"
_NAME_WORDS = 5


@dataclass(frozen=True)
class TeachPlan:
    """The caller's wishes. ``cases`` are real inputs, with splits or without; those of dev and test are measured on and
    shown to nobody. ``simulator`` and ``critic`` default to the teacher; without a ``labeller`` the teacher answers
    every input twice.
    """

    task: str
    cases: tuple[Case, ...]
    target: int
    teacher: str
    folder: Path
    name: str | None = None
    simulator: str = ""
    labeller: str = ""
    critic: str = ""
    terms: Terms = NO_TERMS
    limits: SimulateLimits | None = None

    @property
    def simulating(self) -> SimulateLimits:
        """Where simulating ends: unless said otherwise four times the answers that so many cases need."""
        if self.limits is not None:
            return self.limits
        usual = DEFAULT_LIMITS
        batches = max(usual.batches, 4 * self.target // usual.per_batch)
        return usual.model_copy(update={"batches": batches, "tokens": batches * usual.batch_tokens // 2})

    @property
    def mark(self) -> str:
        """What a suite of this plan says of itself, so that another one is known before anything is paid."""
        return f"(create --cases-target {self.target}, task {digest(self.task)[7:19]})"

    @property
    def suite(self) -> str:
        """What suite and skill are called where nobody names them: the first words of the task."""
        return self.name or suite_name(" ".join(self.task.split()[:_NAME_WORDS]))


class Taught(Value):
    """What all roles together made. ``cases`` of the suite by split, and how many of them are simulated; ``queue`` is
    the suite of ``disputed`` inputs that a person has to label ("" where there is none). ``removed`` counts simulated
    inputs that were not taken, ``failed`` inputs without two answers, by reason. ``spent_usd`` is what this command
    paid (``None``: unknown), ``cost`` what all answers cost whenever they were given.
    """

    created: Created
    suite: str
    queue: str
    target: int
    cases: int
    splits: dict[str, int]
    simulated: dict[str, int]
    metric: str
    written: int
    disputed: int
    removed: dict[str, int]
    failed: dict[str, int]
    ended: str = ""
    diversity: Diversity
    critic: str
    claims: int
    confirmed: int
    findings: tuple[Finding, ...]
    mended: bool
    left: tuple[Finding, ...]
    critic_error: str = ""
    not_mended: str = ""
    models: dict[str, str] = Field(default_factory=dict)
    reused: int = 0
    cost: Cost
    spent_usd: float | None

    @property
    def next_step(self) -> str:
        """What a person should do before a verdict on these cases is believed."""
        told = [f"skillforge review {Path(self.suite).stem} --split test   (labels by a model are no person's)"]
        if self.queue:
            disputed = many(self.disputed, "input")
            told.insert(0, f"skillforge review {Path(self.queue).stem}   ({disputed} nobody agreed on)")
        return "\n".join(told)


async def teach_skill(work: Workspace, plan: TeachPlan, on_progress: OnProgress) -> Taught:
    """Run the whole path under one budget. Every answer of solver, simulator, labellers and critic is kept as it comes,
    so the same command after an interruption asks only for what is missing and comes to the same suite.

    Raises ``UsageError`` for wishes that cannot be, and where the suite's files hold something else; else as
    ``create_skill``.
    """
    require_teachable(plan)
    _require_free(work, plan)
    if find_root(work.root) is None:
        (work.root / STATE_FOLDER).mkdir(parents=True, exist_ok=True)
    session = Session(work, plan.terms)
    models = Models(
        teacher=session.provider(plan.teacher),
        simulator=session.provider(plan.simulator or plan.teacher),
        other=session.provider(plan.labeller) if plan.labeller else None,
    )
    critic = session.provider(plan.critic or plan.teacher)
    journal = TeachJournal(work)
    grown = await grow(work, plan.task, plan.cases, plan.target, models, journal, on_progress, plan.simulating)
    on_progress("freeze", 0, 1)
    suite_path, queue_path = _freeze(work, plan, grown)
    suite = read_suite(suite_path)  # with what people said of its cases since
    traces = _train_traces(suite, grown)
    critique = _Critique(work, plan, suite, grown, traces, on_progress)

    async def mend(draft: Draft, prove: Prove) -> Draft:
        return await critique.mend(draft, prove, models, critic, journal)

    relative = suite_path.relative_to(work.root).as_posix()
    created = await create_skill(
        work, _create_plan(plan, suite, grown, traces, relative), on_progress, session=session, mend=mend
    )
    queue = queue_path.relative_to(work.root).as_posix() if queue_path is not None else ""
    return critique.taught(created, relative, queue, journal, session)


def require_teachable(plan: TeachPlan) -> None:
    """Raise ``UsageError`` for wishes that no model could fulfil."""
    if not plan.task.strip():
        raise UsageError("the task is empty", hint='say what to do: skillforge create "Route one ticket to …"')
    if not 1 <= plan.target <= MAX_TARGET:
        raise UsageError(f"--cases-target {plan.target}: must be 1 to {MAX_TARGET:,}", hint="for example 200")
    if not any(case.split in (None, "train") for case in plan.cases):
        raise UsageError(
            "there is no real input to start from", hint="give a few of the train split: --cases FILE.jsonl"
        )
    check_name(plan.suite)


def _require_free(work: Workspace, plan: TeachPlan) -> None:
    """Raise ``UsageError`` where another suite of that name stands, or one that nothing is kept of to come to again."""
    path = work.root / EVALS_FOLDER / f"{plan.suite}.yaml"
    if not path.is_file():
        return
    hint = "give the new one another name with --name, or move that file away"
    if plan.mark.encode() not in path.read_bytes():
        raise UsageError(f"{path} is another suite, and a suite is frozen", hint=hint)
    if store_io(work.settings) == "none":
        raise UsageError(f"{path} is frozen, and under store_io = none its answers were not kept", hint=hint)


def _queue_name(suite: str) -> str:
    return suite[: 64 - len(QUEUE)].rstrip("-") + QUEUE


def _freeze(work: Workspace, plan: TeachPlan, grown: Grown) -> tuple[Path, Path | None]:
    """The suite, and the inputs nobody agreed on as a suite of their own, for ``review``."""
    folder = work.root / EVALS_FOLDER
    settings = {
        "decision": {"metric": grown.metric, "margin": MARGIN},
        "contract": {"input": grown.contract.input, "output": grown.contract.output},
    }
    queue = None
    if grown.disputed:
        asked = [item.case for item in grown.disputed]
        about = f"Inputs of {plan.suite} that two answers of a model differ on; nobody has labelled them."
        queue = freeze(folder, _queue_name(plan.suite), {"description": about, **settings}, asked)
    counted = Counter(case.metadata.get(PROVENANCE) == SIMULATED for case in grown.cases)
    about = (
        f"{counted[False]} real and {counted[True]} simulated inputs; labels are what two answers of a model agree on"
        f" {plan.mark}."
    )
    return freeze(folder, plan.suite, {"description": about, "skill": plan.suite, **settings}, grown.cases), queue


def _train_traces(suite: Suite, grown: Grown) -> tuple[Trace, ...]:
    """What the author may see: the train cases with the teacher's answers, agreed fields and people's labels first."""
    return tuple(
        grown.traces[case.id].model_copy(
            update={"output": overlaid(grown.contract, grown.traces[case.id].output, case.expected)}
        )
        for case in suite.cases
        if case.split == "train" and case.id in grown.traces
    )


def _create_plan(plan: TeachPlan, suite: Suite, grown: Grown, traces: Sequence[Trace], path: str) -> CreatePlan:
    if not traces:
        raise UsageError(
            "two answers agreed on no case of the train split: there is nothing to author from",
            hint="give more real inputs, say the task more clearly, or label them yourself (expected)",
        )
    recorded = Recorded(
        group="",
        task=plan.task,
        name=plan.suite,
        suite=path,
        proposal=_proposal(grown),
        traces=tuple(traces),
        left_out={},
        labelled=0,
        inputs=tuple(case.input for case in suite.cases),
        outputs=tuple(case.expected for case in suite.cases if case.expected is not None),
    )
    return CreatePlan(
        task=plan.task,
        cases=(),
        teacher=plan.teacher,
        folder=plan.folder,
        recorded=recorded,
        name=plan.suite,
        suite=path,
        terms=plan.terms,
    )


def _proposal(grown: Grown) -> Proposal:
    return Proposal(input=grown.contract.input, output=grown.contract.output)


class _Critique:
    """The critic's part of one teaching, and the report of all of it."""

    def __init__(
        self,
        work: Workspace,
        plan: TeachPlan,
        suite: Suite,
        grown: Grown,
        traces: Sequence[Trace],
        on_progress: OnProgress,
    ) -> None:
        self._work = work
        self._plan = plan
        self._suite = suite
        self._grown = grown
        self._on_progress = on_progress
        self._traces = traces
        self._criticism = Criticism()
        self._left: tuple[Finding, ...] = ()
        self._mended = False
        self._why = ""

    async def mend(self, draft: Draft, prove: Prove, models: Models, critic: Any, journal: TeachJournal) -> Draft:
        """The draft to keep: the mended one only where it proves and less was confirmed of it."""
        assert draft.skill is not None
        self._on_progress("critique", 0, 1)
        material = self._material()
        self._criticism, claims = await criticise(draft.skill, material, critic, journal)
        revision = await revise(
            self._plan.task,
            draft,
            self._criticism,
            claims,
            material,
            models.teacher,
            name=self._plan.suite,
            proposal=_proposal(self._grown),
            prove=prove,
        )
        self._mended, self._left, self._why = revision.taken, revision.findings, revision.why
        return revision.draft

    def taught(self, created: Created, suite: str, queue: str, journal: TeachJournal, session: Session) -> Taught:
        grown, plan, clean = self._grown, self._plan, self._work.redactor
        simulated = [case for case in grown.cases if case.metadata.get(PROVENANCE) == SIMULATED]
        costs = [grown.label_cost, grown.simulation.cost, self._criticism.cost, created.cost]
        return Taught(
            created=created,
            suite=suite,
            queue=queue,
            target=plan.target,
            cases=len(grown.cases),
            splits=_by_split(grown.cases),
            simulated=_by_split(simulated),
            metric=grown.metric,
            written=grown.simulation.written,
            disputed=len(grown.disputed),
            removed=dict(grown.removed),
            failed={clean.text(why): count for why, count in grown.failed.items()},
            ended=grown.simulation.ended if len(grown.cases) < plan.target else "",
            diversity=_diversity(grown),
            critic=plan.critic or plan.teacher,
            claims=self._criticism.claims,
            confirmed=self._criticism.confirmed,
            findings=_clean(self._work, self._criticism.findings),
            mended=self._mended,
            left=_clean(self._work, self._left),
            critic_error=clean.text(self._criticism.error),
            not_mended=clean.text(self._why),
            models={
                "teacher": plan.teacher,
                "simulator": plan.simulator or plan.teacher,
                "labeller": plan.labeller or plan.teacher,
                "critic": plan.critic or plan.teacher,
            },
            reused=journal.reused,
            cost=reduce(add, costs),
            spent_usd=session.spent_usd,
        )

    def _material(self) -> Material:
        held = [case for case in self._suite.cases if case.split != "train"]
        return Material(
            traces=self._traces,
            disputed=[_disputed(item) for item in self._grown.disputed],
            leaks=lambda skill: [(item.case, item.why) for item in leaking(skill, held)],
            answer=self._grown.answer,
        )


def _diversity(grown: Grown) -> Diversity:
    cases = grown.cases
    return diversity(
        [case.input for case in cases],
        labels=[label for case in cases if (label := grown.answer(case.expected)) is not None and not _long(label)],
        fields=grown.contract.input,
        purposes=[str(case.metadata["purpose"]) for case in cases if "purpose" in case.metadata],
    )


def _long(label: Any) -> bool:
    return isinstance(label, str) and len(label) > 60


def _disputed(item: Labelled) -> Disputed:
    return Disputed(item.case.id, item.first.output, item.second.output)


def _by_split(cases: Sequence[Case]) -> dict[str, int]:
    return {split: sum(case.split == split for case in cases) for split in ("train", "dev", "test")}


def _clean(work: Workspace, findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """They quote drafts and answers."""
    text = work.redactor.text
    return tuple(
        item.model_copy(update={"evidence": text(item.evidence), "mending": text(item.mending)}) for item in findings
    )
