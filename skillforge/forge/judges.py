"""``forge.judges``: how far a judge agrees with people."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from skillforge.case import ScorerSpec
from skillforge.errors import UsageError
from skillforge.forge.portal import Portal
from skillforge.forge.session import NO_TERMS, Session, Terms
from skillforge.forge.workspace import Workspace

if TYPE_CHECKING:
    from skillforge.evals.judges.align import Alignment, Label, Labels
    from skillforge.evals.judges.ask import Question
    from skillforge.judgement import Judgement

OVERALL = "Is this a good answer to the input: right, complete, and nothing made up?"
"""What is graded by where nobody says what."""


@dataclass(frozen=True)
class AlignPlan:
    """What to align. ``rubric`` (a text), or the ``scorer`` of a ``suite`` (a path), says what is graded by; ``judge``
    is asked, else the scorer's own. ``examples_out`` gets the examples where they help.
    """

    labels: Path
    judge: str | None = None
    rubric: str | None = None
    suite: Path | None = None
    scorer: str | None = None
    examples_out: Path | None = None
    terms: Terms = NO_TERMS


class Judges:
    """Models that grade. Every method has an async twin with the prefix ``a``."""

    def __init__(self, portal: Portal, work: Workspace) -> None:
        self._portal = portal
        self._work = work

    def align(
        self,
        labels: str | Path,
        judge: str | None = None,
        *,
        rubric: str | None = None,
        suite: str | Path | None = None,
        scorer: str | None = None,
        examples_out: str | Path | None = None,
        terms: Terms = NO_TERMS,
    ) -> Alignment:
        """Measure a judge against people's labels on one half of them, with and without examples from the other half.

        What it says is kept, so an interrupted call goes on for free. The examples are written only where they helped;
        a scorer's ``examples: file://…`` names them. Raises ``NotFound``, ``SkillFileError`` (labels), ``UsageError``
        (no judge, too few labels, an unknown scorer), ``Halt``.
        """
        plan = _plan(labels, judge, rubric, suite, scorer, examples_out, terms)
        return self._portal.call(lambda: _align(self._work, plan), paid=True)

    async def aalign(
        self,
        labels: str | Path,
        judge: str | None = None,
        *,
        rubric: str | None = None,
        suite: str | Path | None = None,
        scorer: str | None = None,
        examples_out: str | Path | None = None,
        terms: Terms = NO_TERMS,
    ) -> Alignment:
        plan = _plan(labels, judge, rubric, suite, scorer, examples_out, terms)
        return await self._portal.acall(lambda: _align(self._work, plan))


def _plan(
    labels: str | Path,
    judge: str | None,
    rubric: str | None,
    suite: str | Path | None,
    scorer: str | None,
    examples_out: str | Path | None,
    terms: Terms,
) -> AlignPlan:
    if rubric is not None and scorer is not None:
        raise UsageError("a rubric or a scorer, not both", hint="--rubric TEXT, or --suite FILE --scorer NAME")
    if (suite is None) != (scorer is None):
        raise UsageError("a suite and one of its scorers go together", hint="--suite evals/x.yaml --scorer NAME")
    out = None if examples_out is None else Path(examples_out)
    if out is not None and not out.resolve().parent.is_dir():
        raise UsageError(f"{out}: no such folder", hint="make the folder first")
    where = None if suite is None else Path(suite)
    return AlignPlan(Path(labels), judge, rubric, where, scorer, out, terms)


async def _align(work: Workspace, plan: AlignPlan) -> Alignment:
    from skillforge.evals.judges import align
    from skillforge.evals.judges.question import question_digest

    labels = align.read_labels(plan.labels)
    learn, test = labels.halves()
    spec, model = _question(plan, labels)
    session = Session(work, plan.terms)
    asking = _Asking(work, session, model)
    judge = session.provider(model)
    bare = spec.model_copy(update={"examples": ""})
    first, second = (list(align.questions_of(judge, bare, half)) for half in (learn, test))
    said = await asking.ask([*first, *second])
    before = align.agreement_of(labels, second, said, spec.threshold)
    examples = align.choose_examples(labels, first, said, spec.threshold)
    examples = _clean(work, examples)
    shown = spec.model_copy(update={"examples": examples})
    again = list(align.questions_of(judge, shown, test))
    after = align.agreement_of(labels, again, await asking.ask(again), spec.threshold)
    kept = align.better(before, after)
    work.judgements.align(question_digest(bare, model), judge.fingerprint(), before.model_dump(mode="json"))
    if kept:
        work.judgements.align(question_digest(shown, model), judge.fingerprint(), after.model_dump(mode="json"))
    if kept and plan.examples_out is not None:
        from skillforge.atomicfile import replace_file

        replace_file(plan.examples_out, examples.encode())
    if not before.errors and not after.errors:
        session.finish()
    return align.Alignment(
        judge=model,
        identity=judge.fingerprint(),
        kind=labels.kind,
        rubric=spec.rubric,
        labels=len(labels.items),
        measured=len(test),
        before=before,
        after=after,
        examples=examples.count("\n"),
        kept=kept,
        examples_file=str(plan.examples_out) if kept and plan.examples_out is not None else "",
        calls=asking.calls,
        paid=asking.paid,
        usd=asking.usd,
    )


class _Asking:
    """The judge, with what it took to ask it."""

    def __init__(self, work: Workspace, session: Session, model: str) -> None:
        from skillforge.forge.measuring.judging import JudgementJournal

        self._journal = JudgementJournal(work, session)
        self._judge = session.provider(model)
        self._costs: list[float | None] = []
        self.calls = self.paid = 0

    @property
    def usd(self) -> float | None:
        """Of all that was asked, whenever; ``None`` where a call's cost is unknown."""
        known = [cost for cost in self._costs if cost is not None]
        return math.fsum(known) if len(known) == len(self._costs) else None

    async def ask(self, asked: Iterable[tuple[Label, list[Question]]]) -> dict[str, Judgement]:
        from skillforge.evals.judges.ask import ask_judge

        mine = {question.key: question for _, questions in asked for question in questions}
        return await ask_judge(self._judge, mine, self._journal, self._count)

    def _count(self, judgement: Judgement, reused: bool) -> None:
        self.calls += judgement.calls
        self.paid += 0 if reused else judgement.calls
        self._costs.append(judgement.cost.usd)


def _question(plan: AlignPlan, labels: Labels) -> tuple[ScorerSpec, str]:
    """(what is asked, the model that is asked)."""
    from skillforge.suitefile import read_suite

    spec, model = ScorerSpec(type=labels.kind, rubric=plan.rubric or ""), plan.judge
    if plan.suite is not None and plan.scorer is not None:
        suite = read_suite(plan.suite)
        if plan.scorer not in suite.scorers:
            raise UsageError(
                f"{plan.suite} has no scorer {plan.scorer!r}", hint=f"one of {', '.join(suite.scorers) or 'none'}"
            )
        spec = suite.scorers[plan.scorer]
        model = model or spec.model or suite.judge
        if spec.type != labels.kind:
            raise UsageError(
                f"the labels are of the kind {labels.kind}, the scorer {plan.scorer} is {spec.type!r}",
                hint="pairs have output_a and output_b, single answers have output",
            )
    if spec.type == "rubric" and not spec.rubric.strip():
        spec = spec.model_copy(update={"rubric": OVERALL})
    if not model:
        raise UsageError("nobody is named to judge", hint="--judge MODEL, such as --judge anthropic:NAME")
    return spec, model


def _clean(work: Workspace, examples: str) -> str:
    """Examples are a file of the repository: they hold no secrets."""
    import json

    lines = (json.loads(line) for line in examples.splitlines() if line)
    return "".join(json.dumps(work.redactor.value(line), ensure_ascii=False) + "\n" for line in lines)
