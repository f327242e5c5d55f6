"""A provider that says what a plan's language steps answered in one trace: nothing is asked, nothing costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skillforge.canonical import compact
from skillforge.errors import UnknownRequest
from skillforge.messages import Completion, Cost, Message, Request, Usage


class Answerer:
    """Answers by the step that asks. ``answers`` are by step id; of a step in ``repeated`` (one with ``each``) it is a
    list, element by element. One call at a time, so that elements are asked in their order.
    """

    name = "the plan's own answers"
    concurrency = 1
    native_tools = False

    def __init__(self, answers: Mapping[str, Any], repeated: frozenset[str]) -> None:
        self._answers = answers
        self._repeated = repeated
        self._asked: dict[str, int] = {}
        self.calls = 0

    def fingerprint(self) -> str:
        return self.name

    def price(self, usage: Usage) -> Cost:
        return Cost(usd=0.0)

    async def complete(self, request: Request) -> Completion:
        step = request.key.role.partition(":")[2].partition("-")[0].partition("#")[0]
        if step not in self._answers:
            raise UnknownRequest(f"answers: none is given for the step {step}", hint="give one for every trace")
        said = self._next(step, self._answers[step])
        self.calls += 1
        text = said if isinstance(said, str) else compact(said)
        return Completion(message=Message.of("assistant", text), stop="stop", model=self.name, cost=Cost(usd=0.0))

    def _next(self, step: str, answer: Any) -> Any:
        if step not in self._repeated:
            return answer
        number = self._asked.get(step, 0)
        self._asked[step] = number + 1
        if not isinstance(answer, list):
            raise UnknownRequest(f"answers: the step {step} has `each`, so its answer is a list, one an element")
        if number >= len(answer):
            raise UnknownRequest(
                f"answers: the step {step} was asked for element {number + 1}, {len(answer)} are given"
            )
        return answer[number]

    async def aclose(self) -> None:
        """Nothing is held."""
