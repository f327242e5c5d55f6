"""A draft has to stand on the inputs it came from before anybody sees it."""

from __future__ import annotations

from collections.abc import Sequence

from skillforge.checks import run_checks
from skillforge.engine.compiled import compiled
from skillforge.engine.execute import Executor, PromptExecutor
from skillforge.engine.frame import build_request, complete_input
from skillforge.engine.pool import for_each
from skillforge.engine.workflow.execute import WorkflowExecutor
from skillforge.errors import InvalidInput
from skillforge.providers.base import Provider
from skillforge.run import Run
from skillforge.skill import Skill
from skillforge.tokens import estimate_tokens
from skillforge.tools.recorded import RecordedTools, calls_of_trace
from skillforge.trace import Trace

SHOWN = 10  # problems told to the author: more of the same kind teaches nothing


def deterministic_problems(skill: Skill, traces: Sequence[Trace]) -> tuple[str, ...]:
    """Where the draft contradicts what its teacher did: inputs refused, prompts that do not render, outputs or checks
    that reject the teacher's own solved answer. Costs no call.
    """
    problems: list[str] = []
    for trace in traces:
        problems.extend(f"{trace.case_id}: {problem}" for problem in _one(skill, trace))
        if len(problems) > SHOWN:
            return (*problems[:SHOWN], "… and more of this kind")
    return tuple(problems)


def _one(skill: Skill, trace: Trace) -> list[str]:
    try:
        values = complete_input(skill, trace.input)
        # what the prompts of a workflow show, only its run can tell
        request = None if skill.steps else build_request(skill, values, role="run", exclude_same=True)
    except InvalidInput as exc:
        return [str(exc)]
    if request is not None and (tokens := estimate_tokens(request)) > skill.limits.input_tokens:
        return [f"the request is about {tokens} tokens long, limits.input_tokens is {skill.limits.input_tokens}"]
    outputs = compiled(skill).outputs
    if outputs is None:
        if not isinstance(trace.output, str):
            return ["the output is text, but the solved answer is a JSON object"]
    elif problems := outputs.problems(trace.output):
        return [f"the solved answer does not fit the output contract: {problem}" for problem in problems]
    checks = [check for check in skill.checks if check.type.removeprefix("not-") != "custom"]
    return [
        f"the solved answer fails the check {result.type} at {result.path or '/'}: {result.reason}"
        for result in run_checks(checks, trace.output, values)
        if not result.passed and result.on_fail != "warn"
    ]


def is_plans_fault(run: Run) -> bool:
    """Whether a run ended in an error because its workflow called what the trace holds no answer to: every model
    answered.
    """
    return bool(run.steps) and not any(attempt.error for attempt in run.attempts)


async def prove(skill: Skill, traces: Sequence[Trace], teacher: Provider, *, count: int) -> list[Run]:
    """The teacher follows its own draft on ``count`` of its inputs, spread over the traces, without seeing that very
    input among the examples; the tools of a workflow answer what they answered there. Returns the runs in order.
    """
    step = max(1, len(traces) // max(1, count))
    chosen = list(traces)[::step][:count]
    prompts = PromptExecutor(teacher, role="run", exclude_same=True)
    runs: dict[str, Run] = {}

    async def one(trace: Trace) -> None:
        executor: Executor = prompts
        if skill.steps:
            executor = WorkflowExecutor(prompts, RecordedTools(calls_of_trace(trace), trace.tools))
        runs[trace.case_id] = await executor.execute(skill, trace.input)

    await for_each(chosen, one, concurrency=teacher.concurrency)
    return [runs[trace.case_id] for trace in chosen]
