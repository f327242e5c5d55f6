"""A trace: what a model did to solve a task. The raw material a skill is authored from."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from skillforge.messages import Cost, Message, Tool, Usage, Value


class Turn(Value):
    """What one answer of the model cost: ``message`` is its place in the trace's messages, ``at`` when it came (ISO
    8601, "" where unknown), ``latency_s`` seconds.
    """

    message: int
    model: str = ""
    usage: Usage = Usage()
    cost: Cost = Cost()
    latency_s: float | None = None
    stop: str = ""
    at: str = ""


class Trace(Value):
    """One solved input: the turns that led to ``output``, and what they cost.

    ``case_id`` is the id of the input (and of the example made from it). ``error`` is set when it was not solved.
    ``calls`` is how many requests it took, retries included. ``tools`` are those the model could call, ``turns`` its
    answers one by one.

    Of a trace that another program wrote: ``format`` and ``source`` say what it was read from, ``group`` which task it
    is one of several attempts at ("" is unknown), ``reward`` how well it went (1 solved, 0 not, ``None`` not said),
    ``untrusted`` that nobody here watched it come about, ``extra`` what its format says beyond this.
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
    tools: tuple[Tool, ...] = ()
    turns: tuple[Turn, ...] = ()
    format: str = ""
    source: str = ""
    group: str = ""
    reward: float | None = None
    untrusted: bool = False
    extra: dict[str, Any] = Field(default_factory=dict)
