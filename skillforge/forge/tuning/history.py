"""Tunings as they were kept: every candidate, its scores, and what became of it."""

from __future__ import annotations

from typing import Any

from skillforge.errors import NotFound
from skillforge.forge.workspace import Workspace
from skillforge.ref import SkillRef
from skillforge.store.tuning import TuningRow
from skillforge.students.tune.board import Entry
from skillforge.students.tune.compare import Decided, Rule
from skillforge.students.tune.tuned import TestFigures, Tuned, tried_of
from skillforge.students.tune.values import Candidate, CaseScore

_CHAMPIONS = ("start", "wins", "cheaper")


def tunings_of(work: Workspace, ref: str, student: str = "") -> list[Tuned]:
    """Newest first. Raises ``NotFound`` for a name that is none."""
    named = SkillRef.parse(ref).name or ref
    return [read_tuning(work, row) for row in work.tunings.of_skill(named, student)]


def read_tuning(work: Workspace, row: TuningRow) -> Tuned:
    """One tuning from its rows. Of one that was interrupted the winner is the best so far."""
    entries = [_entry(stored) for stored in work.tunings.candidates(row.id)]
    start = next((entry for entry in entries if entry.candidate.stage == "start"), None)
    deciding = set(start.scores) if start is not None else set()
    adopted = [entry for entry in entries if entry.decided.outcome in _CHAMPIONS]
    body = row.body
    test = body.get("test")
    return Tuned(
        tuning=row.id,
        skill=row.skill,
        version=_version(work, row),
        student=row.student,
        teacher=str(body.get("teacher", "")),
        status=row.status,
        rule=Rule.model_validate(body["rule"]) if isinstance(body.get("rule"), dict) else Rule(),
        stages=tuple(body.get("stages", ())),
        cases=body.get("cases", {}),
        tried=tuple(tried_of(entry, deciding) for entry in entries),
        winner=str(body.get("winner") or (adopted[-1].candidate.id if adopted else "")),
        words=tuple(body.get("words", ())),
        test=TestFigures.model_validate(test) if isinstance(test, dict) else None,
        file=str(body.get("file", "")),
        calls=int(body.get("calls", 0)),
        spent_usd=float(body.get("usd", 0.0)),
        created_at=row.created_at,
    )


def _version(work: Workspace, row: TuningRow) -> int:
    """The version that was tuned, 0 where it is not in the registry any more."""
    try:
        return work.registry.get(row.skill, row.digest).version
    except NotFound:  # deleted since
        return 0


def _entry(stored: dict[str, Any]) -> Entry:
    body = stored["body"]
    usd, tokens = body.get("forecast", (None, None))
    return Entry(
        number=stored["number"],
        candidate=Candidate.model_validate(body["candidate"]),
        decided=Decided.model_validate(body["decided"]),
        scores={case: CaseScore.model_validate(score) for case, score in stored["scores"].items()},
        forecast=(usd, tokens),
    )
