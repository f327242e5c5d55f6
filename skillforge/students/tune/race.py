"""Early pruning: the candidates of a stage are measured on a part of dev, and few of them on all of it.

Successive halving (Jamieson and Talwalkar 2016, AISTATS) with a race's rule beside it (Maron and Moore 1994): after a
quarter and after half of dev the better half stays, and whoever is surely worse than the champion goes at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from skillforge.case import Case
from skillforge.students.tune.board import Board
from skillforge.students.tune.compare import Decided, cost_of, failed_anchors, paired, worth
from skillforge.students.tune.grounds import Grounds
from skillforge.students.tune.values import Candidate, Scores

LEAST = 8  # cases of a first look
FINALISTS = 2


async def race(grounds: Grounds, board: Board, candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates that were measured on all of dev; what became of the others stands on the board.

    Raises what measuring raises; what was measured until then is on the board.
    """
    running = list(candidates)
    for rung in _rungs(grounds):
        left = []
        for candidate in running:
            scores = await grounds.measure(grounds.form(candidate), rung)
            board.scored(candidate.id, scores)
            if not _stopped(grounds, board, candidate, scores):
                left.append(candidate)
        running = left if len(rung) >= len(grounds.dev) else _better_half(board, left, rung)
    return running


def _rungs(grounds: Grounds) -> list[list[Case]]:
    """Growing parts of dev, the last with all of it and the anchors beside it; anchors are in every part."""
    n = len(grounds.dev)
    sizes = sorted({size for size in (max(LEAST, n // 4), n // 2) if LEAST <= size < n})
    anchors = [case for case in grounds.dev if case.id in grounds.anchors]
    parts = []
    for size in sizes:
        part = {case.id for case in (*grounds.part(grounds.dev, size), *anchors)}
        if len(part) < n:
            parts.append([case for case in grounds.dev if case.id in part])
    return [*parts, [*grounds.dev, *grounds.beside]]


def _stopped(grounds: Grounds, board: Board, candidate: Candidate, scores: Scores) -> bool:
    parent = board.entries.get(candidate.parent) or board.entries[board.champion]
    base = parent.scores if parent.scores else board.entries[board.champion].scores
    if broken := failed_anchors(base, scores, grounds.anchors):
        why = f"fails the anchor {', '.join(broken)}, which number {parent.number} passes"
        board.decide(candidate.id, Decided(outcome="anchor", why=why, against=parent.candidate.id))
        return True
    ids = [case.id for case in grounds.dev if case.id in scores]
    if len(ids) == len(grounds.dev):
        return False
    seen = paired(board.entries[board.champion].scores, scores, ids, grounds.rule.level, grounds.clusters)
    if seen.high < 0:
        why = f"surely worse after {seen.n} of {len(grounds.dev)} dev cases: {seen.after:.3f} against {seen.before:.3f}"
        board.decide(candidate.id, Decided(outcome="raced out", why=why, against=board.champion, paired=seen))
        return True
    return False


def _better_half(board: Board, running: list[Candidate], rung: Sequence[Case]) -> list[Candidate]:
    keep = max(FINALISTS, math.ceil(len(running) / 2))
    ids = [case.id for case in rung]

    def rank(candidate: Candidate) -> tuple[float, float, float]:
        scores = board.entries[candidate.id].scores
        usd, tokens = cost_of(scores, ids)
        return -worth(scores, ids), usd or 0.0, tokens or 0.0

    ordered = sorted(running, key=rank)
    for candidate in ordered[keep:]:
        mean = worth(board.entries[candidate.id].scores, ids)
        why = f"not in the better half of its stage after {len(ids)} dev cases ({mean:.3f})"
        board.decide(candidate.id, Decided(outcome="raced out", why=why, against=board.champion))
    stay = {candidate.id for candidate in ordered[:keep]}
    return [candidate for candidate in running if candidate.id in stay]
