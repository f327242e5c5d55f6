"""Step ``chosen``: without the rows that a person has looked at and does not want."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from skillforge.students.data.row import KEPT, Row, Verdict, dropped


@dataclass(frozen=True)
class Chosen:
    """``without`` are ids, as the list of label noise shows them."""

    without: frozenset[str]
    name: str = "chosen"
    alone: bool = True

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"without": sorted(self.without)}

    def judge(self, rows: Sequence[Row]) -> list[Verdict]:
        return [dropped("left out by hand") if row.id in self.without else KEPT for row in rows]
