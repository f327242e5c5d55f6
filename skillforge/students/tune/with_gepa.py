"""The optimiser ``gepa``: reflective evolution over a Pareto front of instructions (Agrawal 2025, arXiv 2507.19457).

What gepa 0.1.4 does that must not reach a user, and what is done about it:

1. A resumed run evaluates its start again, outside its budget: nothing of gepa's is resumed. It runs again from the
   same seed, and the store and ``Ledger`` know every answer.
2. A failing adapter with ``raise_on_exception=False``, or one that answers from a cache, loops without end: an error
   ends the thread at once, and so do rounds that bring nothing new, and time.
3. A reflection model that fails gives back the start as if all was well: reflection is ours, and nothing usable at all
   is a ``TeacherError``.
4. The cost of a plain callable is 0 dollars, so its cost limit never fires: the budget is our caller's, and its
   ``BudgetReached`` ends the thread.
5. A budget in metric calls is looked at between rounds and overshot: ``Ledger`` refuses before a run that is too much.
6. ``best_candidate`` is the best mean on few cases: every proposal is given back with its scores, and the caller
   decides.
7. It is synchronous, and fails in a running loop: it has a thread, and the loop stays free (``Bridge``).
8. Its state is a pickle: there is no ``run_dir``, so there is none.
9. Its extractor takes all from the first fence to the last: answers are read as strict JSON.
10. The best of a pool looks better than it is: dev and test cases are not here.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, TypeVar

from skillforge.case import Case
from skillforge.errors import BudgetReached, MissingPackage, UsageError
from skillforge.evals.wording.reading import one_line
from skillforge.redact import Redactor
from skillforge.students.tune.bounds import Bounds
from skillforge.students.tune.bridge import Bridge, Left
from skillforge.students.tune.ledger import Ledger, Spent, affordable_selection
from skillforge.students.tune.reflecting import DATA_RULE, NO_COPIES, Teacher, as_data, contract, only_keys, record
from skillforge.students.tune.values import CaseScore, Improved, Proposal, Task

T = TypeVar("T")

COMPONENT = "instructions"

_PROMPT = """A small language model does a task by the instructions below. Write better ones.

The task:
{contract}
The instructions as they are:
{instructions}
How it did with them on some cases (input, the answer that is wanted, what it answered, its score from 0 to 1):
{cases}
Sentences that must stay word for word:
{keep}
{data_rule}

Read what it got wrong, and what that has in common. Put into the new instructions what it must know to get such cases
right, and what works already. The reader is a small model: short, plain, concrete. {no_copies}
They may have at most {most:,} characters.

Answer with one JSON object and nothing else: {{"why": "what was wrong", "instructions": "the new instructions"}}"""


class _Ended(BaseException):
    """The run is over for the reason in ``cause``. No ``Exception``: gepa catches those and goes on."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(str(cause))
        self.cause = cause


@dataclass(frozen=True)
class WithGepa:
    """``minibatch`` feedback cases are looked at in a round. It stops after ``patience`` answers of the teacher in a
    row that could not be used, after ``seconds``, when the ledger is spent, or when rounds bring nothing new.
    """

    minibatch: int = 3
    patience: int = 4
    seconds: float = 4 * 3600.0
    redactor: Redactor = field(default_factory=lambda: Redactor(os.environ))
    name: str = "gepa"

    async def improve(self, task: Task) -> Improved:
        """Raises ``MissingPackage``, ``UsageError`` for no cases, ``TeacherError`` where no answer of the teacher's
        could be used, and every ``Halt`` but that of a spent budget: what was found until then is returned.
        """
        if find_spec("gepa") is None:
            raise MissingPackage(
                "the optimizer gepa is not installed", hint="pip install 'skillforge-distiller[optimize]'"
            )
        if not task.feedback or not task.selection:
            raise UsageError("reflection needs feedback cases and others to select by", hint="add train cases")
        bridge = Bridge()
        search = _Search(self, task, bridge)
        try:
            why = await bridge.run(search.run)
        except _Ended as exc:
            why = _why(exc.cause)
        if not why.startswith("budget"):
            search.teacher.require_one(len(search.texts))
        return Improved(search.proposals(), search.ledger.used, search.teacher.calls, why)


def _why(cause: BaseException) -> str:
    """Raises what no end of a run is."""
    if isinstance(cause, Spent):
        return "budget"
    if isinstance(cause, BudgetReached):
        return f"budget: {cause}"
    raise cause


@dataclass(frozen=True)
class _Written:
    text: str
    why: str
    parent: int


class _Search:
    """gepa's adapter, stopper and logger in one: what it asks of us. All but ``proposals`` runs in its thread."""

    def __init__(self, by: WithGepa, task: Task, bridge: Bridge) -> None:
        self._by = by
        self._task = task
        self._bridge = bridge
        self.ledger = Ledger(task)
        self.teacher = Teacher(task.ask, task.say)
        self.texts: list[_Written] = []
        self._selection = affordable_selection(task, by.minibatch)
        self._bounds = Bounds.of(task.skill.instructions, task.feedback, task.keep, by.redactor)
        self._until = time.monotonic() + by.seconds
        self._seen = (0, 0, 0)
        self._idle = 0
        self._wrong = False  # whether anything was wrong since the last round that brought something
        self._unanswered = 0
        self._why = ""

    def run(self) -> str:
        """Says why it stopped."""
        from gepa.api import optimize

        adapter: Any = self  # gepa's protocols name generics that say nothing here
        stop: Any = self.stop
        optimize(
            seed_candidate={COMPONENT: self._task.skill.instructions},
            trainset=list(self._task.feedback),
            valset=self._selection,
            adapter=adapter,
            reflection_minibatch_size=self._by.minibatch,
            stop_callbacks=[stop],
            logger=self,
            run_dir=None,
            track_best_outputs=False,
            display_progress_bar=False,
            raise_on_exception=True,
            seed=self._task.seed,
        )
        return self._why

    def proposals(self) -> tuple[Proposal, ...]:
        """All that were written, with what is known of them on the selection cases."""
        return tuple(
            Proposal(one.text, one.why, one.parent, self.ledger.known(one.text, self._selection)) for one in self.texts
        )

    def evaluate(self, batch: Sequence[Case], candidate: Mapping[str, str], capture_traces: bool = False) -> Any:
        """A case without an answer counts as wrong: gepa knows no gaps."""
        from gepa.core.adapter import EvaluationBatch

        text = candidate[COMPONENT]
        price = self.ledger.price(text, batch)
        found = self._wait(lambda: self.ledger.scores(text, batch))
        ordered = [found[case.id] for case in batch]
        self._unanswered = self._unanswered + 1 if all(one.score is None for one in ordered) else 0
        self._wrong = self._wrong or any((one.score or 0.0) < 1 for one in ordered)
        return EvaluationBatch(
            outputs=[one.output for one in ordered],
            scores=[one.score or 0.0 for one in ordered],
            trajectories=list(zip(batch, ordered, strict=True)),
            num_metric_calls=price,
        )

    def make_reflective_dataset(
        self, candidate: Mapping[str, str], batch: Any, components: Sequence[str]
    ) -> dict[str, list[dict[str, Any]]]:
        shown: list[tuple[Case, CaseScore]] = [each for each in batch.trajectories if each[1].score is not None]
        return {COMPONENT: [record(case, score, self._by.redactor) for case, score in shown]}

    def propose_new_texts(
        self,
        candidate: Mapping[str, str],
        reflective_dataset: Mapping[str, Sequence[Mapping[str, Any]]],
        components_to_update: Sequence[str],
    ) -> dict[str, str]:
        """New instructions; none where the answer cannot be used or is out of bounds."""
        parent, shown = candidate[COMPONENT], reflective_dataset[COMPONENT]
        if self.ledger.left < self._by.minibatch + len(self._selection):
            raise _Ended(Spent())  # a teacher is not asked for what could not be measured any more
        if not shown:
            return {}

        def read(value: dict[str, Any]) -> tuple[str, str]:
            only_keys(value, COMPONENT)
            if not isinstance(value[COMPONENT], str):
                raise ValueError(f'"{COMPONENT}" must be a string')
            return value[COMPONENT].strip(), str(value.get("why", ""))

        prompt = self._prompt(parent, shown)
        answer = self._wait(lambda: self.teacher.answer("reflect on failures", prompt, read))
        if answer is None:
            return {}
        text, why = answer
        if problem := self._problem(text):
            self.teacher.refuse(f"a proposal is refused: {problem}")
            return {}
        self.teacher.used()
        told = one_line(" ".join(self._by.redactor.text(why).split()))[:200]
        self.texts.append(_Written(text, told, self._number(parent)))
        return {COMPONENT: text}

    def stop(self, state: Any) -> bool:
        """Called by gepa before every round."""
        now = (self.ledger.used, self.teacher.calls, len(self.texts))
        self._idle = self._idle + 1 if now == self._seen else 0
        self._wrong = self._wrong and self._idle > 0
        self._seen = now
        if self._bridge.closed:
            raise Left
        self._why = self._reason()
        return bool(self._why)

    def log(self, message: str) -> None:
        """gepa's own words: nothing that ours do not say."""

    def _reason(self) -> str:
        epoch = math.ceil(len(self._task.feedback) / self._by.minibatch)
        if self.ledger.left == 0:
            return "budget"
        if self.teacher.failed >= self._by.patience:
            return f"{self.teacher.failed} answers of the teacher in a row could not be used"
        if self._unanswered >= self._by.patience:
            return f"the student gave no answer in {self._unanswered} measurements in a row"
        if self._idle > 2 * epoch:
            return "rounds bring nothing new" if self._wrong else "no failures are left to mend"
        if time.monotonic() > self._until:
            return f"{self._by.seconds:g} seconds are over"
        return ""

    def _problem(self, text: str) -> str:
        if text == self._task.skill.instructions.strip() or any(text == one.text for one in self.texts):
            return "it was tried before"
        return self._bounds.problem(text)

    def _number(self, text: str) -> int:
        return next((number for number, one in enumerate(self.texts) if one.text == text), -1)

    def _prompt(self, parent: str, shown: Sequence[Mapping[str, Any]]) -> str:
        return _PROMPT.format(
            contract=as_data([contract(self._task.skill)]),
            instructions=as_data([self._by.redactor.text(parent)]),
            cases=as_data(dict(each) for each in shown),
            keep=as_data(self._task.keep),
            data_rule=DATA_RULE,
            no_copies=NO_COPIES,
            most=self._bounds.most,
        )

    def _wait(self, function: Callable[[], Awaitable[T]]) -> T:
        try:
            return self._bridge.call(function)
        except Exception as exc:
            raise _Ended(exc) from exc
