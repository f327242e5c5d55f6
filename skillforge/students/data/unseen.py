"""Step ``unseen``: nothing that the suite measures on, and nothing that reads like it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from skillforge.canonical import digest
from skillforge.case import Case
from skillforge.evals.alike import ALIKE, HELD, Known
from skillforge.students.data.row import KEPT, Row, Verdict, dropped


@dataclass(frozen=True)
class Unseen:
    """``cases`` are those a row may not be: of the splits test and dev. Near duplicates are ``evals.alike``'s."""

    cases: tuple[Case, ...]
    name: str = "unseen"
    alone: bool = True

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"alike": ALIKE, "held": HELD, "cases": digest([[case.split, case.input] for case in self.cases])}

    def judge(self, rows: Sequence[Row]) -> list[Verdict]:
        return [self._verdict(row.input, row.asked) for row in rows]

    def shows(self, given: Mapping[str, Any]) -> bool:
        """Whether an input is one of the cases, or reads like one."""
        return bool(self._known.twin(given))

    def _verdict(self, given: Mapping[str, Any], asked: bytes) -> Verdict:
        split = self._exact.get(asked)
        if split:
            return dropped(f"it is a {split} case")
        split = self._known.twin(given)
        return dropped(f"it reads like a {split} case") if split else KEPT

    @cached_property
    def _exact(self) -> dict[bytes, str]:
        from skillforge.canonical import canonical_json

        return {canonical_json(case.input): str(case.split) for case in self.cases}

    @cached_property
    def _known(self) -> Known:
        known = Known()
        for case in self.cases:
            known.add(case.input, str(case.split))
        return known
