"""The search: stage after stage, each proposal raced on dev, one form kept only where the rule says so."""

from __future__ import annotations

from collections.abc import Sequence

from skillforge.errors import BudgetReached, ProviderError
from skillforge.students.tune.board import Board, candidate_of
from skillforge.students.tune.compare import Decided, Paired, cost_of, costs_less, judge, mean_score, paired
from skillforge.students.tune.grounds import Grounds, Stage
from skillforge.students.tune.race import race
from skillforge.students.tune.values import Candidate, Scores
from skillforge.variantfile import variant_problems

_SHOWN = 300  # characters of why nothing was answered


async def search(grounds: Grounds, stages: Sequence[Stage], board: Board) -> str:
    """Go through the stages. Returns "" when all of them were gone through, else why it stopped (the budget).

    Raises every other ``Halt`` and what a provider raises, ``ProviderError`` where the student answers nothing at all;
    what was found until then is on the board.
    """
    start = candidate_of(grounds.skill, grounds.blank(), "start", note="the skill as it is")
    board.add(start, grounds.forecast(grounds.skill))
    try:
        scores = await grounds.measure(grounds.form(start), [*grounds.dev, *grounds.beside])
        board.scored(start.id, scores)
        _require_answers(grounds, scores)
        board.decide(start.id, Decided(outcome="start", why="what every change is measured against"))
        for stage in stages:
            await _stage(grounds, stage, board)
    except BudgetReached as exc:
        return str(exc)
    return ""


def _require_answers(grounds: Grounds, scores: Scores) -> None:
    if mean_score(scores, scores) is None:
        problem = next((one.problem for one in scores.values() if one.problem), "")
        raise ProviderError(
            f"{grounds.student} answered none of {len(scores)} cases: {problem[:_SHOWN]}",
            hint="once it does, the same command goes on",
        )


async def _stage(grounds: Grounds, stage: Stage, board: Board) -> None:
    best = board.entries[board.best].candidate
    proposed = await stage.propose(grounds, best)
    if proposed.said:
        grounds.say(f"{stage.name}: {proposed.said}")
    fresh = board.new(proposed.candidates)
    for candidate in fresh:
        board.add(candidate, grounds.forecast(grounds.form(candidate)))
    allowed = [candidate for candidate in fresh if _may_run(grounds, candidate, board)]
    if not allowed:
        return
    grounds.say(f"{stage.name}: {len(allowed)} candidates")
    try:
        finalists = await race(grounds, board, allowed)
    except BudgetReached:  # who came to the end of the race is judged all the same
        _decide(grounds, stage, board, [candidate for candidate in allowed if _finished(grounds, candidate, board)])
        raise
    _decide(grounds, stage, board, finalists)
    now = board.entries[board.best]
    if now.candidate.stage == stage.name:
        grounds.say(f"{stage.name}: {now.candidate.note}: {now.decided.why}")
    else:
        grounds.say(f"{stage.name}: nothing better is proven")


def _finished(grounds: Grounds, candidate: Candidate, board: Board) -> bool:
    entry = board.entries[candidate.id]
    return entry.decided.outcome == "unfinished" and all(case.id in entry.scores for case in grounds.dev)


def _may_run(grounds: Grounds, candidate: Candidate, board: Board) -> bool:
    """Whether the sentences that must be kept stand in it, and its file could be read again: a model wrote some of it,
    perhaps with a secret or with what nobody sees. Any other is not even measured.
    """
    told = grounds.form(candidate).instructions
    wrong = [f"leaves out what must be kept: {each[:80]!r}" for each in grounds.skill.keep if each not in told]
    wrong += [f"{problem.field}: {problem.message}" for problem in variant_problems(candidate.variant, grounds.skill)]
    if wrong:
        board.decide(candidate.id, Decided(outcome="refused", why=wrong[0]))
    return not wrong


def _decide(grounds: Grounds, stage: Stage, board: Board, finalists: Sequence[Candidate]) -> None:
    """One of the finalists at most takes the best one's place: by quality, then by cost."""
    ids = [case.id for case in grounds.dev]
    champion, best = board.entries[board.champion], board.entries[board.best]
    level = grounds.rule.shared(len(finalists))
    judged: list[tuple[Candidate, Decided]] = []
    for candidate in finalists:
        scores = board.entries[candidate.id].scores
        seen = paired(champion.scores, scores, ids, level, grounds.clusters)
        less = costs_less(best.scores, scores, ids)
        found = judge(grounds.rule, level, seen, less=less, trades=stage.trades, against=champion.candidate.id)
        judged.append((candidate, found))

    def rank(item: tuple[Candidate, Decided]) -> tuple[float, ...]:
        candidate, found = item
        usd, tokens = cost_of(board.entries[candidate.id].scores, ids)
        cost = (usd or 0.0, tokens or 0.0)
        quality = -_after(found.paired)
        wins = found.outcome != "wins"
        return (wins, *cost, quality) if wins and stage.trades else (wins, quality, *cost)

    taken = None
    for candidate, found in sorted(judged, key=rank):
        if found.adopted and taken is not None:
            why = f"number {board.entries[taken].number} of the same stage is better or cheaper; {found.why}"
            found = found.model_copy(update={"outcome": "undecided", "why": why})
        board.decide(candidate.id, found)
        if found.adopted:
            taken = candidate.id


def _after(seen: Paired | None) -> float:
    return seen.after if seen is not None else 0.0
