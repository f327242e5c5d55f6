"""What a pull request deploys, as Markdown: changes of aliases, and whether what they claim stands in the files."""

from __future__ import annotations

from collections.abc import Collection

from skillforge.evidencefile import RecordedEvidence
from skillforge.forge.changes.pr_text import WORDS, code, plain
from skillforge.lockfile import LockedSkill, Move

_REWRITTEN = (
    "- ⚠️ **history rewritten**: what stood in `skillforge.lock` is changed or missing here (a branch that is behind"
    " shows this too: merge the base first)"
)


def deployments(before: LockedSkill, after: LockedSkill, evidence: Collection[RecordedEvidence]) -> list[str]:
    """One line a change of an alias, a warning where the past was changed; empty where nothing is. ``evidence`` is all
    that the files hold of the skill.
    """
    lines = [_moved(move, before, evidence) for move in after.moves if move not in before.moves]
    kept = [move for move in after.moves if move in before.moves]
    numbers = {number: digest for number, digest in after.versions.items() if number in before.versions}
    if kept != list(before.moves) or numbers != before.versions:
        lines.append(_REWRITTEN)
    return lines


def _moved(move: Move, before: LockedSkill, evidence: Collection[RecordedEvidence]) -> str:
    former = before.alias(move.alias)
    start = "nothing" if former is None else f"@{former.version} on {code(former.student)}"
    end = "nothing" if move.version is None else f"@{move.version} on {code(move.student)}"
    line = f"- {code(move.alias)}: {start} → {end} ({move.action}"
    line += f", fallback {code(move.fallback)}" if move.fallback else ""
    line += f", {_verdict(move, evidence)}" if move.version is not None else ""
    line += ")"
    if move.accepted_risk:
        line += f" **risk accepted: {plain(move.accepted_risk)}**"
    return line + (f" {plain(move.reason)}" if move.reason else "")


def _verdict(move: Move, evidence: Collection[RecordedEvidence]) -> str:
    """What the move says was measured. The lock is a text that anybody may edit: a claim without its file is told."""
    claimed = WORDS.get(move.verdict, "?")
    if not move.verdict:
        return claimed
    told = f"{claimed} on {code(move.suite)}"
    wanted = (move.digest, move.student, move.suite_digest, move.verdict)
    found = any((item.digest, item.student, item.suite_digest, item.verdict) == wanted for item in evidence)
    # a rollback repeats an older verdict, whose evidence may be gone by now
    return told if found or move.action == "rollback" else f"{told}, ⚠️ but no evidence file says so"
