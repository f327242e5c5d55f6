"""Who answered on a ladder, as rows of a small table: the terminal, the pull request and the page set it alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skillforge.evals.wording.reading import dollars, in_order, one_line, percent
from skillforge.ladder import threshold_text

if TYPE_CHECKING:
    from skillforge.evals.report import ArmReport, EvalReport

RUNG_HEAD = ("who answered", "sure from", "asked", "kept", "share", "$ of 1,000 runs", "no answer")


def ladders(report: EvalReport) -> list[ArmReport]:
    return [arm for arm in in_order(report) if arm.rungs]


def rung_rows(arm: ArmReport) -> list[list[str]]:
    """One row a rung, in the order in which they are asked; ``RUNG_HEAD`` names the columns."""
    return [
        [
            one_line(rung.student),
            "–" if rung.threshold is None else threshold_text(rung.threshold),
            f"{rung.asked:,}",
            f"{rung.answered:,}",
            percent(rung.share),
            dollars(rung.usd_per_1000, arm.cost_estimated),
            f"{rung.errors:,}",
        ]
        for rung in arm.rungs
    ]
