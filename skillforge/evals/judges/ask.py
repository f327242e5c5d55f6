"""Asking judges: every question once, kept as it is answered, bounded by what the model can take at once."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from itertools import islice
from operator import add
from typing import Protocol

from skillforge.canonical import digest
from skillforge.engine.pool import for_each
from skillforge.errors import Halt, ProviderError, UnknownRequest
from skillforge.evals.judges.grades import read_grade
from skillforge.evals.judges.question import again_request
from skillforge.evals.running.limits import Meter
from skillforge.judgement import Judgement, JudgementKind
from skillforge.messages import Completion, Cost, Request, Usage
from skillforge.providers.base import Provider
from skillforge.providers.recording import prompt_digest

JUDGING = "1"  # names how replies are read; what judges are shown is in the request itself
_AT_ONCE = 500  # keys looked up together
_REFUSALS = ("refusal", "content_filter")
_NOTHING = Usage(input_tokens=0, output_tokens=0)


@dataclass(frozen=True)
class Question:
    """One request to a judge. ``question`` and ``order`` are as in ``Judgement``."""

    key: str
    judge: str
    question: str
    kind: JudgementKind
    request: Request
    order: str = ""

    @classmethod
    def of(cls, judge: Provider, question: str, kind: JudgementKind, request: Request, order: str = "") -> Question:
        """Addressed by the judge's fingerprint and all it is shown. Equal answers to equal inputs are one question
        whoever gave them: they get one grade, and it is paid for once.
        """
        key = digest({"judging": JUDGING, "by": judge.fingerprint(), "asked": prompt_digest(request)})
        return cls(key, judge.name, question, kind, request, order)


class JudgementJournal(Protocol):
    """Where judgements are kept: the engine of an eval knows no store."""

    def known(self, keys: Iterable[str]) -> dict[str, Judgement]: ...

    def add(self, judgement: Judgement) -> Judgement: ...


OnJudged = Callable[[Judgement, bool], None]
"""Called with every judgement, and whether it was known already."""


async def ask_judge(
    judge: Provider,
    questions: Mapping[str, Question],
    journal: JudgementJournal,
    on_judged: OnJudged = lambda judgement, reused: None,
    meter: Meter | None = None,
    on_left: Callable[[int], None] = lambda left: None,
) -> dict[str, Judgement]:
    """What the judge says to the questions, by their keys. What the journal knows is not asked again; ``on_left`` is
    told how many are left to ask.

    A question without a reply is a judgement with status ``error``. Raises ``Halt`` when no further call makes sense:
    what was answered is kept.
    """
    found: dict[str, Judgement] = {}
    stream = iter(questions)
    while part := list(islice(stream, _AT_ONCE)):
        found.update(journal.known(part))
    for judgement in found.values():
        on_judged(judgement, True)
    on_left(len(questions) - len(found))

    meter = meter or Meter()

    async def one(question: Question) -> None:
        meter.look_at_the_clock()
        judgement = found[question.key] = journal.add(await ask(judge, question))
        on_judged(judgement, False)
        meter.count(judgement.error if judgement.status == "error" else None)

    left = (question for key, question in questions.items() if key not in found)
    await for_each(left, one, concurrency=judge.concurrency)
    return found


async def ask(judge: Provider, question: Question) -> Judgement:
    """One question; where no grade can be read from the reply, once more for nothing but the grade.

    Never raises for what a judge says; a provider's failure becomes the status ``error``. Raises ``Halt``.
    """
    work = _Asking(judge)
    grade = error = ""
    try:
        reply = await work.reply(question.request)
        grade = read_grade(question.kind, reply.text)
        if not grade and reply.stop not in _REFUSALS:
            grade = await work.again(question, reply.text)
    except Halt:
        raise
    except ProviderError as exc:
        error = f"{exc} ({exc.hint})" if exc.hint else str(exc)
        work.failed(exc)
    return Judgement(
        key=question.key,
        judge=question.judge,
        question=question.question,
        kind=question.kind,
        order=question.order,
        status="error" if error else "ok" if grade else "unreadable",
        grade=grade,
        replies=tuple(work.replies),
        error=error,
        usage=reduce(add, work.usages),
        cost=reduce(add, work.costs),
        list_usd=_sum(work.list_usd),
        latency_s=time.perf_counter() - work.started if error else _sum(work.latencies),
        calls=work.calls,
    )


@dataclass
class _Asking:
    """One question under way: sums up what its calls took."""

    judge: Provider
    replies: list[str] = field(default_factory=list)
    usages: list[Usage] = field(default_factory=list)
    costs: list[Cost] = field(default_factory=list)
    list_usd: list[float | None] = field(default_factory=list)
    latencies: list[float | None] = field(default_factory=list)
    calls: int = 0
    started: float = field(default_factory=time.perf_counter)

    async def reply(self, request: Request) -> Completion:
        completion = await self.judge.complete(request)
        self.replies.append(completion.text)
        self.usages.append(completion.usage)
        self.costs.append(completion.cost)
        self.list_usd.append(self._list_usd(completion))
        self.latencies.append(completion.latency_s)
        self.calls += completion.calls
        return completion

    async def again(self, question: Question, said: str) -> str:
        try:
            reply = await self.reply(again_request(question.kind, question.request, said))
        except UnknownRequest:  # a recording holds what was said, and no more: that is what counts
            return ""
        return read_grade(question.kind, reply.text)

    def failed(self, error: ProviderError) -> None:
        self.usages.append(Usage() if error.maybe_billed else _NOTHING)
        self.costs.append(Cost() if error.maybe_billed else Cost(usd=0.0, basis="not billed"))
        self.list_usd.append(None if error.maybe_billed else 0.0)
        self.calls += error.calls

    def _list_usd(self, completion: Completion) -> float | None:
        """At the list price, as if there were no prompt cache; ``None`` where a recording tells what was paid only."""
        usage, paid = completion.usage, completion.cost.usd
        priced = None if paid is None else self.judge.price(usage).usd
        if priced is None or paid is None or not math.isclose(priced, paid, rel_tol=1e-6):
            return None
        if not usage.cached_tokens and not usage.written_tokens:
            return priced
        return self.judge.price(usage.model_copy(update={"cached_tokens": 0, "written_tokens": 0})).usd


def _sum(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) if len(known) == len(values) else None
