"""The built-in optimiser: a teacher looks at failures and changes a few rules; what does not gain is not kept."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from skillforge.case import Case
from skillforge.errors import BudgetReached, UsageError
from skillforge.evals.wording.reading import one_line
from skillforge.redact import Redactor
from skillforge.students.tune.bounds import Bounds
from skillforge.students.tune.edits import Edit, applied, numbered, read_edits, rules_of
from skillforge.students.tune.ledger import Ledger, Spent, affordable_selection, gained
from skillforge.students.tune.reflecting import (
    DATA_RULE,
    NO_COPIES,
    Teacher,
    as_data,
    contract,
    failures,
    only_keys,
    record,
)
from skillforge.students.tune.values import CaseScore, Improved, Proposal, Task

_WHY = 200  # characters of what a change is for
_REMEMBERED = 8  # rejected changes that the teacher is told of

_PROMPT = """A small language model does a task by the rules below. You better the rules by looking at its failures.

The task:
{contract}
The rules, numbered:
{rules}
Cases it got wrong (input, the answer that is wanted, what it answered, its score from 0 to 1):
{failures}
Changes that were tried before and did not help:
{rejected}
Sentences that must stay word for word:
{keep}
{data_rule}

Find what the failures have in common and mend it with as few changes as you can, at most {edits}: add, delete or
replace single rules. The reader is a small model: short, plain, concrete rules; delete what confuses it. {no_copies}
The rules may have {left:,} characters more than now, and a rule at most 600.

Answer with one JSON object and nothing else, such as:
{{"why": "what they have in common", "edits": [{{"op": "add", "rule": 2, "text": "stands after rule 2 (0: first)"}}, \
{{"op": "replace", "rule": 1, "text": "the new rule"}}, {{"op": "delete", "rule": 3}}]}}"""


@dataclass(frozen=True)
class Reflect:
    """Bounded edits under a gate, in the manner of SkillOpt (microsoft/SkillOpt): at most ``edits`` rules are changed
    at a time, rejected changes are remembered, and a change is kept only for a strict gain, first on the ``batch`` of
    feedback cases it was made from, then on the selection cases, which the teacher never sees.

    It stops after ``patience`` questions in a row that gained nothing, when no failures are left, or when the next step
    could not be paid. ``redactor`` takes secrets out of what the teacher is shown.
    """

    edits: int = 4
    batch: int = 8
    patience: int = 4
    redactor: Redactor = field(default_factory=lambda: Redactor(os.environ))
    name: str = "reflect"

    async def improve(self, task: Task) -> Improved:
        """Raises ``TeacherError`` where no answer of the teacher's could be used, ``UsageError`` for no cases, and
        every ``Halt`` but that of a spent budget: what was found until then is returned.
        """
        if not task.feedback or not task.selection:
            raise UsageError("reflection needs feedback cases and others to select by", hint="add train cases")
        climb = _Climb(self, task)
        try:
            why = await climb.run()
        except Spent:
            why = "budget"
        except BudgetReached as exc:
            why = f"budget: {exc}"
        else:
            climb.teacher.require_one(len(climb.proposals))
        return Improved(tuple(climb.proposals), climb.ledger.used, climb.teacher.calls, why)


_Change = tuple[str, tuple[Edit, ...], str]  # the text, the edits that made it, why


class _Climb:
    """One run: ``text`` is the best instructions so far, ``best`` the number of the proposal they are."""

    def __init__(self, by: Reflect, task: Task) -> None:
        self._by = by
        self._task = task
        self.ledger = Ledger(task)
        self.teacher = Teacher(task.ask, task.say)
        self.proposals: list[Proposal] = []
        self._bounds = Bounds.of(task.skill.instructions, task.feedback, task.keep, by.redactor)
        self._selection = affordable_selection(task, by.batch)
        self._text, self._best = task.skill.instructions, -1
        self._tried = {self._text}
        self._rejected: list[str] = []
        self._idle = 0

    async def run(self) -> str:
        """Climb until it stops; says why."""
        await self.ledger.scores(self._text, self._selection)
        batches = _batches(self._task.feedback, self._by.batch, self._task.seed)
        number = clean = 0
        while clean < len(batches):
            if self._idle >= self._by.patience:
                return f"no gain in {self._idle} questions to the teacher in a row"
            batch = batches[number % len(batches)]
            number += 1
            seen = await self.ledger.scores(self._text, batch)
            wrong = failures(batch, seen)
            if not wrong:
                clean += 1
                continue
            clean = 0
            self._idle += 1
            if await self._step(batch, wrong, seen):
                self._idle = 0
        return "no failures are left to mend"

    async def _step(self, batch: Sequence[Case], wrong: Sequence[Case], seen: dict[str, CaseScore]) -> bool:
        """One question, one change. Whether it is kept. Raises ``Spent`` before the teacher is asked for nothing."""
        if self.ledger.left < len(batch) + len(self._selection):
            raise Spent
        found = await self._changed(wrong, seen)
        if found is None:
            return False
        text, edits, why = found
        self._tried.add(text)
        after = await self.ledger.scores(text, batch)
        gain = gained(seen, after)
        if gain <= 0:
            self._keep(text, why, {})
            return self._reject(edits, f"{gain:+.2f} on the {len(batch)} cases it was made from")
        before = await self.ledger.scores(self._text, self._selection)
        chosen = await self.ledger.scores(text, self._selection)
        self._keep(text, why, chosen)
        gain = gained(before, chosen)
        if not gain > 1e-9:
            return self._reject(edits, f"{gain:+.2f} on {len(self._selection)} other cases")
        self._task.say(f"reflect: proposal {len(self.proposals)} gains {gain:+.2f} on {len(chosen)} cases: {why}")
        self._text, self._best = text, len(self.proposals) - 1
        self._rejected.clear()  # they were changes of other rules
        return True

    async def _changed(self, wrong: Sequence[Case], seen: dict[str, CaseScore]) -> _Change | None:
        """The changed text, its edits and why; ``None`` where the answer cannot be used or is out of bounds."""
        text = self._text
        rules, most = len(rules_of(text)), self._by.edits

        def read(value: dict[str, object]) -> tuple[tuple[Edit, ...], str]:
            only_keys(value, "edits")
            return read_edits(value, rules, most), str(value.get("why", ""))

        answer = await self.teacher.answer("reflect on failures", self._prompt(wrong, seen), read)
        if answer is None:
            return None
        edits, why = answer
        made = applied(text, edits)
        problem = "it was tried before" if made in self._tried else self._bounds.problem(made)
        if problem:
            self.teacher.refuse(f"a proposal is refused: {problem}")
            self._reject(edits, f"refused: {problem}")
            return None
        self.teacher.used()
        return made, edits, one_line(self._by.redactor.text(why))[:_WHY]

    def _prompt(self, wrong: Sequence[Case], seen: dict[str, CaseScore]) -> str:
        clean = self._by.redactor
        return _PROMPT.format(
            contract=as_data([contract(self._task.skill)]),
            rules=as_data(numbered(clean.text(self._text))),
            failures=as_data(record(case, seen[case.id], clean) for case in wrong),
            rejected=as_data(self._rejected),
            keep=as_data(self._task.keep),
            data_rule=DATA_RULE,
            no_copies=NO_COPIES,
            edits=self._by.edits,
            left=max(0, self._bounds.most - len(self._text)),
        )

    def _keep(self, text: str, why: str, scores: dict[str, CaseScore]) -> None:
        self.proposals.append(Proposal(text, why, self._best, scores))

    def _reject(self, edits: Sequence[Edit], why: str) -> bool:
        said = "; ".join(str(edit) for edit in edits) or "no change"
        self._rejected = [*self._rejected, self._by.redactor.text(f"{said[:600]} ({why})")][-_REMEMBERED:]
        return False


def _batches(cases: Sequence[Case], size: int, seed: int) -> list[list[Case]]:
    """All cases in a seeded order, in parts of about that size."""
    order = list(cases)
    Random(seed).shuffle(order)
    count = math.ceil(len(order) / size)
    return [order[number::count] for number in range(count)]
