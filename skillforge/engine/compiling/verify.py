"""A plan is run on the recorded results of its own traces: it has to write what they wrote, and to end as they did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from skillforge.canonical import compact
from skillforge.engine.compiling.answerer import Answerer
from skillforge.engine.compiling.effects import is_handover, tools_of
from skillforge.engine.compiling.events import (
    ToolEvent,
    input_text,
    is_conversation,
    outcome,
    segment,
    succeeded,
    task_input,
    tool_events,
)
from skillforge.engine.compiling.examples import Answers
from skillforge.engine.compiling.values import in_text, is_weak, leaves, same
from skillforge.engine.execute import PromptExecutor
from skillforge.errors import SkillforgeError
from skillforge.messages import Tool, Value
from skillforge.run import Run, StepRun
from skillforge.skill import Skill
from skillforge.tools.recorded import RecordedCall, RecordedTools
from skillforge.trace import Trace

_SHOWN = 200  # characters of arguments in a problem


class TraceCheck(Value):
    """How the plan did on one trace. ``problems`` is empty where it reproduced it; ``warnings`` are values that a model
    made up; ``asked`` and ``called`` count its model calls and tool calls, ``run`` is the whole of it.
    """

    trace: str
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    asked: int = 0
    called: int = 0
    run: Run | None = None


class Verified(Value):
    """How a plan did on all its traces."""

    checks: tuple[TraceCheck, ...]

    @property
    def reproduced(self) -> bool:
        """Whether it did on every one what the trace did."""
        return bool(self.checks) and not self.problems

    @property
    def problems(self) -> tuple[str, ...]:
        return tuple(f"{check.trace}: {problem}" for check in self.checks for problem in check.problems)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Each once, with the number of traces where there are several."""
        counts = Counter(warning for check in self.checks for warning in check.warnings)
        return tuple(text if count == 1 else f"{text} (in {count} traces)" for text, count in counts.items())


async def verify(skill: Skill, traces: Sequence[Trace], answers: Answers) -> Verified:
    """Run the plan for each successful trace: its input, the tools as recorded, the language steps answered from
    ``answers`` (trace id -> step id -> answer; of a step with ``each`` a list). The answer of the step that writes the
    final text may be left out: it is the trace's own.

    It is reproduced where the same calls that write were made with equal arguments, those that hang on one another in
    the same order, and, where the trace has an answer of its own that is an object, with an equal answer. A call that
    nobody recorded is a problem that names it.
    """
    tools = tools_of(traces)
    good = [segment(trace) for trace in traces if succeeded(trace)]
    return Verified(checks=tuple([await _check(skill, trace, answers, tools) for trace in good]))


async def _check(skill: Skill, trace: Trace, answers: Answers, tools: Mapping[str, Tool]) -> TraceCheck:
    from skillforge.engine.workflow.execute import WorkflowExecutor

    events = tool_events(trace)
    said = with_outcome(skill, trace, answers.get(trace.case_id, {}))
    repeated = frozenset(step.id for step in skill.steps if step.each is not None)
    answerer = Answerer(said, repeated)
    box = RecordedTools([_recorded(event) for event in events], skill.tools)
    try:
        run = await WorkflowExecutor(PromptExecutor(answerer), box).execute(skill, task_input(trace))
    except SkillforgeError as exc:
        return TraceCheck(trace=trace.case_id, problems=(str(exc),))
    kept = {**tools, **{tool.name: tool for tool in skill.tools if tool.effect == "write"}}
    writing = frozenset(name for name, tool in kept.items() if tool.effect == "write")
    keys = {tool.name: tool.idempotency_key for tool in skill.tools}
    made = [step for step in run.steps if step.kind == "tool" and step.tool]
    # passing the task on to a person is how a trace ends, not a write: the plan escalates
    problems = (*_ending(run, trace), *_writes(made, events, writing - _handovers(writing), keys))
    return TraceCheck(
        trace=trace.case_id,
        problems=problems,
        warnings=tuple(dict.fromkeys(_ungrounded(skill, trace, said, made, writing))),
        asked=answerer.calls,
        called=len(made),
        run=run,
    )


def with_outcome(skill: Skill, trace: Trace, said: Mapping[str, Any]) -> dict[str, Any]:
    """The answers in one trace, the trace's own final text for the step that writes it where none is given."""
    last = skill.result if skill.result is not None else {"from": f"steps.{skill.steps[-1].id}"}
    path = last.get("from", "") if isinstance(last, Mapping) else ""
    step = next((step for step in skill.steps if path == f"steps.{step.id}"), None)
    if step is None or step.kind not in ("prompt", "agent") or step.output != "text" or step.id in said:
        return dict(said)
    own = outcome(trace)
    return {**said, step.id: own if isinstance(own, str) and own else "Done."}


def _recorded(event: ToolEvent) -> RecordedCall:
    return RecordedCall(tool=event.name, arguments=event.arguments, content=event.result, is_error=event.is_error)


def _ending(run: Run, trace: Trace) -> Iterator[str]:
    if run.status in ("failed", "error") or (run.status == "escalated" and not is_conversation(trace)):
        yield f"the plan {_ENDED[run.status]}: {run.reason}"
    elif (
        not is_conversation(trace)
        and isinstance(expected := outcome(trace), dict)
        and same(run.output) != same(expected)
    ):
        yield f"the answer is {_cut(run.output)}, the trace's is {_cut(expected)}"


_ENDED = {"failed": "failed", "error": "stopped", "escalated": "escalated"}


def _writes(
    made: Sequence[StepRun], events: Sequence[ToolEvent], writing: frozenset[str], keys: Mapping[str, str]
) -> Iterator[str]:
    wanted = [
        _call(event.name, event.arguments, keys) for event in events if event.name in writing and not event.failed
    ]
    failed = {_call(event.name, event.arguments, keys) for event in events if event.name in writing and event.failed}
    found = [_call(step.tool, step.arguments, keys) for step in made if step.tool in writing and step.status == "ok"]
    lacking, extra = Counter(wanted), Counter(call for call in found if call not in failed or call in wanted)
    for (name, arguments), count in (lacking - extra).items():
        yield f"a write is missing{_times(count)}: {name}({arguments[:_SHOWN]})"
    for (name, arguments), count in (extra - lacking).items():
        yield f"a write that the trace did not make{_times(count)}: {name}({arguments[:_SHOWN]})"
    if lacking == extra:
        yield from _order(wanted, found, events, writing, keys)


def _order(
    wanted: list[tuple[str, str]],
    found: list[tuple[str, str]],
    events: Sequence[ToolEvent],
    writing: frozenset[str],
    keys: Mapping[str, str],
) -> Iterator[str]:
    """Writes that touch the same thing (an id in the arguments or the result of the first, in the arguments of the
    next) are made in the order of the trace.
    """
    given: dict[str, tuple[str, str]] = {}
    for event in events:
        call = _call(event.name, event.arguments, keys)
        if event.name not in writing or event.failed:
            continue
        for leaf in leaves(event.arguments):
            first = given.get(same(leaf))
            if first is not None and first != call and found.index(first) > found.index(call):
                yield f"{call[0]} comes before {first[0]}, which in the trace came first and has to do with the same"
                return
        for leaf in (*leaves(event.arguments), *leaves(event.result)):
            if not is_weak(leaf) and any(char.isdigit() for char in str(leaf)):
                given.setdefault(same(leaf), call)


def _handovers(names: frozenset[str]) -> frozenset[str]:
    return frozenset(name for name in names if is_handover(name))


def _call(name: str, arguments: Mapping[str, Any], keys: Mapping[str, str]) -> tuple[str, str]:
    return name, same({key: value for key, value in arguments.items() if key != (keys.get(name) or None)})


def _times(count: int) -> str:
    return "" if count == 1 else f" ({count} times)"


def _ungrounded(
    skill: Skill, trace: Trace, said: Mapping[str, Any], made: Sequence[StepRun], writing: frozenset[str]
) -> Iterator[str]:
    """Arguments of writes that a model said and that stand neither in the input, nor in a result, nor in an enum."""
    own = {same(leaf) for answer in said.values() for leaf in leaves(answer) if leaf is not None}
    known = {same(leaf) for leaf in leaves(task_input(trace))} | {same(leaf) for leaf in _enums(skill)}
    text = input_text(trace)
    for step in made:
        if step.tool in writing:
            for name, value in step.arguments.items():
                for leaf in leaves(value):
                    if isinstance(leaf, bool) or same(leaf) not in own or same(leaf) in known or in_text(leaf, text):
                        continue
                    yield f"{name} of {step.tool} is a model's own words: it stands in no input, result or enum"
                    break
        known |= {same(leaf) for leaf in leaves(step.output)}


def _enums(skill: Skill) -> Iterator[Any]:
    pending: list[Any] = [step.output for step in skill.steps if isinstance(step.output, dict)]
    pending += [tool.parameters for tool in skill.tools]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            yield from item["enum"] if isinstance(item.get("enum"), list) else ()
            pending += item.values()
        elif isinstance(item, list):
            pending += item


def _cut(value: Any) -> str:
    text = compact(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
