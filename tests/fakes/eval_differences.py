"""What stands beside a report that never ran: how sure its arms were, and how they differ."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator

from skillforge.evals.answer import Answer, Manner
from skillforge.evals.behaviour import behaviour_of
from skillforge.evals.pages.besides import Besides
from skillforge.evals.pages.rows import CaseRow
from skillforge.evals.soft import soft_of
from tests.fakes.eval_report import QUEUES, Made

SILENT = "teacher"  # tells no probabilities


def besides_of(report: Made, *, silent: tuple[str, ...] = (SILENT,)) -> Besides:
    """From the answers of the report, made unsure and given a manner here, the same for the same report."""
    rows = list(_played(report, silent))
    labels = ("queue", "urgent")
    soft = soft_of(rows, report.report, labels, asked=True)
    return Besides(soft=soft, behaviour=behaviour_of(rows, report.report, labels, lambda value: value))


def _played(report: Made, silent: tuple[str, ...]) -> Iterator[CaseRow]:
    chance = random.Random(7)
    for row in report.rows():
        cells = {
            name: dataclasses.replace(
                cell, answers=tuple(_told(answer, name, chance, told=name not in silent) for answer in cell.answers)
            )
            for name, cell in row.cells.items()
        }
        yield dataclasses.replace(row, cells=cells)


def _told(answer: Answer, arm: str, chance: random.Random, *, told: bool) -> Answer:
    fenced = "luna" in arm and chance.random() < 0.2
    wrong = fenced or chance.random() < 0.03
    answer = dataclasses.replace(answer, manner=Manner(fenced, False, wrong, False))
    if not told or answer.output is None or arm == "no-model":
        return answer
    sure = 0.55 + 0.45 * chance.random()
    left = [queue for queue in QUEUES if queue != answer.output["queue"]]
    shares = {f'"{answer.output["queue"]}"': sure, **{f'"{queue}"': (1 - sure) / 3 for queue in left}}
    return dataclasses.replace(answer, probabilities={"queue": shares})
