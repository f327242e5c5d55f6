"""The calls behind what is already stored, so that the recording of a resumed command is complete.

Runs keep texts: tool calls of their answers are not told again, nor are logprobs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast, get_args

from skillforge.engine.agent.turns import loop_calls
from skillforge.engine.frame import complete_input, repair_request, student_request
from skillforge.engine.solve import solve_request
from skillforge.messages import Completion, Message, Request, StopReason
from skillforge.run import Attempt, Run
from skillforge.skill import Skill
from skillforge.trace import Trace

Calls = list[tuple[Request, Completion]]


def sample_calls(skill: Skill, given: Mapping[str, Any], run: Run, role: str) -> Calls:
    """What the student of ``run`` was asked about ``given``, and answered; calls that failed are left out.

    Empty for a workflow, and where the run made no call or its texts were not kept (``store_io`` ``none``). Raises
    ``InvalidInput`` when ``given`` does not fit the skill's contract.
    """
    answered = [attempt for attempt in run.attempts if not attempt.error]
    if skill.steps or not answered or run.attempts[0].error or not all(_is_kept(attempt) for attempt in answered):
        return []
    request = student_request(skill, complete_input(skill, given), given, role=role)
    first, *repairs = answered
    calls = [(request, _completion(first))]
    for attempt in repairs:
        calls.append((repair_request(request, first.text, first.problems, skill.repair), _completion(attempt)))
    return calls


def trace_calls(trace: Trace, *, native_tools: bool = True) -> Calls:
    """What the teacher was asked to solve, in the very turns the trace kept, and answered; empty where it did not.
    ``native_tools`` is what the teacher's provider says.
    """
    if trace.error or not trace.messages or trace.messages[-1].role != "assistant":
        return []
    request = solve_request(trace.task, trace.input)
    if trace.turns:
        return list(loop_calls(request, trace.messages, trace.tools, trace.turns, native=native_tools))
    if asked := trace.messages[:-1]:
        request = request.model_copy(update={"messages": asked})
    completion = Completion(
        message=trace.messages[-1],
        stop="stop",  # an answer that was cut off solves nothing
        model=trace.model,
        usage=trace.usage,
        cost=trace.cost,
        latency_s=trace.latency_s,
        calls=trace.calls,
    )
    return [(request, completion)]


def _is_kept(attempt: Attempt) -> bool:
    """An answer that is empty for real was found wrong for it, which its problems say."""
    return bool(attempt.text or attempt.problems) and attempt.stop in get_args(StopReason)


def _completion(attempt: Attempt) -> Completion:
    return Completion(
        message=Message.of("assistant", attempt.text),
        stop=cast(StopReason, attempt.stop),
        model=attempt.model,
        usage=attempt.usage,
        cost=attempt.cost,
        latency_s=attempt.latency_s,
        calls=attempt.calls,
    )
