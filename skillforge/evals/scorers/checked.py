"""The scorer ``checks``: whether an answer passes the skill's checks and those of its case, as promptfoo counts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from skillforge.canonical import digest
from skillforge.case import Case, CaseCheck, ScorerSpec
from skillforge.checkkinds import CustomCheck
from skillforge.checks import CHECK_TYPES, check_problems, resolve_pointer, run_checks
from skillforge.engine.frame import complete_input
from skillforge.errors import NotFound, UsageError
from skillforge.evals.scorers.base import Contract, Item, Judgements, Score, failed
from skillforge.evals.scorers.graded import Graded, graded, rubric_of
from skillforge.evals.scorers.measured import UNITS, at_most
from skillforge.evals.scorers.rules import COMPARING, comparison, require_settings
from skillforge.skill import Check, Skill
from skillforge.suggest import did_you_mean

ALL_OF = "all-of"
RUBRIC = "llm-rubric"
_NOT = "not-"
_ALSO = {"rouge-n": "rouge-1"}  # promptfoo's name of it
_SIMILAR = 0.75  # promptfoo's threshold of what measures likeness
_DEFAULTS = {"rouge-1": _SIMILAR, "rouge-2": _SIMILAR, "rouge-l": _SIMILAR, "similarity": _SIMILAR}
_COMPARED = {key: kind for key, kind in COMPARING.items() if key not in ("exact", "fields")}
ALL_TYPES = (*CHECK_TYPES, ALL_OF, RUBRIC, *_ALSO, *_COMPARED, *UNITS)


@dataclass(frozen=True, slots=True)
class Found:
    """What one check says: its score in [0, 1], whether it passes, and why not. NaN: it cannot tell. ``parts`` are the
    scores that count for a named metric, its own and those inside a group.
    """

    score: float
    passed: bool
    reason: str = ""
    error: str = ""
    parts: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Checks:
    """1 where an answer passes, else 0: all of the skill's checks, and those of its case as a whole. An answer that
    nothing is asserted of is unscored.

    Every arm is judged by the checks of ``skill``, also one that ran without them; without a skill by what its own run
    said. A case's checks pass when their weighted mean reaches the case's threshold, without one when all pass; weight
    0 tells and does not count. Named metrics are the ``parts``. ``judge`` grades ``llm-rubric`` checks, ``said`` is
    what it said.
    """

    name: str = "checks"
    judge: str | None = None
    said: Judgements = field(default_factory=dict)
    skill: Skill | None = None
    custom: Mapping[str, CustomCheck] = field(default_factory=dict)
    binary: bool = True
    labels: bool = False

    @property
    def identity(self) -> str:
        checks = [] if self.skill is None else [check.model_dump(mode="json") for check in self.skill.checks]
        return f"checks {digest([checks, self.judge])}"

    def misfit(self, expected: Any, contract: Contract) -> str:
        return ""

    def score(self, item: Item) -> Score:
        if item.answer.output is None:
            return Score(0.0, "no answer")
        values = item.case.input if self.skill is None else complete_input(self.skill, item.case.input)
        listed = [(check, self._found(check, item, values)) for check in item.case.checks]
        parts = _metrics(part for _, found in listed for part in found.parts)
        own = list(self._skills_own(item, values))
        counted = [*own, *(found for check, found in listed if check.weight > 0)]
        if not counted:
            return Score(math.nan, "nothing is checked", parts=parts)
        broken = next((found for found in counted if found.error), None)
        if broken is not None:
            return failed(broken.error)
        unknown = next((found for found in counted if math.isnan(found.score)), None)
        if unknown is not None:
            return Score(math.nan, unknown.reason, parts=parts)
        whole = _together(listed, item.case.threshold)
        wrong = next((found.reason for found in own if not found.passed), "") or ("" if whole.passed else whole.reason)
        right = whole.passed and all(found.passed for found in own)
        return Score(float(right), wrong, parts=parts)

    def graded(self, case: Case) -> tuple[Graded, ...]:
        """What a judge is asked about each answer to this case."""
        asked = (check for check in _flat(case.checks) if _kind(check)[0] == RUBRIC)
        return tuple(Graded(check.type, rubric_of(check), self.judge or "") for check in asked)

    def _skills_own(self, item: Item, values: Mapping[str, Any]) -> Iterator[Found]:
        if self.skill is None:
            for passed, weight in item.answer.checks:
                if weight > 0:
                    yield Found(float(passed), passed, "a check of the skill fails")
            return
        checks = [check for check in self.skill.checks if check.weight > 0]
        for result in run_checks(checks, item.answer.output, values, self.custom):
            yield Found(float(result.passed), result.passed, f"{result.type}: {result.reason}")

    def _found(self, check: CaseCheck, item: Item, values: Mapping[str, Any]) -> Found:
        if check.type == ALL_OF:
            found = _together([(part, self._found(part, item, values)) for part in check.checks], check.threshold)
        else:
            found = self._single(check, item, values)
        if not check.metric or found.error or math.isnan(found.score):
            return found
        return replace(found, parts=(*found.parts, (check.metric, found.score)))

    def _single(self, check: CaseCheck, item: Item, values: Mapping[str, Any]) -> Found:
        kind, negated = _kind(check)
        if kind in CHECK_TYPES:
            result = run_checks([_as_check(check)], item.answer.output, values)[0]
            return Found(float(result.passed), result.passed, f"{check.type}: {result.reason}")
        if kind in UNITS:
            found = self._told(check, at_most(kind, ScorerSpec(type=kind, threshold=check.threshold)).score(item), 1.0)
        elif kind == RUBRIC:
            asked = Graded(kind, rubric_of(check), self.judge or "", self.said)
            found = self._told(check, asked.score(item), 0.5 if check.threshold is None else check.threshold)
        else:
            try:
                found = _compared(kind, check, item.answer.output)
            except (NotFound, RecursionError) as nothing:  # fails in both forms, as all checks do
                return Found(0.0, False, f"{check.type}: {nothing}")
        if not negated or found.error or math.isnan(found.score):
            return found
        return Found(1 - found.score, not found.passed, f"{check.type}: it is so")

    def _told(self, check: CaseCheck, told: Score, least: float) -> Found:
        """A scorer's word as that of a check: 1 or 0."""
        passed = told.scored and told.value >= least - 1e-9
        reason = f"{check.type}: {told.reason or 'it is not so'}"
        return Found(float(passed) if told.scored else math.nan, passed, reason, told.error)


def _kind(check: CaseCheck) -> tuple[str, bool]:
    """The type without ``not-`` and promptfoo's other names, and whether it is negated."""
    bare = check.type.removeprefix(_NOT)
    return _ALSO.get(bare, bare), bare != check.type


def _compared(kind: str, check: CaseCheck, output: Any) -> Found:
    """A comparison with the check's value: its score, and whether that reaches the threshold. Raises ``NotFound`` where
    nothing stands at the check's path.
    """
    value = comparison(kind, ScorerSpec(type=kind))(check.value, resolve_pointer(output, check.path or ""))
    least = _DEFAULTS.get(kind, 1.0) if check.threshold is None else check.threshold
    return Found(value, value >= least - 1e-9, f"{check.type}: {value:.3g}, below {least:g}")


def require_checks(cases: Sequence[Case], judge: str | None) -> None:
    """Raise ``UsageError`` for the first check of a case that cannot be run, before anything is paid for."""
    for case in cases:
        for check in _flat(case.checks):
            try:
                _require(check, case, judge)
            except UsageError as wrong:
                raise UsageError(f"case {case.id}: {wrong}", hint=wrong.hint) from wrong


def _require(check: CaseCheck, case: Case, judge: str | None) -> None:
    bare = check.type.removeprefix(_NOT)
    kind, _ = _kind(check)
    if bare not in ALL_TYPES or check.type == _NOT + ALL_OF:
        every = f"one of {', '.join(ALL_TYPES)}, each also with not-"
        raise UsageError(f"unknown check type {check.type!r}", hint=did_you_mean(bare, ALL_TYPES) or every)
    if bare == "custom":
        raise UsageError("a case has no custom checks", hint="give a scorer of your own: --scorer module:function")
    if bare == RUBRIC:
        graded(check.type, rubric_of(check), judge)
    elif bare in UNITS:
        at_most(check.type, ScorerSpec(type=bare, threshold=check.threshold))
    elif bare in CHECK_TYPES:
        for problem in check_problems(_as_check(check), input_fields=case.input):
            where = f" {problem.field}" if problem.field else ""
            raise UsageError(f"check {check.type}:{where} {problem.message}", hint=problem.hint)
    elif bare != ALL_OF:
        require_settings(check.type, ScorerSpec(type=kind, path=check.path or ""), {"type", "path"})
        wrong = COMPARING[kind].label(check.value)
        if wrong:
            raise UsageError(f"check {check.type}: value {wrong}", hint="value is what the output is compared with")


def _together(listed: Sequence[tuple[CaseCheck, Found]], threshold: float | None) -> Found:
    """Several checks as one: their weighted mean, which passes at the threshold, without one when all pass."""
    counted = [(check.weight, found) for check, found in listed if check.weight > 0]
    for _, found in counted:
        if found.error or math.isnan(found.score):
            return replace(found, passed=False)
    total = math.fsum(weight for weight, _ in counted)
    score = math.fsum(weight * found.score for weight, found in counted) / total if total else 1.0
    lost = [found.reason for _, found in counted if not found.passed]
    passed = not lost if threshold is None else score >= threshold - 1e-9
    mean = "" if threshold is None else f"{score:.3g}, below {threshold:g}: "
    parts = tuple(part for _, found in listed for part in found.parts)
    return Found(score, passed, mean + next(iter(lost), ""), parts=parts)


def _metrics(told: Iterable[tuple[str, float]]) -> tuple[tuple[str, float], ...]:
    """The mean score of the checks of each metric."""
    named: dict[str, list[float]] = {}
    for name, score in told:
        named.setdefault(name, []).append(score)
    return tuple((name, math.fsum(scores) / len(scores)) for name, scores in named.items())


def _as_check(check: CaseCheck) -> Check:
    return Check.model_validate(check.model_dump(include={"type", "path", "of", "threshold"} | _given_value(check)))


def _given_value(check: CaseCheck) -> set[str]:
    return {"value"} if "value" in check.model_fields_set else set()


def _flat(checks: Sequence[CaseCheck]) -> Iterator[CaseCheck]:
    for check in checks:
        yield check
        yield from _flat(check.checks)
