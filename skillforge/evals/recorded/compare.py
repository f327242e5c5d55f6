"""The verdict on outputs that were produced elsewhere: no model is called, and no repository is needed."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypedDict, Unpack

from pydantic import ValidationError

from skillforge.case import Case, Decision, Mode, ScorerSpec, Suite
from skillforge.errors import UsageError
from skillforge.evals.answer import Answer, Answers, Table
from skillforge.evals.clusters import clusters_of
from skillforge.evals.recorded.agreement import agreement
from skillforge.evals.recorded.compared import Agreements, Compared
from skillforge.evals.recorded.groups import Group, by_group
from skillforge.evals.recorded.nearly import nearly_right, parsed_object
from skillforge.evals.report import EvalReport
from skillforge.evals.running.arms import ArmKind
from skillforge.evals.scorers.base import Scorer
from skillforge.evals.scorers.own import OwnScorer
from skillforge.evals.scorers.resolve import Scorers, questions, scorer_of_text, scorers_of
from skillforge.evals.verdict.summary import Measure, Summary, references, summarise
from skillforge.formats.recorded_outputs import (
    NO_GROUP,
    SECOND,
    FieldNames,
    RecordedCase,
    RecordedOutput,
    RecordedOutputs,
    Source,
    read_outputs,
)
from skillforge.suitefile import read_suite

DEFAULT_SCORER = "exact"
MISSING = "no answer in the file"
MAX_GROUPS = 1_000


class CompareWishes(TypedDict, total=False):
    """What may be asked of a comparison; what is left out has its default.

    ``teacher``, ``students``, ``teacher2``, ``expected``, ``id``, ``input``, ``cluster``, ``output``: names of the
    fields that hold these things (a key, a dotted path, a JSON pointer). ``scorer``: a type, a JSON pointer, a spec as
    JSON, ``module:function``, or a function ``(output, expected, …) -> score`` (default: equal JSON). ``suite``: a
    suite whose labels, scorers and rule are taken, by the ids of its cases. ``margin``, ``alpha``, ``power``, ``mode``,
    ``min_quality``, ``max_p95_ms``, ``max_cost_per_1k`` as in a suite's ``decision``. ``by``: the field by which the
    verdict is given once more for every group. ``common``: judge only what every model answered, where ids are missing
    in one; else these are infrastructure errors. ``parse``: take the JSON object out of outputs that are text, as
    ``run`` does.
    """

    teacher: str
    students: str | Collection[str]
    teacher2: str
    expected: str
    id: str
    input: str
    cluster: str
    output: str
    scorer: str | Callable[..., Any] | None
    suite: str | Path | None
    margin: float | None
    alpha: float | None
    power: float | None
    mode: Mode | None
    min_quality: float | None
    max_p95_ms: float | None
    max_cost_per_1k: float | None
    by: str
    common: bool
    parse: bool


@dataclass(frozen=True)
class _Party:
    """One model whose answers are there already."""

    name: str
    kind: ArmKind
    is_today: bool = False

    @property
    def student(self) -> str:
        return self.name


def compare(*recorded: Source, **wishes: Unpack[CompareWishes]) -> Compared:
    """Judge recorded outputs as an eval judges fresh ones: the same scorers, bounds and verdicts.

    ``recorded`` is one file with all outputs, or one file a model with the teacher's first, joined by id; lines may be
    given as mappings too (``skillforge.formats.recorded_outputs``). Raises ``NotFound``, ``SkillFileError`` with file
    and line, ``UsageError`` for fields, scorers and rules that cannot be.
    """
    started = time.perf_counter()
    read = read_outputs(recorded, _names(wishes))
    suite = None if wishes.get("suite") is None else read_suite(Path(str(wishes["suite"])))
    rule = _rule(Decision() if suite is None else suite.decision, wishes)
    kept, notes = _kept(read, suite, common=wishes.get("common", False))
    known = {} if suite is None else {case.id: case for case in suite.cases}
    cases = [_case(case, known.get(case.id)) for case in kept]
    scorers, unasked = _unjudged(_scorers(wishes.get("scorer"), suite), cases)
    parties = _parties(read)
    table, missing = _table(parties, kept, parse=wishes.get("parse", False))
    measure = Measure(rule, scorers.metric, scorers.others, clusters_of(cases, rule))
    summary = summarise(parties, cases, table, measure)
    _, expected = references(scorers.metric, cases, table[read.teacher])
    report = _report(read, suite, measure, cases, table, summary).model_copy(
        update={"digest": _digest(recorded), "seconds": time.perf_counter() - started}
    )
    return Compared(
        report=report,
        scorer=scorers.metric.name,
        agreements=_agreements(report, table, expected, _path(scorers.metric)),
        missing=missing,
        unlabelled=sum(case.expected is None for case in cases) if summary.reference == "labels" else 0,
        groups=_groups(kept, cases, parties, table, measure) if wishes.get("by") else (),
        notes=(*read.notes, *notes, *unasked, *nearly_right(scorers.metric, cases, table, summary, expected)),
        cases=cases,
        table=table,
        summary=summary,
    )


def _names(wishes: CompareWishes) -> FieldNames:
    students = wishes.get("students", ())
    usual = FieldNames(students=(students,) if isinstance(students, str) else tuple(dict.fromkeys(students)))
    given = {name: wishes[name] for name in _FIELDS if wishes.get(name)}  # type: ignore[literal-required]
    return replace(usual, **given)


def _rule(rule: Decision, wishes: CompareWishes) -> Decision:
    """The decision with what the caller asked for instead. Raises ``UsageError`` for what no rule can be."""
    update = {name: wishes[name] for name in _RULE if wishes.get(name) is not None}  # type: ignore[literal-required]
    try:
        return Decision.model_validate({**rule.model_dump(), **update})
    except ValidationError as exc:
        wrong = exc.errors()[0]
        flag = str(wrong["loc"][0]).replace("_", "-")
        raise UsageError(f"--{flag} {wrong['input']}: {wrong['msg']}", hint="see skillforge compare --help") from exc


def _scorers(wished: str | Callable[..., Any] | None, suite: Suite | None) -> Scorers:
    """The scorers of the suite, with the one asked for as the metric."""
    if suite is None:
        return Scorers(_scorer(DEFAULT_SCORER if wished is None else wished, {}, None))
    return scorers_of(suite, None if wished is None else _scorer(wished, suite.scorers, suite.judge))


def _scorer(wished: str | Callable[..., Any], named: Mapping[str, ScorerSpec], judge: str | None) -> Scorer:
    if isinstance(wished, str):
        return scorer_of_text(wished, named, judge)
    return OwnScorer(getattr(wished, "__name__", type(wished).__name__), wished)


def _unjudged(scorers: Scorers, cases: Sequence[Case]) -> tuple[Scorers, list[str]]:
    """The scorers that ask no model, and what is said of the others. Raises ``UsageError`` where the metric is one."""

    def asks(scorer: Scorer) -> bool:
        return any(questions(Scorers(scorer), case) for case in cases)

    if asks(scorers.metric):
        hint = "give a scorer that needs no model, such as --scorer exact"
        raise UsageError(f"the scorer {scorers.metric.name} asks a judge, and compare calls no model", hint=hint)
    left = [scorer.name for scorer in scorers.others if asks(scorer)]
    notes = [f"scorers that ask a judge are left out, compare calls no model: {', '.join(left)}"] if left else []
    return Scorers(scorers.metric, tuple(item for item in scorers.others if item.name not in left)), notes


def _kept(read: RecordedOutputs, suite: Suite | None, *, common: bool) -> tuple[list[RecordedCase], list[str]]:
    """The cases that are judged, and what is said of those left out."""
    cases, notes = read.cases, []
    if suite is not None:
        known = {case.id for case in suite.cases}
        cases = [case for case in cases if case.id in known]
        if not cases:
            hint = f"its ids are like {suite.cases[0].id!r}" if suite.cases else "it has no cases"
            raise UsageError(f"{read.name}: no id is one of the suite {suite.name}", hint=hint)
        if strange := len(read.cases) - len(cases):
            notes.append(f"{strange} lines are left out: the suite {suite.name} has no case of their id")
        if unmeasured := len(known) - len(cases):
            notes.append(f"{unmeasured} of {len(known)} cases of the suite {suite.name} have no line")
    if common:
        arms = {read.teacher, *read.students}
        whole = [case for case in cases if arms <= case.outputs.keys()]
        if not whole:
            raise UsageError(f"{read.name}: no id has an answer of every model", hint="are the ids the same?")
        if left := len(cases) - len(whole):
            notes.append(f"{left} cases are left out: not every model has a line of them")
        cases = whole
    return cases, notes


def _case(case: RecordedCase, known: Case | None) -> Case:
    """The case as scorers and pages know it; what a suite says of it goes before what the file says."""
    whole = {} if case.input is None else case.input if isinstance(case.input, Mapping) else {"input": case.input}
    given = {str(key): value for key, value in whole.items()}
    metadata = {} if case.group is None else {"by": case.group}
    made = Case(id=case.id, input=given, expected=case.expected, cluster=case.cluster, metadata=metadata)
    if known is None:
        return made
    update: dict[str, Any] = {"metadata": {**known.metadata, **metadata}}
    if known.expected is None:
        update["expected"] = made.expected
    if known.cluster is None:
        update["cluster"] = made.cluster
    return known.model_copy(update=update)


def _parties(read: RecordedOutputs) -> list[_Party]:
    second = [_Party(SECOND, "again")] if read.twice else []
    return [_Party(read.teacher, "teacher"), *second, *(_Party(name, "own") for name in read.students)]


def _table(
    parties: Sequence[_Party], cases: Sequence[RecordedCase], *, parse: bool
) -> tuple[Table, dict[str, tuple[str, ...]]]:
    """The answers as an eval has them. An arm that has no line of a case gave no answer to it: that is an error, too,
    since a program that dies on the hard cases must not look good on the others.
    """
    table: Table = {}
    missing: dict[str, tuple[str, ...]] = {}
    for party in parties:
        answers: Answers = {}
        absent = []
        for case in cases:
            output = case.outputs.get(party.name)
            if output is None:
                absent.append(case.id)
                output = RecordedOutput(None, MISSING)
            value = parsed_object(output.value) if parse else output.value
            answers[case.id] = (_answer(f"{party.name} {case.id}", output, value),)
        table[party.name] = answers
        if absent:
            missing[party.name] = tuple(absent)
    return table, missing


def _answer(key: str, output: RecordedOutput, value: Any) -> Answer:
    failed = bool(output.error)
    return Answer(
        key=key,
        status="error" if failed else "ok",
        run_status="error" if failed else "ok",
        output=value,
        reason=output.error,
        checks=(),
        repaired=False,
        usd=output.usd,
        list_usd=None,
        cost_estimated=False,
        input_tokens=None,
        output_tokens=None,
        latency_s=output.latency_s,
        model="",
    )


def _report(
    read: RecordedOutputs,
    suite: Suite | None,
    measure: Measure,
    cases: Sequence[Case],
    table: Table,
    summary: Summary,
) -> EvalReport:
    answers = [epochs[0] for name in (read.teacher, *read.students) for epochs in table[name].values()]
    dollars = [answer.usd for answer in answers if answer.status == "ok"]
    known = [usd for usd in dollars if usd is not None]
    return EvalReport(
        skill=read.name,
        version=None,
        digest="",
        suite=read.name if suite is None else suite.name,
        suite_digest="" if suite is None else suite.digest(),
        split="all",
        cases=len(cases),
        simulated=sum(case.metadata.get("provenance") == "simulated" for case in cases),
        decision=measure.decision.model_copy(update={"metric": measure.metric.name}),
        reference=summary.reference,
        teacher=summary.arms[0],
        arms=tuple(summary.arms[1:]),
        samples=len(answers),
        reused=0,
        cost_usd=math.fsum(known) if known and len(known) == len(dollars) else None,
        spent_usd=0.0,
        seconds=0.0,
        second_pass=summary.second_pass,
    )


def _digest(recorded: Sequence[Source]) -> str:
    """What was read, by its bytes; empty where it is no file that can be read twice."""
    paths = [Path(source) for source in recorded if isinstance(source, str | Path)]
    if len(paths) < len(recorded) or not all(path.is_file() for path in paths):
        return ""
    found = hashlib.sha256()
    for path in paths:
        with path.open("rb") as handle:
            found.update(hashlib.file_digest(handle, "sha256").digest())
    return f"sha256:{found.hexdigest()}"


def _agreements(report: EvalReport, table: Table, expected: Mapping[str, Any], path: str) -> dict[str, Agreements]:
    """Of the teacher with the labels, and of every student with both."""
    given = {arm.name: _outputs(table[arm.name]) for arm in (report.teacher, *report.arms)}
    labels = expected if report.reference != "teacher" and expected else None
    first = report.teacher.name
    return {
        name: Agreements(
            labels=None if labels is None else agreement(outputs, labels, path),
            teacher=None if name == first else agreement(outputs, given[first], path),
        )
        for name, outputs in given.items()
    }


def _outputs(answers: Answers) -> dict[str, Any]:
    return {case: epochs[0].output for case, epochs in answers.items() if epochs[0].status == "ok"}


def _path(metric: Scorer) -> str:
    """The place a scorer looks at, where it looks at one place."""
    path = getattr(getattr(metric, "spec", metric), "path", "")
    return path if isinstance(path, str) else ""


def _groups(
    kept: Sequence[RecordedCase], cases: Sequence[Case], parties: Sequence[_Party], table: Table, measure: Measure
) -> tuple[Group, ...]:
    """The groups in the order of their first lines."""
    members: dict[str, list[Case]] = {}
    for recorded, case in zip(kept, cases, strict=True):
        members.setdefault(recorded.group or NO_GROUP, []).append(case)
    if len(members) > MAX_GROUPS:
        hint = f"group by a field with at most {MAX_GROUPS:,} values, such as a language or a task"
        raise UsageError(f"--by: {len(members):,} groups", hint=hint)
    return by_group(members, parties, table, measure)


_FIELDS = ("teacher", "teacher2", "expected", "id", "input", "cluster", "output", "by")
_RULE = ("margin", "alpha", "power", "mode", "min_quality", "max_p95_ms", "max_cost_per_1k")
