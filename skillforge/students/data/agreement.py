"""Step ``agreed``: the teacher answered the same again, where it was asked again; on request the label too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from skillforge.engine.nomodel import label_fields
from skillforge.skill import Skill
from skillforge.students.data.row import KEPT, Row, Verdict, dropped


@dataclass(frozen=True)
class Agreement:
    """Compared are the label fields (enums and booleans), and the whole answer of a skill that has none but is no text.
    Texts are never equal and say nothing. ``labels``: a row whose suite label differs goes too.
    """

    skill: Skill
    labels: bool = False
    name: str = "agreed"
    alone: bool = True

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"fields": list(label_fields(self.skill)), "text": self.skill.output == "text", "labels": self.labels}

    def judge(self, rows: Sequence[Row]) -> list[Verdict]:
        return [self._verdict(row) for row in rows]

    def _verdict(self, row: Row) -> Verdict:
        if any(differs(self.skill, row.output, other) for other in row.again):
            return dropped("the teacher answered otherwise when it was asked again")
        if row.expected is not None and differs(self.skill, row.output, row.expected):
            said = "differs from the suite's label"
            return dropped(f"it {said}") if self.labels else Verdict(reason=said)
        return Verdict(reason="answered the same again") if row.again else KEPT


def differs(skill: Skill, output: Any, other: Any) -> bool:
    """Whether two answers say different things, as far as that can be told by comparing."""
    if skill.output == "text":
        return False
    if not isinstance(output, dict) or not isinstance(other, dict):
        return True
    fields = label_fields(skill) or tuple(skill.output)
    return any(name in other and output.get(name) != other[name] for name in fields)
