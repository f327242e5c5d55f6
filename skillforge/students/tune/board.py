"""The candidates of one tuning: their scores, what became of each, and which is the best so far."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace

from skillforge.canonical import digest
from skillforge.engine.forms import adapted
from skillforge.skill import Skill
from skillforge.students.tune.compare import Decided
from skillforge.students.tune.values import Candidate, CaseScore, Scores
from skillforge.variant import Variant


@dataclass(frozen=True)
class Entry:
    """A candidate on the board. ``forecast`` is what a call was expected to cost before it was measured (US dollars at
    cached rates, tokens), ``None`` where unknown.
    """

    number: int
    candidate: Candidate
    decided: Decided
    scores: Scores = field(default_factory=dict)
    forecast: tuple[float | None, float | None] = (None, None)


Keep = Callable[[Entry], None]


def candidate_of(
    skill: Skill, variant: Variant, stage: str, *, parent: str = "", note: str = "", author: str = ""
) -> Candidate:
    """A candidate, named by the digest of the form that the student would run."""
    named = digest(adapted(skill, variant).identity())
    return Candidate(id=named, variant=variant, stage=stage, parent=parent, note=note, author=author)


class Board:
    """All candidates in the order in which they came up. ``keep`` stores an entry for good whenever it changes.

    ``champion`` is the form of the best proven quality, ``best`` the one to use: the champion, or a cheaper one that is
    surely not worse than it.
    """

    def __init__(self, keep: Keep = lambda entry: None) -> None:
        self.entries: dict[str, Entry] = {}
        self.champion = ""
        self.best = ""
        self._keep = keep

    def add(self, candidate: Candidate, forecast: tuple[float | None, float | None] = (None, None)) -> Entry:
        """A new candidate; the entry that is there where the same form came up before."""
        if candidate.id in self.entries:
            return self.entries[candidate.id]
        waiting = Decided(outcome="unfinished", why="not measured to its end")
        return self._put(Entry(len(self.entries) + 1, candidate, waiting, forecast=forecast))

    def scored(self, candidate_id: str, scores: Scores) -> Entry:
        entry = self.entries[candidate_id]
        return self._put(replace(entry, scores={**entry.scores, **_without_texts(scores)}))

    def decide(self, candidate_id: str, decided: Decided) -> None:
        """Note what became of a candidate; one that is adopted becomes the best, and by quality the champion."""
        self._put(replace(self.entries[candidate_id], decided=decided))
        if decided.adopted:
            self.best = candidate_id
        if decided.outcome in ("start", "wins"):
            self.champion = candidate_id

    def new(self, candidates: Collection[Candidate]) -> list[Candidate]:
        """Those whose form has not come up before, each once."""
        fresh = {
            candidate.id: candidate for candidate in reversed(list(candidates)) if candidate.id not in self.entries
        }
        return [candidate for candidate in candidates if fresh.pop(candidate.id, None) is not None]

    def _put(self, entry: Entry) -> Entry:
        self.entries[entry.candidate.id] = entry
        self._keep(entry)
        return entry


def _without_texts(scores: Scores) -> dict[str, CaseScore]:
    """What is kept of a score: the answers themselves are samples, and stand there."""
    return {case: score.model_copy(update={"output": None, "problem": ""}) for case, score in scores.items()}
