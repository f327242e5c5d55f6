"""From the answers of an eval to its report, and the evidence that is kept of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from skillforge.case import Case
from skillforge.config import store_io
from skillforge.engine.compiled import compiled
from skillforge.engine.frame import HARNESS
from skillforge.engine.nomodel import label_fields
from skillforge.evals.answer import Table
from skillforge.evals.behaviour import Behaviour, behaviour_of
from skillforge.evals.clusters import clusters_of
from skillforge.evals.pages.besides import Besides
from skillforge.evals.pages.rows import CaseRow, case_rows
from skillforge.evals.pages.values import Clean
from skillforge.evals.report import ArmReport, EvalReport, leaves_evidence
from skillforge.evals.running.sandboxed import prompts_of
from skillforge.evals.sampling import in_random_order
from skillforge.evals.scorers.resolve import judged_by
from skillforge.evals.soft import Soft, soft_of
from skillforge.evals.verdict.shares import rungs_alone
from skillforge.evals.verdict.summary import Measure, Summary, repayments, summarise
from skillforge.forge.files.evidence_files import keep_evidence
from skillforge.forge.making.made import made_usd
from skillforge.forge.measuring.judging import Judged
from skillforge.forge.measuring.plan import EvalPlan, Prepared
from skillforge.forge.workspace import Workspace
from skillforge.providers.replay import Replay
from skillforge.store.evidence import Measured as Row
from skillforge.store.registry import SkillVersion


class Circumstances(NamedTuple):
    """What it took to measure this time. ``spent_usd`` of ``None`` is unknown."""

    samples: int
    reused: int
    spent_usd: float | None
    seconds: float


@dataclass(frozen=True)
class Measured:
    """A report, and what it was made from: ``rows`` are its cases with every arm's answer, for pages and files."""

    report: EvalReport
    ready: Prepared
    table: Table
    summary: Summary
    cases: list[Case]
    clean: Clean = field(default=lambda value: value, repr=False)
    asked: bool = False  # for probabilities

    @cached_property
    def soft(self) -> Soft | None:
        """How sure the arms were of their labels; ``None`` where nobody told and nobody was asked."""
        return soft_of(self.rows(), self.report, self._labels, asked=self.asked)

    @cached_property
    def behaviour(self) -> Behaviour | None:
        """How teacher and candidates differ besides being right or wrong; ``None`` without two of them."""
        return behaviour_of(self.rows(), self.report, self._labels, self.clean)

    @property
    def besides(self) -> Besides:
        """What pages and JSON tell beside the report. Evidence keeps none of it."""
        return Besides(soft=self.soft, behaviour=self.behaviour)

    @property
    def _labels(self) -> tuple[str, ...]:
        return label_fields(self.ready.arms[0].skill)

    def rows(self) -> Iterator[CaseRow]:
        return case_rows(self.cases, self.table, self.summary)


def measure_of(ready: Prepared, judged: Judged) -> Measure:
    """How this eval is judged, with what its judges said."""
    scorers = judged_by(ready.scorers, judged.scores)
    return Measure(
        decision=ready.suite.decision,
        metric=scorers.metric,
        others=scorers.others,
        clusters=clusters_of(ready.cases, ready.suite.decision),
    )


def report_of(
    work: Workspace,
    version: SkillVersion,
    plan: EvalPlan,
    ready: Prepared,
    table: Table,
    judged: Judged,
    circumstances: Circumstances,
) -> Measured:
    """The report of an eval: every figure is derived from the answers."""
    suite = ready.suite
    cases = comparable(work, ready)
    summary = summarise(ready.arms, cases, table, measure_of(ready, judged))
    reports = [_without_secrets(work, report) for report in summary.arms]
    asked = [arm.name for arm in ready.arms if not arm.is_today and arm.kind != "ladder"]
    dollars = [answer.usd for name in asked for epochs in table[name].values() for answer in epochs]
    dollars += rungs_alone(ready.arms, table)
    dollars += [audit.usd for audit in judged.audits]
    known = [value for value in dollars if value is not None]
    today = next((arm.name for arm in ready.arms if arm.is_today), None)
    made = None if today is None else made_usd(work, version.name)
    report = EvalReport(
        skill=version.name,
        version=version.version,
        digest=version.digest,
        suite=suite.name,
        suite_digest=suite.digest(),
        split=ready.split,
        cases=len(cases),
        simulated=sum(case.metadata.get("provenance") == "simulated" for case in cases),
        decision=suite.decision,
        reference=summary.reference,
        teacher=reports[0],
        arms=tuple(reports[1:]),
        samples=circumstances.samples,
        reused=circumstances.reused,
        cost_usd=sum(known) if len(known) == len(dollars) else None,
        spent_usd=circumstances.spent_usd,
        seconds=circumstances.seconds,
        today=today,
        made_usd=made,
        repaid_after=repayments(reports, made),
        second_pass=summary.second_pass,
        repeat=suite.repeat,
        limit=ready.limit,
        filter=plan.filter,
        wished=tuple(map(work.redactor.text, ready.wished)),
        against_itself=plan.against_itself,
        excluded=ready.excluded,
        judges=judged.audits,
    )
    kept = work.redactor.value if store_io(work.settings) != "none" else _not_kept
    return Measured(report, ready, table, summary, cases, kept, plan.probabilities)


def _not_kept(value: Any) -> Any:
    """Under ``store_io`` ``none`` nothing of what went in and came out is told."""
    return None


def cleaned(work: Workspace, ready: Prepared) -> bool:
    """Whether outputs are scored as the store keeps them, without secrets: a resumed eval has only these, a fresh one
    must score the same. So must a replayed one: no recording holds secrets, whatever the store keeps.
    """
    models = [prompts_of(arm.executor) for arm in ready.arms]
    replayed = any(model is not None and isinstance(model.provider, Replay) for model in models)
    return store_io(work.settings) != "full" or replayed


def _without_secrets(work: Workspace, report: ArmReport) -> ArmReport:
    """Reasons quote what a server said; a report is printed and kept. Under ``store_io`` ``none`` it holds none."""
    if store_io(work.settings) == "none":
        return report.model_copy(update={"error_reasons": (), "score_error_reasons": ()})
    clean = work.redactor.text
    told = tuple((clean(reason), count) for reason, count in report.error_reasons)
    scorers = tuple((clean(reason), count) for reason, count in report.score_error_reasons)
    return report.model_copy(update={"error_reasons": told, "score_error_reasons": scorers})


def comparable(work: Workspace, ready: Prepared) -> list[Case]:
    """The cases with their labels as outputs are scored: without secrets, where outputs are."""
    if not cleaned(work, ready):
        return ready.cases
    clean = work.redactor.value
    return [case.model_copy(update={"expected": clean(case.expected)}) for case in ready.cases]


def keep(work: Workspace, version: SkillVersion, plan: EvalPlan, measured: Measured) -> None:
    """One row of evidence for every student; none where the newest row of that student says the same already.

    An arm against itself, or another skill file, is no evidence of the skill; nor is a part of the answers that happens
    to be stored (``rescore`` after an eval that was cut off): whoever may choose when to look is right by luck.
    """
    report = measured.report
    if report.against_itself:
        return
    # of a workflow the models alone: whoever asks later whether they are still the same has no sandbox at hand
    identities = {arm.name: (prompts_of(arm.executor) or arm.executor).identity for arm in measured.ready.arms}
    forms = {arm.name: compiled(arm.skill).digest for arm in measured.ready.arms if arm.kind == "variant"}
    for arm in report.arms:
        if not leaves_evidence(arm) or arm.versus_teacher is None:
            continue
        if not _whole(measured, report.teacher.name, arm.name):
            work.say(f"no evidence is kept of {arm.name}: not all of its cases are stored (skillforge eval asks them)")
            continue
        row = Row(
            skill=version.name,
            digest=version.digest,
            student=arm.student,
            student_identity=identities[arm.name],
            teacher=plan.teacher,
            teacher_identity=identities[report.teacher.name],
            suite=report.suite,
            suite_digest=report.suite_digest,
            split=report.split,
            cases=report.cases,
            harness=HARNESS,
            verdict=arm.versus_teacher.verdict,
            report=report.model_dump(mode="json"),
            samples=_decisive(report, measured.table),
            variant=forms.get(arm.name, ""),
        )
        latest = work.evidence.latest(version.digest, arm.student, report.suite_digest, row.variant)
        if latest is None or not latest.same_as(row):
            work.evidence.add(row)
    keep_evidence(work.root, version.name, work.evidence, work.redactor, work.say)


def _whole(measured: Measured, *names: str) -> bool:
    """Whether these arms were asked all they are measured on: every case; of a sequential eval all up to where it
    stopped, in its own order.
    """
    ready = measured.ready
    by_name = {arm.name: arm for arm in ready.arms}
    for name in names:
        covered = [case.id for case in ready.cases if by_name[name].covers(case)]
        asked = measured.table[name]
        if ready.suite.decision.mode == "sequential":
            covered = in_random_order(covered, clusters_of(ready.cases, ready.suite.decision))[: len(asked)]
        if not all(case_id in asked for case_id in covered):
            return False
    return True


def _decisive(report: EvalReport, table: Table) -> dict[str, dict[str, str]]:
    """Sample keys of the lost and gained cases, by case id, of every skill arm and of the teacher."""
    keys: dict[str, dict[str, str]] = {report.teacher.name: {}}
    for arm in report.arms:
        if leaves_evidence(arm) and arm.versus_teacher is not None:
            cases = (*arm.versus_teacher.lost, *arm.versus_teacher.gained)
            for name in (arm.name, report.teacher.name):
                keys.setdefault(name, {}).update({case_id: table[name][case_id][0].key for case_id in cases})
    return keys
