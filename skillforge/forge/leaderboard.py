"""The students ever measured on a skill, from the registry's evidence, and which of them to take."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from pydantic import ValidationError

from skillforge.config import SKILLS_FOLDER
from skillforge.errors import NotFound, SkillforgeError, UsageError
from skillforge.evals.report import EvalReport
from skillforge.evals.running.arms import ArmKind
from skillforge.forge.deploy.grounds import deciding_split
from skillforge.forge.homes import home_of
from skillforge.forge.measuring.plan import find_suite
from skillforge.forge.skills import resolve
from skillforge.forge.stale import part_of, stale_since
from skillforge.forge.workspace import Workspace
from skillforge.ladder import ENCODER, parse_ladder
from skillforge.store.evidence import Evidence
from skillforge.store.registry import SkillVersion
from skillforge.students.leaderboard import Leaderboard, Row, leaderboard, with_front
from skillforge.students.recommend import Missing, Needs, Recommendation, recommend


def board_of(work: Workspace, ref: str, *, floors: bool = False) -> Leaderboard:
    """Everybody who was measured on the skill. Results on the suite as it is now come first; others are marked.

    Raises ``NotFound`` where nothing was measured, with the command that does it.
    """
    version = resolve(work, ref)
    evidence = work.evidence.for_skill(version.name)
    rows, unread = _rows(work, version, evidence)
    if not rows:
        raise NotFound(f"{version.name}: no student was measured yet", hint=_measure(version, "PROVIDER:MODEL"))
    suite_digest, split = _asked(work, version, rows)
    board = leaderboard(rows, version.digest, suite_digest, split, floors=floors)
    entries = []
    for entry in board.entries:
        home = home_of(work, entry.student, entry.kind)
        entries.append(entry.model_copy(update={"place": home.place, "size": home.size}))
    version_now = {"version": version.version, "unread": unread}
    return with_front(board.model_copy(update={"entries": tuple(entries), **version_now}))


def recommended(work: Workspace, ref: str, needs: Needs) -> Recommendation:
    """One student that surely meets the needs, or what to measure. Raises ``UsageError`` for needs nobody can have."""
    if not 0 < needs.min_parity <= 2:
        raise UsageError(f"--min-parity {needs.min_parity:g}: a share of the teacher's quality", hint="such as .97")
    for name, bound in (("--max-cost", needs.max_cost), ("--max-p95-ms", needs.max_p95_ms)):
        if bound is not None and not bound >= 0:
            raise UsageError(f"{name} {bound:g}: is no bound", hint="a number from 0 on")
    version = resolve(work, ref)
    unmeasured = tuple(_unmeasured(work, version))
    try:
        board = board_of(work, ref)
    except NotFound:
        first = (Missing(what="no student was measured yet", command=_measure(version, "PROVIDER:MODEL")),)
        return Recommendation(choice=None, refused=(), missing=unmeasured or first)
    return recommend(board, needs, unmeasured)


def _rows(work: Workspace, version: SkillVersion, evidence: list[Evidence]) -> tuple[list[Row], int]:
    """The results as the board takes them, newest first, and how many another version of skillforge has written."""
    rows, unread = [], 0
    for item, changes in zip(evidence, stale_since(work, version, evidence), strict=True):
        try:
            report = EvalReport.model_validate(item.report)
        except ValidationError:
            unread += 1
            continue
        rows.append(
            Row(
                student=item.student,
                report=report,
                kind=_kind(item),
                measured_at=item.created_at,
                stale=tuple(change.why for change in changes),
                part=bool(part_of(item)),
            )
        )
    return rows, unread


def _kind(item: Evidence) -> ArmKind:
    if parse_ladder(item.student) is not None:
        return "ladder"
    if item.student.startswith(ENCODER):
        return "encoder"
    return "variant" if item.variant else "skill"


def _asked(work: Workspace, version: SkillVersion, rows: list[Row]) -> tuple[str, str]:
    """Digest and split that results must be of to be compared: the skill's suite now, else what was measured last."""
    try:
        suite = find_suite(work, version, None)
    except SkillforgeError:
        return rows[0].report.suite_digest, rows[0].report.split
    wanted = suite.digest(), deciding_split(suite)
    there = {(row.report.suite_digest, row.report.split) for row in rows}
    return wanted if wanted in there else (rows[0].report.suite_digest, rows[0].report.split)


def _unmeasured(work: Workspace, version: SkillVersion) -> Iterator[Missing]:
    """Students that are known to exist, and of which nothing was measured on this skill."""
    known = {item.student for item in work.evidence.for_skill(version.name)}
    named = [work.settings.student] if work.settings.student else []
    folder = work.root / SKILLS_FOLDER / version.name / "encoders"
    named += [f"encoder:{card.stem}" for card in sorted(folder.glob("*.json"))]
    named += [student for student in work.settings.models if student != work.settings.teacher]
    for student in dict.fromkeys(named):
        if student not in known:
            yield Missing(what=f"{student} was never measured", command=_measure(version, student))


def _measure(version: SkillVersion, student: str) -> str:
    return f"skillforge eval {version.name} --students {shlex.quote(student)}"
