"""Whether a suite can measure a skill at all: found out before the first call is paid for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from skillforge.case import Case, Suite
from skillforge.checks import resolve_pointer
from skillforge.contract import Validator
from skillforge.engine.frame import complete_input
from skillforge.errors import NotFound, UsageError
from skillforge.skill import Skill


def require_fit(skill: Skill, cases: Sequence[Case], suite: Suite) -> None:
    """Raise ``UsageError`` naming the first case whose input or label the skill's contract refuses.

    A label may leave fields out, but not those the metric compares: with labels that no answer can equal every arm
    would score 0, and a student that gets nothing right would be "not worse" than its teacher.
    """
    contract = skill.output_schema()
    labels = None if contract is None else Validator({**contract, "required": []})
    for case in cases:
        where = f"suite {suite.name}, case {case.id}"
        try:
            complete_input(skill, case.input)
        except UsageError as exc:
            raise UsageError(f"{where}: {exc}", hint=exc.hint) from exc
        if case.expected is not None:
            _require_label(case.expected, labels, suite, where, list(contract["properties"]) if contract else [])


def _require_label(expected: Any, labels: Validator | None, suite: Suite, where: str, fields: list[str]) -> None:
    if labels is None:
        problems = [] if isinstance(expected, str) else ["must be text, as the skill's output"]
    else:
        problems = labels.problems(expected)
    metric = suite.decision.metric
    if not problems and metric.startswith("/"):
        try:
            resolve_pointer(expected, metric)
        except NotFound as exc:
            problems = [f"{exc}, which the metric compares"]
    if not problems and metric == "exact" and labels is not None:
        problems = [f"{name}: missing, and the metric is exact" for name in fields if name not in expected]
    if problems:
        hint = f"a label is an answer the skill could give: {', '.join(fields)}" if fields else "a label is a text"
        raise UsageError(f"{where}: expected does not fit the skill: {problems[0]}", hint=hint)
