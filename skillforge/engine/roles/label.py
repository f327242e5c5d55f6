"""Labels by double solving: every input is answered twice, and what both say is its label."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

from skillforge.canonical import canonical_json
from skillforge.case import Case
from skillforge.engine.frame import epoch_role
from skillforge.engine.journal import TraceJournal
from skillforge.engine.solve import solve
from skillforge.messages import Completion, Cost, Request, Usage
from skillforge.providers.base import Provider
from skillforge.trace import Trace

Same = Callable[[Case, Any, Any], bool]


@dataclass(frozen=True)
class Labelled:
    """One input with both answers. ``agreed`` is what both say, ``None`` where they differ: of objects the fields that
    are equal. ``error`` says why there are no two answers.
    """

    case: Case
    first: Trace
    second: Trace
    agreed: Any
    error: str = ""


class SecondOpinion:
    """The same model, asked once more: its answer is another sample, recorded and kept apart from the first."""

    def __init__(self, base: Provider) -> None:
        self._base = base

    @property
    def name(self) -> str:
        return self._base.name

    @property
    def concurrency(self) -> int:
        return self._base.concurrency

    @property
    def native_tools(self) -> bool:
        return bool(getattr(self._base, "native_tools", False))

    def fingerprint(self) -> str:
        return f"{self._base.fingerprint()} {epoch_role('epoch', 1)}"

    def price(self, usage: Usage) -> Cost:
        return self._base.price(usage)

    async def complete(self, request: Request) -> Completion:
        key = request.key.model_copy(update={"role": epoch_role(request.key.role, 1)})
        return await self._base.complete(request.model_copy(update={"key": key}))

    async def aclose(self) -> None:
        """Nothing: whoever opened the model closes it."""


def equal(case: Case, left: Any, right: Any) -> bool:
    """JSON equality of two answers."""
    return _equal(left, right)


async def label(
    task: str,
    cases: Sequence[Case],
    teacher: Provider,
    journal: TraceJournal,
    *,
    other: Provider | None = None,
    same: Same = equal,
    on_labelled: Callable[[Trace], None] = lambda trace: None,
) -> list[Labelled]:
    """Both answers to every case, in their order: by ``teacher`` twice, or by ``teacher`` and ``other``. ``same`` says
    whether they agree. Equal inputs are asked once, known answers not again. ``on_labelled`` is called for every
    answer.

    Raises ``Halt`` where no further call makes sense; any other failure is one case's ``error``.
    """
    again = SecondOpinion(teacher) if other is None or other.name == teacher.name else other
    first = await solve(task, cases, teacher, journal, on_labelled)
    second = await solve(task, cases, again, journal, on_labelled)
    return [_labelled(case, one, two, same) for case, one, two in zip(cases, first, second, strict=True)]


def labelling_cost(labelled: Sequence[Labelled]) -> Cost:
    """What all answers cost; equal inputs were asked once."""
    traces = {id(trace): trace for item in labelled for trace in (item.first, item.second)}
    paid: dict[tuple[int, bytes], Cost] = {}
    for item in labelled:
        for place, trace in enumerate((item.first, item.second)):
            paid[place, canonical_json(trace.input)] = trace.cost
    return reduce(add, paid.values()) if traces else Cost(usd=0.0)


def _labelled(case: Case, first: Trace, second: Trace, same: Same) -> Labelled:
    if error := first.error or second.error:
        return Labelled(case, first, second, None, error)
    agreed = _common(first.output, second.output) if same(case, first.output, second.output) else None
    return Labelled(case, first, second, agreed)


def _common(left: Any, right: Any) -> Any:
    """What both answers say: a field that they differ in is nobody's label."""
    if isinstance(left, dict) and isinstance(right, dict):
        return {name: value for name, value in left.items() if name in right and _equal(value, right[name])}
    return left


def _equal(left: Any, right: Any) -> bool:
    if isinstance(left, str) and isinstance(right, str):
        return left.split() == right.split()
    try:
        return canonical_json(left) == canonical_json(right)
    except ValueError:
        return False
