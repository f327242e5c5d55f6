"""A trace: what a model did to solve a task. The raw material a skill is authored from."""

from __future__ import annotations

from typing import Any

from skillforge.messages import Cost, Message, Usage, Value


class Trace(Value):
    """One solved input: the turns that led to ``output``, and what they cost.

    ``case_id`` is the id of the input (and of the example made from it). ``error`` is set when it was not solved.
    ``calls`` is how many requests it took, retries included.
    """

    case_id: str
    task: str
    input: dict[str, Any]
    output: Any = None
    messages: tuple[Message, ...] = ()
    model: str = ""
    usage: Usage = Usage()
    cost: Cost = Cost()
    latency_s: float | None = None
    error: str = ""
    calls: int = 1
