"""Answers that equality calls wrong for their form alone: what is said of them, so that nobody takes it for quality."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from skillforge.case import Case, ScorerSpec
from skillforge.engine.parse import find_json
from skillforge.evals.answer import Answer, Table
from skillforge.evals.scorers.base import Item, Scorer
from skillforge.evals.scorers.equality import Exact
from skillforge.evals.scorers.resolve import scorer_of
from skillforge.evals.verdict.summary import Summary
from skillforge.evals.wording.reading import one_line

LOOKED_AT = 500  # wrong answers of an arm
_FEWEST = 3  # of which something is said
_SHARE = 0.2


@dataclass(frozen=True)
class _Lenience:
    """Another way to look at the same answers, what it forgives, and the options that ask for it."""

    metric: Scorer
    parse: bool
    forgives: str
    options: str

    def right(self, case: Case, label: Any, answer: Answer, *, of_teacher: bool) -> bool:
        """``of_teacher``: the label is the teacher's answer, which ``--parse`` reads too."""
        if self.parse:
            answer = replace(answer, output=parsed_object(answer.output))
            label = parsed_object(label) if of_teacher else label
        return self.metric.score(Item(case, label, answer)).value == 1


def nearly_right(
    metric: Scorer, cases: Sequence[Case], table: Table, summary: Summary, expected: Mapping[str, Any]
) -> Iterator[str]:
    """A sentence on every arm of which many wrong answers are right but for how they are written, where the metric is
    equality. At most ``LOOKED_AT`` wrong answers of an arm are looked at.
    """
    if not isinstance(metric, Exact):
        return
    lenient, of_teacher = _leniences(metric), summary.reference == "teacher"
    for arm in summary.arms:
        wrong = {case for case, value in summary.scores[arm.name].values.items() if value == 0}
        looked_at = [case for case in cases if case.id in wrong and case.id in expected][:LOOKED_AT]
        if len(looked_at) < _FEWEST:
            continue
        found = [
            sum(
                way.right(case, expected[case.id], table[arm.name][case.id][0], of_teacher=of_teacher)
                for case in looked_at
            )
            for way in lenient
        ]
        most = max(found)
        if most < max(_FEWEST, _SHARE * len(looked_at)):
            continue
        way = lenient[found.index(most)]
        first = "first " if len(looked_at) < len(wrong) else ""
        told = f"{most:,} of the {first}{len(looked_at):,} wrong answers of {one_line(arm.name)}"
        yield f"{told} are right but for {way.forgives}: try {way.options}"


def parsed_object(value: Any) -> Any:
    """The JSON object in a text, in a code fence or between words; anything else as it is."""
    found = find_json(value) if isinstance(value, str) else None
    return value if found is None else found


def _leniences(metric: Exact) -> tuple[_Lenience, ...]:
    """The mildest first: of two that forgive as much the first is told."""
    normalized = scorer_of("normalized", ScorerSpec(type="normalized", path=metric.path))
    at = {"type": "normalized", "path": metric.path}
    spelling, text = "case, space or punctuation", "being text that holds JSON"
    option = f"--scorer {shlex.quote(json.dumps(at))}" if metric.path else "--scorer normalized"
    return (
        _Lenience(normalized, False, spelling, option),
        _Lenience(metric, True, text, "--parse"),
        _Lenience(normalized, True, f"{spelling}, and {text}", f"--parse {option}"),
    )
