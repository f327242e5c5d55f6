"""What stands on a report's pages besides the report: what the command that made it knows of itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from skillforge.evals.behaviour import Behaviour
from skillforge.evals.report import EvalReport
from skillforge.evals.soft import Soft
from skillforge.evals.wording.reading import arm_lines, quality, signed

GROUP_HEAD = ("group", "cases", "arm", "verdict", "quality", "difference", "in words")
MOST_GROUPS = 200  # on a page; the JSON has all


@dataclass(frozen=True)
class Besides:
    """``command`` made the report. ``document``: what its ``--json`` prints where that is not the report itself, free
    of secrets. ``groups``: name -> the report on the cases of that group alone. ``notes`` are for people. ``soft`` and
    ``behaviour``: how sure the arms were, and how they differ, where that is known.
    """

    command: str = "eval"
    document: Mapping[str, Any] | None = None
    groups: Sequence[tuple[str, EvalReport]] = ()
    notes: Sequence[str] = ()
    soft: Soft | None = None
    behaviour: Behaviour | None = None

    def keys(self) -> dict[str, Any]:
        """What JSON tells beside the report, and evidence does not keep."""
        named = {"probabilities": self.soft, "behaviour": self.behaviour}
        return {name: found.model_dump(mode="json") for name, found in named.items() if found is not None}

    def group_rows(self) -> list[list[str]]:
        """A row for every group and arm under ``GROUP_HEAD``, the teacher's first."""
        rows = []
        for name, report in self.groups[:MOST_GROUPS]:
            cases = f"{report.cases:,}"
            rows.append([name, cases, "teacher", "", quality(report, report.teacher), "", ""])
            for line in arm_lines(report):
                gap = signed(line.versus.difference)
                rows.append([name, cases, line.label, line.word, line.quality, gap, line.says])
        if (more := len(self.groups) - MOST_GROUPS) > 0:
            rows.append([f"and {more:,} more", *[""] * (len(GROUP_HEAD) - 2), "the JSON report has them"])
        return rows


NOTHING = Besides()

__all__ = ["GROUP_HEAD", "MOST_GROUPS", "NOTHING", "Besides"]
