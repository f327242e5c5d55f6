"""What a plan that reproduces its traces may still have wrong: few traces prove little, and some things by no means.

Every line is told to whoever drafted the plan; none refuses it. A decision that stands in an answer as true or false
cannot be doubted here: whether a model would find it is what the eval measures.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from skillforge.canonical import compact
from skillforge.engine.compiling.events import input_text, segment, succeeded, tool_events
from skillforge.engine.compiling.values import in_text, is_weak, leaves
from skillforge.engine.compiling.verify import TraceCheck, Verified
from skillforge.hygiene import walk_strings
from skillforge.messages import Message
from skillforge.run import StepRun
from skillforge.skill import Skill
from skillforge.step import Step
from skillforge.trace import Trace

_SHOWN = 60
_NAMED = re.compile(r"(?<![\w-])[\w-]*\d[\w-]*(?![\w-])")  # a name or a number that means one thing
_SEEN = re.compile(r"\bsteps\.(\w+)")


def doubts(skill: Skill, traces: Sequence[Trace], verified: Verified) -> tuple[str, ...]:
    """What a person should look at before the plan is run, once each, in the order of its steps."""
    good = {trace.case_id: segment(trace) for trace in traces if succeeded(trace)}
    checks = [check for check in verified.checks if check.run is not None and check.trace in good]
    return tuple(dict.fromkeys(_doubts(skill, good, checks)))


def _doubts(skill: Skill, good: dict[str, Trace], checks: Sequence[TraceCheck]) -> Iterator[str]:
    if len(good) == 1:
        yield "it is made from one trace: what stays and what depends on the input is guessed"
    if checks and all(check.run is not None and check.run.status == "escalated" for check in checks):
        yield "it escalates in every trace: nothing is done without a stronger model or a person"
    data = "\n".join(_data(trace) for trace in good.values())
    rules = "\n".join(_rules(trace) for trace in good.values())
    yield from _copied("the instructions", skill.instructions, data, rules)
    writing = {tool.name for tool in skill.tools if tool.effect == "write"}
    for step in skill.steps:
        ran = sum(any(_id(each) == step.id and _did(each) for each in _steps(check)) for check in checks)
        if not ran and step.kind != "escalate":
            what = f"step {step.id} writes, and" if step.tool in writing else f"step {step.id}"
            yield f"{what} runs in none of the traces: nothing shows that it is right"
        elif step.tool in writing and step.when is not None and 1 in (ran, len(checks) - ran) and len(checks) > 1:
            yield f"the condition of {step.id}, which writes, rests on one trace"
        yield from _memorised(step, data, rules)
    for check in checks:
        yield from _foreseen(skill, good[check.trace], _steps(check))


def _memorised(step: Step, data: str, rules: str) -> Iterator[str]:
    """Values of the traces that a step says itself, for every input."""
    for where, value in (("args", step.args), ("condition", step.when or {})):
        for leaf in _literals(value):
            if _telling(leaf) and in_text(leaf, data) and not in_text(leaf, rules):
                yield f"the {where} of {step.id} hold{'s' * (where != 'args')} {_cut(leaf)}, a value out of a trace"
    yield from _copied(f"the prompt of {step.id}", step.prompt, data, rules)
    yield from _copied(f"the instructions of {step.id}", step.instructions, data, rules)


def _copied(where: str, text: str, data: str, rules: str) -> Iterator[str]:
    named = dict.fromkeys(word for word in _NAMED.findall(text) if _telling(word))
    held = [word for word in named if in_text(word, data) and not in_text(word, rules)]
    if held:
        yield f"{where} name{'s' * where.startswith('the prompt')} {', '.join(map(_cut, held[:3]))}, out of a trace"


def _foreseen(skill: Skill, trace: Trace, ran: Sequence[StepRun]) -> Iterator[str]:
    """Answers that hold what stands in a tool's result and in nothing that the step was shown."""
    asking = {step.id: step for step in skill.steps if step.kind == "prompt"}
    told = "\n".join((input_text(trace), _rules(trace), skill.instructions))
    results = {each.key: compact(each.output) for each in ran if each.kind == "tool" and each.status == "ok"}
    for each in ran:
        step = asking.get(_id(each))
        if step is None or each.status != "ok" or not isinstance(each.output, dict):
            continue
        names = set(_SEEN.findall(step.prompt))
        whole = "steps" in step.prompt and not names  # it is shown all of them
        shown = [compact(other.output) for other in ran if whole or _id(other) in names]
        seen = "\n".join((told, step.prompt, step.instructions, compact(step.output), *shown))
        for name, value in each.output.items():
            for leaf in leaves(value):
                if not _telling(leaf) or in_text(leaf, seen):
                    continue
                if source := next((key for key, result in results.items() if in_text(leaf, result)), ""):
                    yield f"{name} of {step.id} stands only in the result of {source}, which the step does not see"
                    break


def _data(trace: Trace) -> str:
    results = [compact(text) for event in tool_events(trace) for _, text in walk_strings([event.result])]
    numbers = [str(leaf) for event in tool_events(trace) for leaf in leaves(event.result) if not isinstance(leaf, str)]
    return "\n".join((input_text(trace), *results, *numbers))


def _rules(trace: Trace) -> str:
    told: list[Message] = [message for message in trace.messages if message.role == "system"]
    return "\n".join((trace.task, *(message.text for message in told)))


def _literals(value: Any) -> Iterator[Any]:
    """What a step says itself: everything but the paths of references."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key not in ("from", "pick"):
                yield from _literals(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _literals(inner)
    else:
        yield value


def _telling(value: Any) -> bool:
    """Whether a value is an id or an amount: something that the next input has another one of."""
    if isinstance(value, str):
        return len(value) >= 3 and sum(letter.isdigit() for letter in value) >= 2
    return not is_weak(value)


def _steps(check: TraceCheck) -> tuple[StepRun, ...]:
    return check.run.steps if check.run is not None else ()


def _did(ran: StepRun) -> bool:
    """Whether it was more than skipped, or run for the elements of an empty list."""
    return ran.status != "skipped" and (ran.kind != "tool" or bool(ran.tool))


def _id(ran: StepRun) -> str:
    return ran.key.partition("[")[0]


def _cut(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
