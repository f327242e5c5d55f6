"""The judges of an eval: what they are asked about its answers, on the terms of its session."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from skillforge.case import Case
from skillforge.evals.answer import Table
from skillforge.evals.judges.align import kappa_of
from skillforge.evals.judges.ask import Question, ask_judge
from skillforge.evals.judges.audit import Background, audits_of
from skillforge.evals.judges.docket import Docket, docket_of
from skillforge.evals.judges.family import kinship
from skillforge.evals.judges.question import again_request
from skillforge.evals.report import JudgeAudit
from skillforge.evals.running.limits import Meter
from skillforge.evals.scorers.base import Judgements
from skillforge.evals.scorers.resolve import Scorers, questions
from skillforge.evals.wording.words import many
from skillforge.forge.measuring.plan import Prepared
from skillforge.forge.session import Session
from skillforge.forge.workspace import Workspace
from skillforge.judgement import Judgement
from skillforge.messages import Completion, Message, Request


@dataclass(frozen=True)
class Judged:
    """What the judges said, and how far they can be trusted."""

    scores: Judgements = field(default_factory=dict)
    audits: tuple[JudgeAudit, ...] = ()


def open_judges(session: Session, ready: Prepared) -> None:
    """Open every judge this eval will ask: a wrong name or a missing key must not be found after the answers are paid
    for.
    """
    for model in _judges(ready.scorers, ready.cases):
        session.provider(model).fingerprint()


async def judge_table(work: Workspace, session: Session, ready: Prepared, table: Table, meter: Meter) -> Judged:
    """Have every answer graded that a scorer or a check needs a judge for. What was said before is not asked again.

    Raises ``UsageError`` (``open_judges``; examples that cannot be read), ``Halt`` when no further call makes sense:
    what was said is kept.
    """
    open_judges(session, ready)
    if not table or not _judges(ready.scorers, ready.cases):
        return Judged()
    teacher = ready.arms[0]
    docket = docket_of(ready.scorers, ready.cases, table, teacher.name, teacher.skill.task_sentence, session.provider)
    journal = JudgementJournal(work, session, teacher.skill.name)
    said: dict[str, Judgement] = {}
    fresh: set[str] = set()

    def on_judged(judgement: Judgement, reused: bool) -> None:
        if not reused:
            fresh.add(judgement.key)

    for model, mine in docket.questions.items():

        def on_left(left: int, model: str = model) -> None:
            if left:
                work.say(f"{many(left, 'question')} to {model} about the answers")

        found = await ask_judge(session.provider(model), mine, journal, on_judged, meter, on_left)
        said.update(found)
        _record(session, mine, found, fresh)
    if docket.cut:
        work.say(f"{docket.cut} answers are longer than a judge is shown: it saw their beginnings and ends")
    return Judged(docket.said(said), audits_of(docket, said, fresh, _backgrounds(work, session, ready, table, docket)))


class JudgementJournal:
    """The store's judgements as the engine sees them; each says for which skill it was asked."""

    def __init__(self, work: Workspace, session: Session, skill: str = "") -> None:
        self._log = work.judgements
        self._session = session
        self._skill = skill

    def known(self, keys: Iterable[str]) -> dict[str, Judgement]:
        return self._log.known(keys)

    def add(self, judgement: Judgement) -> Judgement:
        kept = self._log.add(judgement.model_copy(update={"skill": self._skill}))
        if kept.status == "error":
            self._session.left_open()
        else:
            self._session.stored()
        return kept


def _judges(scorers: Scorers, cases: Iterable[Case]) -> list[str]:
    """The models that are asked about these cases."""
    return list(dict.fromkeys(model for case in cases for _, model in questions(scorers, case)))


def _backgrounds(
    work: Workspace, session: Session, ready: Prepared, table: Table, docket: Docket
) -> Mapping[str, Background]:
    teacher, *others = ready.arms
    resolved = (answer.model for given in table[teacher.name].values() for answer in given)
    teachers = list(dict.fromkeys([teacher.student, *resolved]))
    students = [arm.student for arm in others if arm.student != teacher.student]
    found = {}
    for model in docket.questions:
        identity = session.provider(model).fingerprint()
        asked = {entry.question for entry in docket.entries.values() if entry.judge == model}
        bodies = {question: work.judgements.alignment(question, identity) for question in asked}
        kappas = {question: kappa_of(body) for question, body in bodies.items() if body is not None}
        found[model] = Background(identity, kappas, kinship(model, teachers, students))
    return found


def _record(session: Session, asked: Mapping[str, Question], said: Mapping[str, Judgement], fresh: set[str]) -> None:
    """A recording is whole: what a judge said in an earlier eval is written into it too, where it was kept."""
    for key, judgement in said.items():
        if key not in fresh and judgement.replies:
            session.record(asked[key].judge, _calls(asked[key], judgement))


def _calls(question: Question, judgement: Judgement) -> list[tuple[Request, Completion]]:
    """The calls of a judgement as they were; what they took in all is told of the last."""
    requests = [question.request]
    if len(judgement.replies) > 1:
        requests.append(again_request(question.kind, question.request, judgement.replies[0]))
    calls = [
        (request, Completion(message=Message.of("assistant", text), stop="stop", model=judgement.judge, calls=0))
        for request, text in zip(requests, judgement.replies, strict=False)
    ]
    last, completion = calls[-1]
    took = {
        "usage": judgement.usage,
        "cost": judgement.cost,
        "latency_s": judgement.latency_s,
        "calls": judgement.calls,
    }
    return [*calls[:-1], (last, completion.model_copy(update=took))]
