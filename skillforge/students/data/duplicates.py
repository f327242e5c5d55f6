"""Step ``different``: of inputs that are the same, or nearly, the first stays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from skillforge.evals.alike import ALIKE, HELD, Known
from skillforge.nearest import canonical_text
from skillforge.skill import Skill
from skillforge.students.data.agreement import differs
from skillforge.students.data.row import KEPT, Row, Verdict, dropped


@dataclass(frozen=True)
class Different:
    """Rows come in the order of their worth: a recorded answer before one from a log. Near duplicates are those of
    ``evals.alike`` (rapidfuzz's ratio, and one text standing in another).
    """

    skill: Skill
    name: str = "different"
    alone: bool = False

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"alike": ALIKE, "held": HELD}

    def judge(self, rows: Sequence[Row]) -> list[Verdict]:
        exact: set[str] = set()
        known = Known()
        by_place: dict[str, Row] = {}
        verdicts = []
        for row in rows:
            text = canonical_text(row.input)
            if text in exact:
                verdicts.append(dropped("the same input as another"))
                continue
            exact.add(text)
            place = known.twin(row.input)
            if place:
                other = differs(self.skill, row.output, by_place[place].output)
                verdicts.append(dropped("nearly the input of another" + (", answered otherwise" if other else "")))
                continue
            known.add(row.input, row.digest)
            by_place[row.digest] = row
            verdicts.append(KEPT)
        return verdicts
