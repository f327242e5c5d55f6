"""Step ``graded``: what a judge said of the answers, where one was asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from skillforge.students.data.row import KEPT, Row, Verdict, dropped

LEAST = 4.0  # of 5: meets the rubric, or with a small flaw
UNGRADED = "no grade"


@dataclass(frozen=True)
class Critic:
    """``grades`` are points of the rubric's scale (1 to 5) by the digest of a row; a row without one stays."""

    grades: Mapping[str, float]
    judge_name: str
    question: str
    least: float = LEAST
    name: str = "graded"
    alone: bool = True

    @property
    def settings(self) -> Mapping[str, Any]:
        mine = dict(sorted(self.grades.items()))
        return {"judge": self.judge_name, "question": self.question, "least": self.least, "grades": mine}

    def judge(self, rows: Sequence[Row]) -> list[Verdict]:
        return [self._verdict(self.grades.get(row.digest)) for row in rows]

    def _verdict(self, grade: float | None) -> Verdict:
        if grade is None:
            return Verdict(reason=UNGRADED)
        return KEPT if grade >= self.least else dropped(f"graded {grade:g}, below {self.least:g}")
