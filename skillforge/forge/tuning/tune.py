"""``tune``: search on dev within a budget, test the winner once, write its variant. Everything is kept as it comes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from skillforge.canonical import digest
from skillforge.errors import MissingPackage, ProviderError, UsageError
from skillforge.evals.clusters import clusters_of
from skillforge.evals.sampling import stratified
from skillforge.forge.repolock import work_lock
from skillforge.forge.session import Session, Terms
from skillforge.forge.tuning.measuring import Measuring
from skillforge.forge.tuning.plan import TunePlan, TuneWishes
from skillforge.forge.tuning.session import TuneSession
from skillforge.forge.tuning.testing import tested
from skillforge.forge.workspace import Workspace
from skillforge.messages import Message, Request, RequestKey
from skillforge.redact import Redactor
from skillforge.store.tuning import TuningLog, TuningRow
from skillforge.students.tune.board import Board, Entry
from skillforge.students.tune.costs import forecast
from skillforge.students.tune.grounds import Grounds
from skillforge.students.tune.purse import Purse
from skillforge.students.tune.search import search
from skillforge.students.tune.stages.all import stages_of
from skillforge.students.tune.tuned import Tuned, all_tried, winner_words
from skillforge.students.tune.values import AskTeacher, Optimizer

TUNE_ROLE = "tune"
TEACHER_TOKENS = 8_000
_KEPT = {"winner", "words", "test", "file", "stages", "cases", "rule", "teacher"}
_SEARCH_SHARE = 0.6  # of a budget in dollars; the rest is for the test


async def tune_skill(work: Workspace, plan: TunePlan, wishes: TuneWishes) -> Tuned:
    """Search, test, write. The same command goes on where it was stopped, and pays for nothing twice.

    Raises ``UsageError`` (a model that cannot be opened, the same tuning under way elsewhere), ``Halt`` other than the
    budget's; what was found is kept.
    """
    log = work.tunings
    begin = partial(
        log.begin,
        key=plan.key,
        skill=plan.version.name,
        digest=plan.version.digest,
        student=plan.student,
        suite_digest=plan.suite.digest(),
    )
    with _alone(work, begin()):
        return await _tuned(work, plan, wishes, log, begin())  # with what others have spent on it by now


@contextmanager
def _alone(work: Workspace, row: TuningRow) -> Iterator[None]:
    """Two at once would pay for everything twice, and clear away each other's candidates."""
    lock = work_lock(work.root, row.id)
    if lock is None:
        raise UsageError(
            f"{row.skill} is being tuned for {row.student} in just this way by another process",
            hint="wait for it: the same command then tells what it found; or end it, and the same command goes on",
        )
    try:
        yield
    finally:
        lock.release()


async def _tuned(work: Workspace, plan: TunePlan, wishes: TuneWishes, log: TuningLog, row: TuningRow) -> Tuned:
    log.clear(row.id)  # all of it comes up again, free of charge
    for line in plan.said:
        work.say(line)
    purse = _purse(log, row, plan.search_calls)
    session = TuneSession(work, Terms(budget_usd=_dollars(plan, purse, _SEARCH_SHARE)), purse)
    board = Board(keep=lambda entry: log.put(row.id, _stored(entry)))
    grounds = _grounds(work, plan, wishes, session, purse, log, row)
    stopped = await search(grounds, stages_of(plan.stages), board)
    if stopped:
        work.say(f"the search stops: {stopped}")
    found = _told(plan, row, board, purse, stopped)
    if found.best is not None and wishes.get("test", True):
        found = await _test(work, plan, log, row, purse, found)
    if not stopped:  # what was under way when the budget was spent is found again by who goes on
        session.finish()
    kept = found.model_dump(mode="json", include=_KEPT)
    log.end(row.id, found.status, kept)
    return found.model_copy(update={"calls": purse.calls, "spent_usd": _spent(purse)})


async def _test(work: Workspace, plan: TunePlan, log: TuningLog, row: TuningRow, purse: Purse, found: Tuned) -> Tuned:
    """The winner on the test split, with all that is left of the budget."""
    best, start = found.best, found.start
    if best is None or start is None or best.id == start.id:
        return found
    purse.limit = plan.allowance.calls
    session = TuneSession(work, Terms(budget_usd=_dollars(plan, purse, 1.0)), purse)
    figures, file, words = await tested(work, plan, session, best.variant, purse)
    return found.model_copy(update={"test": figures, "file": file, "words": (*found.words, *words)})


def _purse(log: TuningLog, row: TuningRow, limit: int | None) -> Purse:
    return Purse(
        limit,
        calls=int(row.body.get("calls", 0)),
        usd=float(row.body.get("usd", 0.0)),
        on_call=lambda calls, usd: log.spend(row.id, calls, usd or 0.0),
    )


def _dollars(plan: TunePlan, purse: Purse, share: float) -> float | None:
    """What a session may still spend, ``None``: no limit. Nearly nothing where all is spent: known answers are free."""
    if plan.allowance.usd is None:
        return None
    return max(1e-9, plan.allowance.usd * share - purse.usd)


def _spent(purse: Purse) -> float | None:
    return None if purse.unknown_usd else purse.usd


def _grounds(
    work: Workspace,
    plan: TunePlan,
    wishes: TuneWishes,
    session: TuneSession,
    purse: Purse,
    log: TuningLog,
    row: TuningRow,
) -> Grounds:
    on_asked = wishes.get("on_asked", lambda reused: None)
    measure = Measuring(work, plan.version, session, plan.prepared, plan.student, on_asked)
    provider = session.provider(plan.student)
    for author in (*plan.authors, *filter(None, [plan.teacher])):
        session.provider(author).fingerprint()  # a missing key is found before anything is paid for
    return Grounds(
        skill=plan.version.skill,
        student=plan.student,
        of=plan.version.digest,
        dev=plan.dev,
        train=plan.train,
        measure=measure,
        part=lambda cases, count: stratified(cases, count, plan.suite.decision),
        forecast=lambda skill: forecast(provider, skill, plan.dev),
        rule=plan.rule,
        anchors=plan.anchors,
        beside=plan.beside,
        clusters=clusters_of(plan.dev, plan.suite.decision),
        ask=asker(session, plan, log, row, plan.teacher) if plan.teacher else None,
        authors={author: asker(session, plan, log, row, author) for author in plan.authors},
        optimizer=_optimizer(plan.optimizer, work.redactor) if "instructions" in plan.stages and plan.teacher else None,
        thinks=lambda: measure.thinks,
        calls=plan.search_calls,
        say=work.say,
    )


def asker(session: Session, plan: TunePlan, log: TuningLog, row: TuningRow, model: str) -> AskTeacher:
    """Asks that model in words; what was asked in this tuning before is not asked again."""
    said: dict[str, str] = {}

    async def ask(purpose: str, prompt: str) -> str:
        provider = session.provider(model)
        key = digest({"by": provider.fingerprint(), "purpose": purpose, "prompt": prompt})
        known = said.get(key) or log.answer(row.id, key)
        if known is None:
            request = Request(
                messages=(Message.of("user", prompt),),
                key=RequestKey(role=TUNE_ROLE, task=plan.version.skill.task_sentence, input={"purpose": purpose}),
                max_output_tokens=TEACHER_TOKENS,
            )
            completion = await provider.complete(request)
            if completion.stop in ("refusal", "content_filter"):
                raise ProviderError(f"{model} refused to answer ({purpose})")
            known = log.keep_answer(row.id, key, completion.text)
            session.stored()
        said[key] = known
        return known

    return ask


def _optimizer(named: str | Optimizer, redactor: Redactor) -> Optimizer:
    """The optimiser of that name. Raises ``MissingPackage`` where it needs a package that is not installed."""
    if not isinstance(named, str):
        return named
    if named == "gepa":
        from importlib.util import find_spec

        if find_spec("gepa") is None:
            raise MissingPackage("--optimizer gepa needs gepa", hint="pip install 'skillforge-distiller[optimize]'")
        from skillforge.students.tune.with_gepa import WithGepa

        return WithGepa(redactor=redactor)
    from skillforge.students.tune.reflect import Reflect

    return Reflect(redactor=redactor)


def _stored(entry: Entry) -> Mapping[str, Any]:
    candidate = entry.candidate
    return {
        "id": candidate.id,
        "number": entry.number,
        "stage": candidate.stage,
        "parent": candidate.parent,
        "body": {
            "candidate": candidate.model_dump(mode="json", by_alias=True),
            "decided": entry.decided.model_dump(mode="json"),
            "forecast": list(entry.forecast),
        },
        "scores": {case: score.model_dump(mode="json", exclude_defaults=True) for case, score in entry.scores.items()},
    }


def _told(plan: TunePlan, row: TuningRow, board: Board, purse: Purse, stopped: str) -> Tuned:
    tried = all_tried(board, {case.id for case in plan.dev})
    words: list[str] = []
    winner = next((each for each in tried if each.id == board.best), None)
    if winner is not None:
        words = winner_words(winner, tried[0], plan.version.name, plan.student)
    if stopped:
        words.append(f"stopped before its end: {stopped}")
    return Tuned(
        tuning=row.id,
        skill=plan.version.name,
        version=plan.version.version,
        student=plan.student,
        teacher=plan.teacher,
        status="budget" if stopped else "done",
        rule=plan.rule,
        stages=plan.stages,
        cases={"dev": len(plan.dev), "train": len(plan.train), "test": len(plan.test)},
        tried=tried,
        winner=board.best,
        words=tuple(words),
        calls=purse.calls,
        spent_usd=_spent(purse),
        created_at=row.created_at,
    )
