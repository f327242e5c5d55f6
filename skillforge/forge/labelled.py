"""The cases a classifier learns from: the suite's train split, with the teacher's answers or the suite's labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from skillforge.canonical import canonical_json, compact
from skillforge.case import Case, Suite
from skillforge.engine.compiled import compiled
from skillforge.engine.execute import Executor
from skillforge.engine.frame import bare_skill, complete_input
from skillforge.engine.recorded import RecordedExecutor
from skillforge.errors import InvalidInput, UsageError
from skillforge.evals.running.arms import teacher_arm
from skillforge.forge.measuring.plan import RECORDED, teacher_executor, unopened
from skillforge.forge.session import NO_TERMS, Session
from skillforge.forge.workspace import Workspace
from skillforge.run import Run
from skillforge.skill import Skill
from skillforge.students.encoder.features import text_of
from skillforge.students.encoder.fit import Row

Labels = Literal["teacher", "expected"]
SoftLabels = Mapping[str, Mapping[str, Mapping[str, float]]]
"""By case id and output field, the probabilities of the labels (as compact JSON, as in ``Run.probabilities``)."""

_NO_ANSWER = "no answer of the teacher is kept"
_WRONG_ANSWER = "the teacher's answer does not fit the contract"
_NO_LABEL = "no label"
_UNFIT_LABEL = "the label does not fit the contract"
_UNFIT_INPUT = "the input does not fit the contract"
_MEASURED_ON = "a case of dev or test asks the same"


@dataclass(frozen=True)
class Labelled:
    """Rows to fit on, beside their case ids. ``wanted`` are the suite's own labels of the same cases where they have
    one, ``left_out`` counts the cases that were not taken by why, ``soft`` the rows with probabilities.
    """

    rows: list[Row]
    ids: list[str]
    wanted: list[dict[str, str] | None]
    labels: Labels
    teacher: str = ""
    left_out: dict[str, int] = field(default_factory=dict)
    soft: int = 0


async def labelled_cases(
    work: Workspace, skill: Skill, suite: Suite, labels: Labels | None, teacher: str, soft: SoftLabels | None
) -> Labelled:
    """The train split, each case with its answer. ``labels`` ``None``: the teacher's where one is recorded or named,
    else the expected ones. Nobody is asked: of a live teacher the answers of earlier evals are taken.

    Secrets in the inputs are taken out, so that no vocabulary holds one. Raises ``UsageError`` where there is no train
    split or no case is left.
    """
    cases = [case for case in suite.cases if case.split == "train"]
    if not cases:
        raise UsageError(
            f"the suite {suite.name} has no cases in the split train",
            hint="give cases a split; dev and test are measured on, and never learned from",
        )
    recorded = bool(suite.recorded or suite.today)
    source: Labels = labels or ("teacher" if teacher or recorded else "expected")
    told = Counter[str]()
    cases = _unmeasured(skill, suite, cases, told)
    by, answers = "", dict[str, Run]()
    if source == "teacher":
        by, answers = await _answers(work, skill, suite, cases, teacher or RECORDED)
    probabilities = soft if soft is not None else {case_id: run.probabilities for case_id, run in answers.items()}
    found = Labelled([], [], [], source, by)
    soft_rows = 0
    for case in cases:
        wanted = _label(skill, case.expected)
        output, why = _output(skill, case, source, answers.get(case.id))
        if output is None:
            told[why] += 1
            continue
        hard = {name: compact(output[name]) for name in skill.output}
        weights = _weights(skill, hard, probabilities.get(case.id, {}))
        soft_rows += any(len(each) > 1 for each in weights.values())
        clean = work.redactor.value(complete_input(skill, case.input))
        found.rows.append(Row(text_of(clean), weights))
        found.ids.append(case.id)
        found.wanted.append(None if wanted is None else {name: compact(wanted[name]) for name in skill.output})
    if not found.rows:
        reasons = "; ".join(f"{count} {why}" for why, count in told.items())
        raise UsageError(
            f"no train case of {suite.name} has an answer to learn from: {reasons}",
            hint="label them: skillforge review, or let a teacher answer them: skillforge eval NAME --split train"
            " --teacher MODEL --students MODEL --arms no-model",
        )
    return Labelled(found.rows, found.ids, found.wanted, source, by, dict(told), soft_rows)


def _unmeasured(skill: Skill, suite: Suite, cases: Sequence[Case], told: Counter[str]) -> list[Case]:
    """Those with a fitting input that no case of another split asks about."""
    measured = {text_of(_completed(skill, case) or case.input) for case in suite.cases if case.split in ("dev", "test")}
    left = []
    for case in cases:
        values = _completed(skill, case)
        if values is None:
            told[_UNFIT_INPUT] += 1
        elif text_of(values) in measured:
            told[_MEASURED_ON] += 1
        else:
            left.append(case)
    return left


def _completed(skill: Skill, case: Case) -> dict[str, Any] | None:
    try:
        return complete_input(skill, case.input)
    except InvalidInput:
        return None


async def _answers(
    work: Workspace, skill: Skill, suite: Suite, cases: Sequence[Case], teacher: str
) -> tuple[str, dict[str, Run]]:
    """The teacher's name, and its answers by case id: from the suite's recording, else from what evals stored."""
    if teacher != RECORDED:
        found: dict[str, Run] = {}
        for probabilities in (False, True):  # those that tell them stand over those that do not

            def opened(name: str, *, role: str = "run", told: bool = probabilities) -> Executor:
                return unopened(work)(name, role=role, probabilities=told)

            arm = teacher_arm(skill, teacher_executor(suite, teacher, opened), 1)
            keys = {arm.sample_key(case): case.id for case in cases}
            found |= {keys[key]: sample.run for key, sample in work.samples.known(keys).items()}
        return teacher, found
    session = Session(work, NO_TERMS)
    executor = teacher_executor(suite, RECORDED, session.executor)
    bare = bare_skill(skill)
    covered = [case for case in cases if not isinstance(executor, RecordedExecutor) or executor.covers(case)]
    runs = {case.id: await executor.execute(bare, case.input) for case in covered}
    names = Counter(run.model or executor.student for run in runs.values() if run.ok)
    name = names.most_common(1)[0][0] if names else executor.student
    return name, {case_id: run for case_id, run in runs.items() if run.status != "error"}


def _output(skill: Skill, case: Case, source: Labels, run: Run | None) -> tuple[dict[str, Any] | None, str]:
    """What to learn of a case, or why there is nothing."""
    if source == "expected":
        if case.expected is None:
            return None, _NO_LABEL
        return _label(skill, case.expected), _UNFIT_LABEL
    if run is None:
        return None, _NO_ANSWER
    return (_label(skill, run.output) if run.ok else None), _WRONG_ANSWER


def _label(skill: Skill, value: Any) -> dict[str, Any] | None:
    """An answer with all fields of the contract, ``None`` for anything else."""
    validator = compiled(skill).outputs
    if not isinstance(value, dict) or validator is None or validator.problems(value):
        return None
    try:
        canonical_json(value)
    except ValueError:
        return None
    return value if value.keys() >= set(skill.output) else None


def _weights(skill: Skill, hard: Mapping[str, str], told: Any) -> dict[str, dict[str, float]]:
    """Of every field the probabilities told, where they are some over labels of the contract; else the one label."""
    fields: dict[str, dict[str, float]] = {}
    for name, label in hard.items():
        schema = skill.output[name] if isinstance(skill.output, dict) else {}
        allowed = {compact(value) for value in schema.get("enum", (True, False))}
        given = told.get(name) if isinstance(told, Mapping) else None
        shares = {key: float(p) for key, p in (given or {}).items() if key in allowed and _is_share(p)}
        total = sum(shares.values())
        fields[name] = {key: p / total for key, p in shares.items() if p > 0} if total > 0 else {label: 1.0}
    return fields


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
