"""What is wrong with the steps of a workflow, as far as it can be told before it runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from skillforge.checks import check_problems
from skillforge.contract import schema_problems
from skillforge.datalint import data_problems, result_problems
from skillforge.errors import InvalidInput, Problem
from skillforge.fieldlint import Location, example_output_problems, field_name_problems, field_schema_problems
from skillforge.messages import Tool
from skillforge.skill import Skill
from skillforge.step import Step
from skillforge.suggest import did_you_mean
from skillforge.template import STEPS, Template, template_paths, template_problems

MAX_STEPS = 100
MAX_TOOLS = 64
TOOL_NAME = re.compile(r"[A-Za-z0-9_.:/-]{1,128}")
ITEM = "item"

# What a step of a kind never reads. Written there it would be believed to do something.
_ASKING = ("instructions", "prompt", "output", "examples", "checks", "limits")
_CALLING = ("args", "retry", "on_error")
_UNREAD = {
    "tool": _ASKING,
    "prompt": _CALLING,
    "agent": _CALLING,
    "escalate": (*_CALLING, *_ASKING, "each"),
}

Found = Iterator[tuple[Location, Problem]]


def step_problems(skill: Skill) -> Found:
    """Every problem of ``tools``, ``steps`` and ``result``, errors and warnings, each with its place in the skill."""
    yield from _tools(skill)
    if not skill.steps:
        if skill.tools:
            yield ("tools",), Problem("only steps call tools", hint="add steps, or remove it")
        if skill.result is not None:
            yield ("result",), Problem("is made of steps, and there are none", hint="add steps, or remove it")
        return
    yield from _whole(skill)
    for number, step in enumerate(skill.steps):
        yield from _below(("steps", number), _step(skill, number, step))
    yield from result_problems(skill)
    yield from _unused(skill)


def _below(place: Location, found: Found) -> Found:
    return ((place + inner, problem) for inner, problem in found)


def _tools(skill: Skill) -> Found:
    if len(skill.tools) > MAX_TOOLS:
        yield ("tools",), Problem(f"more than {MAX_TOOLS} tools")
    seen: set[str] = set()
    for number, tool in enumerate(skill.tools):
        if tool.name in seen:
            yield ("tools", number, "name"), Problem(f"the tool {tool.name!r} stands twice")
        seen.add(tool.name)
        yield from _below(("tools", number), _tool(tool))


def _tool(tool: Tool) -> Found:
    if not TOOL_NAME.fullmatch(tool.name):
        yield ("name",), Problem("a tool's name is up to 128 letters, digits and _ . : / -")
    wrong = schema_problems(tool.parameters)
    for problem in wrong:
        yield ("parameters",), problem
    if not wrong and tool.parameters.get("type") != "object":
        yield ("parameters",), Problem("must be the schema of an object", hint="start it with type: object")
    if tool.idempotency_key:
        properties = tool.parameters.get("properties")
        known = tuple(properties) if isinstance(properties, dict) else ()
        if tool.idempotency_key not in known:
            hint = did_you_mean(tool.idempotency_key, known, what="its parameters")
            yield ("idempotency_key",), Problem(f"{tool.name} has no such parameter", hint=hint)
        if tool.effect == "read":
            hint = "effect: write, or remove the key"
            yield ("idempotency_key",), Problem("a tool that only reads needs none", level="warning", hint=hint)


def _whole(skill: Skill) -> Found:
    if len(skill.steps) > MAX_STEPS:
        yield ("steps",), Problem(f"more than {MAX_STEPS} steps", hint="repeat with each, or make two skills of it")
    for name in ("prompt", "examples"):
        if name in skill.model_fields_set and getattr(skill, name) != type(skill).model_fields[name].default:
            yield (name,), Problem("is never used beside steps", hint=f"give it to the step whose {name} it is")
    seen: set[str] = set()
    for number, step in enumerate(skill.steps):
        if step.id in seen:
            yield ("steps", number, "id"), Problem(f"the step {step.id!r} stands twice")
        seen.add(step.id)


def _unused(skill: Skill) -> Found:
    called = {name for step in skill.steps for name in (step.tool, *(step.agent.tools if step.agent else ()))}
    for number, tool in enumerate(skill.tools):
        if tool.name not in called:
            yield ("tools", number), Problem(f"no step calls {tool.name}", level="warning", hint="remove it")


def _step(skill: Skill, number: int, step: Step) -> Found:
    kinds = [name for name in ("tool", "agent", "escalate") if getattr(step, name)]
    if step.prompt and not step.agent:
        kinds.append("prompt")
    if len(kinds) != 1:
        said = f"is {' and '.join(kinds)} at once" if kinds else "says nothing to do"
        hint = "a step has exactly one of tool, prompt, agent (with a prompt), escalate"
        yield (), Problem(f"the step {step.id} {said}", hint=hint)
    else:
        for name in _UNREAD[kinds[0]]:
            if name in step.model_fields_set and getattr(step, name) != _default(name):
                yield (name,), Problem(f"is of no use in a step of the kind {kinds[0]}", hint="remove it")
    if step.agent and not step.prompt:
        yield (), Problem("an agent needs a prompt", hint="prompt: what it is to do, with the input it needs")
    if step.kind == "escalate" and step.when is None:
        yield (), Problem("every run ends here: it has no condition", level="warning", hint="add when")
    yield from _calls(skill, step)
    yield from data_problems(skill, number, step)
    if step.kind in ("prompt", "agent"):
        yield from _language(skill, number, step)


def _default(name: str) -> object:
    return Step.model_fields[name].get_default(call_default_factory=True)


def _calls(skill: Skill, step: Step) -> Found:
    known = [tool.name for tool in skill.tools]
    named: list[tuple[Location, str]] = [(("tool",), step.tool)] if step.tool is not None else []
    if step.agent is not None:
        named += [(("agent", "tools", at), name) for at, name in enumerate(step.agent.tools)]
        if len(set(step.agent.tools)) < len(step.agent.tools):
            yield ("agent", "tools"), Problem("a tool stands twice")
    for place, name in named:
        if name not in known:
            hint = did_you_mean(name, known, what="the tools") or "describe it under tools"
            yield place, Problem(f"there is no tool {name!r} under tools", hint=hint)
    tool = skill.tool(step.tool) if step.tool is not None else None
    if tool and tool.effect == "write" and not tool.idempotency_key and step.retry and "retry" in step.model_fields_set:
        hint = "name the parameter that makes a repeated call the same call: idempotency_key"
        yield ("retry",), Problem(f"{tool.name} writes and has no key: it is never retried", level="warning", hint=hint)


def _language(skill: Skill, number: int, step: Step) -> Found:
    fields = [*skill.input, *([ITEM] if step.each is not None else [])]
    earlier = [before.id for before in skill.steps[:number]]
    wrong = template_problems(step.prompt, fields, earlier)
    for problem in wrong:
        # the loader knows where the block starts, the template where in the block
        inside = f" (line {problem.line} of the template)" if problem.line and problem.line > 1 else ""
        yield ("prompt",), replace(problem, message=problem.message + inside)
    schema = step.output_schema()
    unsound = list(_output(step)) if step.output != "text" else []
    yield from unsound
    for at, check in enumerate(step.checks):
        for problem in check_problems(check, input_fields=(*fields, STEPS)):
            yield ("checks", at), problem
    if not unsound:
        yield from _below(("examples",), example_output_problems(step.examples, schema))
    if step.examples.file is not None:
        yield ("examples", "file"), Problem("the examples of a step stand in the file", hint="write them under items")
    if not wrong:
        yield from _below(("examples",), _shown(skill, step, fields))


def _output(step: Step) -> Found:
    fields = step.output if isinstance(step.output, dict) else {}
    yield from _below(("output",), field_name_problems(fields))
    yield from _below(("output",), field_schema_problems(fields, step.output_schema()))


def _shown(skill: Skill, step: Step, fields: list[str]) -> Found:
    """Examples whose input is not what the prompt shows. Their tool results may be cut down to what it looks up."""
    template = Template(step.prompt, (*fields, STEPS))
    shown = {path.split(".")[0] for path in template_paths(step.prompt)}
    defaults = {name: schema["default"] for name, schema in skill.input.items() if "default" in schema}
    for number, example in enumerate(step.examples.items):
        place: Location = ("items", number)
        for name in example.input.keys() - {*fields, STEPS}:
            hint = did_you_mean(name, (*fields, STEPS), what="it may hold")
            yield place, Problem(f"example {example.id}: the input field {name!r} is unknown", hint=hint)
        for name in sorted(shown - example.input.keys() - defaults.keys()):
            yield place, Problem(f"example {example.id}: the prompt shows {name!r}, its input has none")
        if shown <= {*example.input, *defaults}:
            try:
                template.render({**defaults, **example.input})
            except InvalidInput as exc:
                yield place, Problem(f"example {example.id}: {exc}")
