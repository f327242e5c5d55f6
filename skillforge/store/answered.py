"""What is stored of who answered what for one skill: where training data comes from. Reads only."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from skillforge.store.database import rows
from skillforge.store.runs import CHUNK, LoggedRun, RunLog
from skillforge.trace import Trace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlite_utils import Database

TEACHER_ARM = "teacher"


def teachers_of(db: Database, skill: str) -> set[str]:
    """The models that were the teacher in an eval of the skill."""
    asked = (
        "SELECT DISTINCT runs.student AS student FROM samples JOIN runs ON runs.id = samples.run_id"
        " WHERE samples.arm = ? AND runs.skill = ?"
    )
    return {row["student"] for row in rows(db, asked, [TEACHER_ARM, skill])}


def solved(db: Database, task: str) -> list[tuple[Trace, str]]:
    """What a teacher did when a skill was made for the task, with the teacher's name; oldest first."""
    asked = "SELECT body, teacher FROM traces WHERE status = 'ok' AND task = ? ORDER BY created_at, key"
    return [(Trace.model_validate(json.loads(row["body"])), row["teacher"]) for row in rows(db, asked, [task])]


def answered(db: Database, log: RunLog, skill: str) -> Iterator[tuple[LoggedRun, str]]:
    """Every run of the skill whose input was kept and that an answer came of, with the arm of the eval it was measured
    in ("" for a run of a program), oldest first.
    """
    asked = (
        "SELECT runs.id AS id, min(samples.arm) AS arm FROM runs LEFT JOIN samples ON samples.run_id = runs.id"
        " WHERE runs.skill = ? AND runs.input IS NOT NULL AND runs.status <> 'error' AND runs.source IN ('run', 'eval')"
        " GROUP BY runs.id ORDER BY runs.rowid"
    )
    found = [(row["id"], row["arm"] or "") for row in rows(db, asked, [skill])]
    for start in range(0, len(found), CHUNK):
        part = found[start : start + CHUNK]
        runs = log.by_ids(run_id for run_id, _ in part)
        for run_id, arm in part:
            if run_id in runs:
                yield runs[run_id], arm
