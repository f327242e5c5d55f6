"""What the judges of an eval have to say something about, and what follows from what they said.

A rubric's score is its point on the scale, 0 to 1. A pair is the answer against the teacher's first answer to the same
case: 1 is won, 0 lost, 0.5 a tie; it is asked in both orders, and a judge that changes its mind with the order has seen
a tie. The teacher against itself is 0.5 by definition, so the difference an eval decides by is half of (won - lost): a
margin of 0.05 allows losing ten cases in a hundred more than are won.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from skillforge.canonical import compact
from skillforge.case import Case, ScorerSpec
from skillforge.checks import resolve_pointer
from skillforge.errors import NotFound
from skillforge.evals.answer import Answer, Table
from skillforge.evals.judges.ask import Question
from skillforge.evals.judges.grades import MARKER, score_of
from skillforge.evals.judges.question import Facts, pair_request, question_digest, rubric_request
from skillforge.evals.judges.quoted import MAX_CHARS, neutralised
from skillforge.evals.scorers.base import UNSCORED, Score, failed
from skillforge.evals.scorers.equality import same
from skillforge.evals.scorers.resolve import Scorers, questions
from skillforge.judgement import Judgement
from skillforge.providers.base import Provider

TIE = 0.5
_SHOWN = 300  # characters of a judge's reasons
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Entry:
    """One answer to be graded: under which scorer, by which questions (two for a pair, in both orders)."""

    scorer: str
    judge: str
    question: str
    keys: tuple[str, ...]
    lengths: tuple[int, int] = (0, 0)  # of the student's and the teacher's answer, for a pair


@dataclass
class Docket:
    """``questions``: by judge, then by key. ``entries`` and ``scores`` (what needs no judge) are by (key of the answer,
    digest of the question). ``cut``: how many answers were too long to be shown whole.
    """

    questions: dict[str, dict[str, Question]] = field(default_factory=dict)
    entries: dict[tuple[str, str], Entry] = field(default_factory=dict)
    scores: dict[tuple[str, str], Score] = field(default_factory=dict)
    cut: int = 0

    def add(self, place: tuple[str, str], scorer: str, judge: str, asked: Sequence[Question], lengths: Any) -> None:
        entry = Entry(scorer, judge, place[1], tuple(question.key for question in asked), lengths)
        before = self.entries.setdefault(place, entry)
        if before.keys != entry.keys:  # one answer to one input, and two labels: which one it is graded by is unknown
            self.scores[place] = failed("two cases ask this and have different labels")
            return
        self.questions.setdefault(judge, {}).update((question.key, question) for question in asked)

    def said(self, judgements: Mapping[str, Judgement]) -> dict[tuple[str, str], Score]:
        """The score of every answer; what no judge could say is an error of the scorer, never a 0."""
        found = {
            place: _score(entry, [judgements[key] for key in entry.keys])
            for place, entry in self.entries.items()
            if all(key in judgements for key in entry.keys)
        }
        return {**found, **self.scores}


def docket_of(
    scorers: Scorers,
    cases: Sequence[Case],
    table: Table,
    teacher: str,
    task: str,
    judges: Callable[[str], Provider],
) -> Docket:
    """The questions about the answers of a table. ``teacher`` is the name of the arm that pairs are made with,
    ``judges`` opens a model by its name. Raises ``UsageError`` for examples that cannot be read.
    """
    docket = Docket()
    for scorer in scorers:
        for case in cases:
            for spec, judge in questions(Scorers(scorer), case):
                writer = _Writer(docket, scorer.name, spec, judges(judge), question_digest(spec, judge), task)
                for arm, answer in _answers(table, case):
                    if spec.type == "pairwise":
                        writer.pair(case, answer, table[teacher].get(case.id, ()), own=arm == teacher)
                    else:
                        writer.rubric(case, answer)
    return docket


@dataclass(frozen=True)
class _Writer:
    docket: Docket
    scorer: str
    spec: ScorerSpec
    judge: Provider
    question: str
    task: str

    def rubric(self, case: Case, answer: Answer) -> None:
        place = (answer.key, self.question)
        part = _part(answer.output, self.spec.path)
        if part is _ABSENT:
            self.docket.scores[place] = Score(0.0, f"nothing at {self.spec.path}")
            return
        request = rubric_request(self.spec, self._facts(case), part)
        self._add(place, [Question.of(self.judge, self.question, "rubric", request)], part, None)

    def pair(self, case: Case, answer: Answer, teachers: Sequence[Answer], *, own: bool) -> None:
        """``own``: it is the teacher's answer, which is what all others are compared with."""
        place, scores = (answer.key, self.question), self.docket.scores
        first = teachers[0] if teachers else None
        part = _part(answer.output, self.spec.path)
        other = _ABSENT if first is None or first.output is None else _part(first.output, self.spec.path)
        if own:
            scores[place] = Score(TIE, "the teacher's own answer")
        elif first is None or first.status == "error":
            scores.setdefault(place, UNSCORED)
        elif part is _ABSENT or other is _ABSENT:
            scores[place] = _one_is_missing(part, other)
        elif same(part, other):
            scores[place] = Score(TIE, "the same answer")
        else:
            facts = self._facts(case)
            orders = (("AB", part, other), ("BA", other, part))
            asked = [
                Question.of(self.judge, self.question, "pairwise", pair_request(self.spec, facts, *both), order)
                for order, *both in orders
            ]
            self._add(place, asked, part, other)

    def _add(self, place: tuple[str, str], asked: Sequence[Question], part: Any, other: Any) -> None:
        lengths = (_length(part), 0 if other is None else _length(other))
        self.docket.cut += max(lengths) > MAX_CHARS
        self.docket.add(place, self.scorer, self.judge.name, asked, lengths)

    def _facts(self, case: Case) -> Facts:
        label = _part(case.expected, self.spec.path)
        return Facts(self.task, case.input, None if label is _ABSENT else label)


def outcome(judgement: Judgement) -> float:
    """Of one comparison, for the answer that is compared with the teacher's: 1 won, 0 lost, 0.5 a tie."""
    if judgement.grade == "TIE":
        return TIE
    return float((judgement.grade == "A") == (judgement.order == "AB"))


def pair_value(outcomes: Sequence[float]) -> float:
    """Of both orders: what they agree on, else a tie."""
    return outcomes[0] if len(set(outcomes)) == 1 else TIE


def _answers(table: Table, case: Case) -> Iterator[tuple[str, Answer]]:
    """(arm, answer) of every answer that says something: what says nothing needs no judge."""
    for arm, answers in table.items():
        for answer in answers.get(case.id, ()):
            if answer.output is not None:
                yield arm, answer


def _score(entry: Entry, said: Sequence[Judgement]) -> Score:
    for judgement in said:
        if judgement.status == "error":
            return failed(f"the judge gave no reply: {judgement.error}")
        if judgement.status == "unreadable":
            return failed("no grade can be read in the judge's reply")
    if len(said) == 1:
        return Score(score_of(said[0].grade), _reasons(said[0]))
    outcomes = [outcome(judgement) for judgement in said]
    if len(set(outcomes)) > 1:
        return Score(TIE, "the judge changed its mind with the order of the answers")
    return Score(outcomes[0], _reasons(said[0]))


def _reasons(judgement: Judgement) -> str:
    """What stands before the grade, as one line without what a terminal would obey."""
    text = judgement.replies[0] if judgement.replies else ""
    before = text[: text.upper().rfind(MARKER[judgement.kind])] if MARKER[judgement.kind] in text.upper() else ""
    line = " ".join(neutralised(before[:_SHOWN]).split()).strip("*_ ")
    return line if len(before) <= _SHOWN else f"{line} …"


def _part(value: Any, path: str) -> Any:
    if value is None or not path:
        return _ABSENT if value is None else value
    try:
        return resolve_pointer(value, path)
    except NotFound:
        return _ABSENT


def _one_is_missing(part: Any, other: Any) -> Score:
    if part is other:
        return Score(TIE, "neither answers")
    return Score(0.0, "no answer") if part is _ABSENT else Score(1.0, "the teacher does not answer")


def _length(value: Any) -> int:
    return len(value if isinstance(value, str) else compact(value))
