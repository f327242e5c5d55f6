"""What is wrong with the data of a workflow: references, arguments, conditions, and what its result is made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from skillforge.contract import Validator, schema_problems
from skillforge.errors import Problem
from skillforge.fieldlint import Location
from skillforge.messages import Tool
from skillforge.references import condition_problems, is_reference, paths, reference_problems
from skillforge.skill import Skill
from skillforge.step import Step
from skillforge.suggest import did_you_mean
from skillforge.template import template_paths

ITEM = "item"
Found = Iterator[tuple[Location, Problem]]


def data_problems(skill: Skill, number: int, step: Step) -> Found:
    """What is wrong with ``args``, ``when`` and ``each`` of one step; places are inside the step."""
    if step.each is not None:
        yield from _each(skill, step)
    if step.when is not None:
        wrong = condition_problems(step.when)
        yield from ((("when",), problem) for problem in wrong)
        if not wrong:
            yield from _paths(skill, number, step, ("when",), step.when)
    for name, value in step.args.items():
        yield from _reference_forms(("args", name), value)
        yield from _paths(skill, number, step, ("args", name), value)
    if step.each is not None:
        yield from _paths(skill, number, step, ("each",), step.each, with_item=False)
    tool = skill.tool(step.tool) if step.tool is not None else None
    if tool is not None:
        yield from _arguments(tool, step.args)


def result_problems(skill: Skill) -> Found:
    """What is wrong with ``result``, or with the last step where it stands in for one."""
    if skill.result is None:
        yield from _last(skill)
        yield from _never_read(skill)
        return
    yield from _reference_forms(("result",), skill.result)
    yield from _paths(skill, len(skill.steps), None, ("result",), skill.result)
    yield from _never_read(skill)
    computed = is_reference(skill.result) or (isinstance(skill.result, Mapping) and skill.result.keys() == {"first_of"})
    literal = skill.result["value"] if _is_quoted(skill.result) else skill.result
    if computed:
        return
    if skill.output == "text":
        if not isinstance(literal, str):
            yield ("result",), Problem("the output is text, so the result is one text", hint="{from: steps.reply}")
    elif not isinstance(literal, Mapping):
        yield ("result",), Problem("must hold the fields of the output, or be a reference to them")
    else:
        yield from _result_fields(skill.output, literal)


def _result_fields(output: Mapping[str, Any], result: Mapping[str, Any]) -> Found:
    for name in result:
        if name not in output:
            hint = did_you_mean(name, output, what="the output has")
            yield ("result", name), Problem(f"the output has no field {name!r}", hint=hint)
    for name in output:
        if name not in result:
            yield ("result",), Problem(f"the output field {name!r} is missing")


def _is_quoted(value: Any) -> bool:
    return isinstance(value, Mapping) and value.keys() == {"value"}


def _last(skill: Skill) -> Found:
    step = skill.steps[-1]
    hint = "say what the answer is made of: result: {field: {from: steps.…}}"
    answers = step.output if step.kind in ("prompt", "agent") else None
    if step.kind == "escalate":
        yield ("steps",), Problem("the last step gives no value, and there is no result", hint=hint)
    elif step.each is not None:
        yield ("steps",), Problem("the last step gives a list, and there is no result", hint=hint)
    elif answers is not None and (answers == "text") != (skill.output == "text"):
        yield ("steps",), Problem("the last step answers otherwise than the output, and there is no result", hint=hint)
    elif isinstance(answers, dict) and isinstance(skill.output, dict) and answers.keys() != skill.output.keys():
        yield ("steps",), Problem("the last step has other fields than the output, and there is no result", hint=hint)


def _never_read(skill: Skill) -> Found:
    read = {path.split(".")[0] for value in (skill.result, *_values(skill)) for path in paths(value)}
    read |= {path for step in skill.steps for path in template_paths(step.prompt)}
    for name in skill.input:
        if name not in read:
            yield ("input", name), Problem("no step uses this input field", level="warning")


def _values(skill: Skill) -> list[Any]:
    return [value for step in skill.steps for value in (step.args, step.when, step.each)]


def _each(skill: Skill, step: Step) -> Found:
    if not is_reference(step.each):
        yield ("each",), Problem("each names a list by reference", hint="{from: steps.order.lines}")
    yield from _reference_forms(("each",), step.each)
    if ITEM in skill.input:
        yield ("each",), Problem("item is an input field: inside each it would mean the element", hint="rename it")


def _reference_forms(place: Location, value: Any) -> Found:
    return ((place + inner, problem) for inner, problem in reference_problems(value))


def _paths(
    skill: Skill, number: int, step: Step | None, place: Location, value: Any, *, with_item: bool = True
) -> Found:
    """References of ``value`` that can never find anything. ``number`` is how many steps lie before it."""
    item = with_item and step is not None and step.each is not None
    for path in dict.fromkeys(paths(value)):
        wrong = _path_problem(skill, number, step, path, item=item)
        if wrong is not None:
            yield place, wrong


def _path_problem(skill: Skill, number: int, step: Step | None, path: str, *, item: bool) -> Problem | None:
    root, *rest = path.split(".")
    if "" in (root, *rest):
        return Problem(f"{path!r} is no path", hint="names with a dot between them: steps.order.total")
    if root == "steps":
        return _step_path_problem(skill, number, step, path, rest)
    if root in skill.input or (root == ITEM and item):
        return None
    if root == ITEM:
        return Problem("item is there only in a step with each", hint="each: {from: steps.order.lines}")
    hint = did_you_mean(root, (*skill.input, "steps"), what="it may start with")
    return Problem(f"there is no input field {root!r} ({path})", hint=hint)


def _step_path_problem(skill: Skill, number: int, step: Step | None, path: str, rest: list[str]) -> Problem | None:
    if not rest:
        return Problem("steps alone is no value", hint="name one: steps.order")
    ids = [each.id for each in skill.steps]
    earlier = {each.id: each for each in skill.steps[:number]}
    if step is not None and rest[0] == step.id:
        return Problem(f"{path} is the step itself")
    if rest[0] not in earlier:
        if rest[0] in ids:
            return Problem(f"the step {rest[0]!r} stands later", hint="a step uses those before it: move it up")
        return Problem(f"there is no step {rest[0]!r}", hint=did_you_mean(rest[0], tuple(earlier), what="the steps"))
    named = earlier[rest[0]]
    if named.kind == "escalate":
        return Problem(f"the step {named.id} ends the run: it has no value")
    return _inside_problem(named, path, rest[1:])


def _inside_problem(named: Step, path: str, inner: list[str]) -> Problem | None:
    """Whether a path leads into what a model's step is sure to answer. What a tool gives is not known here."""
    if named.each is not None and inner:
        if not inner[0].isdigit():
            return Problem(f"{path}: the value of {named.id} is a list", hint=f"steps.{named.id}.0, or pick")
        inner = inner[1:]
    if named.kind == "tool" or not inner:
        return None
    if not isinstance(named.output, dict):
        return Problem(f"{path}: {named.id} answers text", hint=f"give {named.id} an output with fields")
    if inner[0] not in named.output:
        hint = did_you_mean(inner[0], named.output, what="it has")
        return Problem(f"{path}: the output of {named.id} has no field {inner[0]!r}", hint=hint)
    return None


def _arguments(tool: Tool, args: Mapping[str, Any]) -> Found:
    properties, required = tool.parameters.get("properties", {}), tool.parameters.get("required", ())
    if not isinstance(properties, dict) or not isinstance(required, list | tuple):
        return  # told where the tool is described
    known = [name for name in properties if name != tool.idempotency_key]
    described = bool(properties) or "additionalProperties" in tool.parameters  # else the box's own description counts
    closed = (
        described and not tool.parameters.get("additionalProperties") and "patternProperties" not in tool.parameters
    )
    literals: dict[str, Any] = {}
    for name, value in args.items():
        if name == tool.idempotency_key:
            yield ("args", name), Problem("is filled in for every call", hint="remove it")
        elif name not in properties and closed:
            hint = did_you_mean(name, known, what="its parameters")
            yield ("args", name), Problem(f"{tool.name} takes no argument {name!r}", hint=hint)
        elif not any(True for _ in paths(value)):
            literals[name] = value["value"] if _is_quoted(value) else value
    if literals and not schema_problems(tool.parameters):
        given = Validator({**tool.parameters, "required": []})
        for name, literal in literals.items():
            for wrong in given.problems({name: literal})[:1]:
                yield ("args", name), Problem(f"does not fit {tool.name}: {wrong}")
    for name in required:
        if isinstance(name, str) and name not in args and name != tool.idempotency_key:
            yield ("args",), Problem(f"{tool.name} needs the argument {name!r}")
