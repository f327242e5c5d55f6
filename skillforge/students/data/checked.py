"""Step ``checked``: input and output fit the skill's contract, and every check of the skill holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from skillforge.checks import CustomCheck, run_checks
from skillforge.engine.codedigest import code_digest
from skillforge.engine.compiled import compiled
from skillforge.engine.frame import complete_input
from skillforge.engine.recorded import fitting
from skillforge.errors import InvalidInput
from skillforge.skill import Skill
from skillforge.students.data.row import KEPT, Row, Verdict, dropped


@dataclass(frozen=True)
class Checks:
    """A check that only warns keeps its row and is counted."""

    skill: Skill
    custom: Mapping[str, CustomCheck] = field(default_factory=dict)
    name: str = "checked"
    alone: bool = True

    @property
    def settings(self) -> Mapping[str, Any]:
        used = {check.name for check in self.skill.checks if check.name}
        bound = {name: code_digest(function) for name, function in sorted(self.custom.items()) if name in used}
        return {"skill": compiled(self.skill).digest, "custom": bound}

    def judge(self, rows: Sequence[Row]) -> list[Verdict]:
        return [self._verdict(row) for row in rows]

    def _verdict(self, row: Row) -> Verdict:
        try:
            values = complete_input(self.skill, row.input)
        except InvalidInput:
            return dropped("the input does not fit the contract")
        output, problems = fitting(self.skill, row.output)
        if problems:
            return dropped("the answer does not fit the contract")
        failed = [check for check in run_checks(self.skill.checks, output, values, self.custom) if not check.passed]
        hard = [check for check in failed if check.on_fail != "warn"]
        if hard:
            return dropped(f"check {hard[0].type}{_at(hard[0].path)} failed")
        return Verdict(reason=f"check {failed[0].type}{_at(failed[0].path)} warned") if failed else KEPT


def _at(path: str | None) -> str:
    return f" at {path}" if path else ""
