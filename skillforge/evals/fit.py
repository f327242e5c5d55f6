"""Whether a suite can measure a skill at all: found out before the first call is paid for."""

from __future__ import annotations

from collections.abc import Sequence

from skillforge.case import Case, Suite
from skillforge.engine.frame import complete_input
from skillforge.errors import UsageError
from skillforge.evals.scorers.base import Contract
from skillforge.evals.scorers.equality import Exact, Fields
from skillforge.evals.scorers.resolve import Scorers
from skillforge.skill import Skill


def require_fit(skill: Skill, cases: Sequence[Case], suite: Suite, scorers: Scorers) -> None:
    """Raise ``UsageError`` naming the first case whose input the skill's contract refuses, or whose label the metric
    cannot compare with what the skill answers.

    A label may leave fields out, but not those the metric compares: with labels that no answer can equal every arm
    would score 0, and a student that gets nothing right would be "not worse" than its teacher. A metric that looks at
    no label takes any.
    """
    contract = Contract(skill.output_schema())
    fields = ", ".join(contract.fields)
    for case in cases:
        where = f"suite {suite.name}, case {case.id}"
        try:
            complete_input(skill, case.input)
        except UsageError as exc:
            raise UsageError(f"{where}: {exc}", hint=exc.hint) from exc
        if case.expected is None or not scorers.metric.labels:
            continue
        wrong = scorers.metric.misfit(case.expected, contract)
        if wrong:
            like = f"a label is an answer the skill could give: {fields}" if fields else "a label is a text"
            hint = like if isinstance(scorers.metric, Exact | Fields) else "mend the label, or the path of the metric"
            raise UsageError(f"{where}: expected does not fit the skill: {wrong}", hint=hint)
