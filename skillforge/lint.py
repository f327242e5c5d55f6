"""What is wrong with a skill beyond its shape: contract, template, examples, checks, hidden text, secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from skillforge.checks import check_problems
from skillforge.contract import Validator
from skillforge.errors import Problem
from skillforge.fieldlint import Location, example_output_problems, field_name_problems, field_schema_problems
from skillforge.fields import Where, pointer
from skillforge.hygiene import hidden_text, walk_strings
from skillforge.redact import find_secrets
from skillforge.secretpatterns import is_credential
from skillforge.skill import Skill
from skillforge.steplint import step_problems
from skillforge.template import RESERVED_NAMES, template_problems
from skillforge.yamlscalar import MAX_DEPTH

DEVICE_NAMES = {"con", "prn", "aux", "nul"}
MAX_INSTRUCTIONS = 65_536
MAX_REPAIR = 4_096


def lint_skill(skill: Skill, *, where: Where | None = None) -> list[Problem]:
    """Every problem of a well-shaped skill, errors and warnings, with lines when ``where`` knows them.

    ``where`` maps a location such as ``("checks", 1)`` to ``(line, column)``.
    """
    try:
        skill.digest()
    except ValueError as exc:  # numbers and texts that JSON cannot carry exactly: nothing else can be said
        return [Problem(f"has no identity: {exc}", hint="keep to JSON values: numbers up to 2**53, valid text")]
    if _deeper_than(MAX_DEPTH, skill.model_dump()):
        return [Problem(f"nested deeper than {MAX_DEPTH} levels", hint="flatten it: no skill file could hold it")]
    found: list[Problem] = []
    for location, problem in _all(skill):
        inner = f"{pointer(location)}{_joined(problem.field)}"
        line, column = (where(location) if where else None) or (None, None)
        found.append(replace(problem, field=inner, line=line, column=column))
    return found


def _joined(field: str) -> str:
    return "" if not field else field if field.startswith(("/", "[")) else f".{field}"


def _deeper_than(levels: int, value: Any) -> bool:
    """Level by level, not by recursion: what is measured here may be deeper than Python's stack."""
    level = [value]
    for _ in range(levels + 1):
        containers = [item for item in level if isinstance(item, dict | list | tuple)]
        level = [inner for item in containers for inner in (item.values() if isinstance(item, dict) else item)]
        if not containers:
            return False
    return True


def _all(skill: Skill) -> Iterator[tuple[Location, Problem]]:
    if skill.name in DEVICE_NAMES:
        yield ("name",), Problem("is reserved by an operating system")
    if "<" in skill.description or ">" in skill.description:
        yield ("description",), Problem("holds < or >, which other tools refuse in a skill's description")
    yield from _contract(skill)
    if not skill.steps:
        yield from _template(skill)
    yield from step_problems(skill)
    if len(skill.instructions) > MAX_INSTRUCTIONS:
        yield ("instructions",), Problem(f"longer than {MAX_INSTRUCTIONS:,} characters")
    yield from _asking(skill)
    for number, check in enumerate(skill.checks):
        for problem in check_problems(check, input_fields=tuple(skill.input)):
            yield ("checks", number), problem
    yield from _texts(skill)


def _asking(skill: Skill) -> Iterator[tuple[Location, Problem]]:
    """How a model is asked and asked again, and what may not be lost of what it is told."""
    if skill.steps:
        set_anyway = [name for name in ("decoding", "repair") if name in skill.identity()]
        for name in set_anyway:
            yield (name,), Problem("has no effect on a workflow: its steps are asked in their own way")
        return
    for problem in key_problems(skill.output, skill.decoding.keys):
        yield ("decoding", "keys"), problem
    if len(skill.repair) > MAX_REPAIR:
        yield ("repair",), Problem(f"longer than {MAX_REPAIR:,} characters")
    for number, sentence in enumerate(skill.keep):
        if not sentence.strip():
            yield ("keep", number), Problem("is empty")
        elif sentence not in skill.instructions:
            hint = "write it as it stands in the instructions, letter by letter"
            yield ("keep", number), Problem("does not stand in the instructions", hint=hint)


def key_problems(output: str | Mapping[str, Any], keys: Sequence[str]) -> Iterator[Problem]:
    """What is wrong with an order in which fields are written; fields it leaves out follow those it names."""
    if keys and isinstance(output, str):
        yield Problem("a text has no keys")
        return
    for key in dict.fromkeys(keys):
        if key not in output:
            yield Problem(f"{key!r} is no field of the output", hint=f"the output has {', '.join(output)}")
        elif keys.count(key) > 1:
            yield Problem(f"{key!r} stands twice")


def _contract(skill: Skill) -> Iterator[tuple[Location, Problem]]:
    yield from _field_names(skill)
    wrong = [*_schemas(skill)]
    yield from wrong
    if not wrong:  # only a sound contract can judge examples and defaults
        yield from _examples(skill)
        yield from _defaults(skill)


def _sides(skill: Skill) -> list[tuple[str, dict[str, dict[str, Any]]]]:
    sides = [("input", skill.input)]
    return sides if skill.output == "text" else [*sides, ("output", skill.output)]


def _field_names(skill: Skill) -> Iterator[tuple[Location, Problem]]:
    for side, fields in _sides(skill):
        yield from _below((side,), field_name_problems(fields))
        for name in fields if side == "input" else ():
            if name in RESERVED_NAMES:
                yield (side, name), Problem(f"the names {', '.join(sorted(RESERVED_NAMES))} are reserved")


def _schemas(skill: Skill) -> Iterator[tuple[Location, Problem]]:
    for side, fields in _sides(skill):
        whole = skill.input_schema() if side == "input" else skill.output_schema()
        yield from _below((side,), field_schema_problems(fields, whole))


def _below(place: Location, found: Iterator[tuple[Location, Problem]]) -> Iterator[tuple[Location, Problem]]:
    return ((place + inner, problem) for inner, problem in found)


def _defaults(skill: Skill) -> Iterator[tuple[Location, Problem]]:
    fields = Validator({**skill.input_schema(), "required": []})
    for name, schema in skill.input.items():
        if "default" in schema and (wrong := fields.problems({name: schema["default"]})):
            yield ("input", name, "default"), Problem(f"does not fit its own schema: {wrong[0]}")


def _template(skill: Skill) -> Iterator[tuple[Location, Problem]]:
    names = tuple(skill.input)
    for problem in template_problems(skill.prompt, names):
        # the loader knows where the block starts, the template where in the block
        inside = f" (line {problem.line} of the template)" if problem.line and problem.line > 1 else ""
        yield ("prompt",), replace(problem, message=problem.message + inside)
    for name in names:
        if not re.search(rf"\b{re.escape(name)}\b", skill.prompt):
            yield ("prompt",), Problem(f"the input field {name!r} is never shown to the model", level="warning")


def _examples(skill: Skill) -> Iterator[tuple[Location, Problem]]:
    inputs = Validator(skill.input_schema())
    defaults = {name: item["default"] for name, item in skill.input.items() if "default" in item}
    for number, example in enumerate(skill.examples.items):
        for wrong in inputs.problems({**defaults, **example.input}):
            wrong = f"example {example.id}: the input does not fit the contract: {wrong}"
            yield ("examples", "items", number), Problem(wrong)
    yield from _below(("examples",), example_output_problems(skill.examples, skill.output_schema()))


def _is_credential(location: Location, text: str) -> bool:
    """Only in values: what a contract says under a field's name is a schema, not a credential."""
    if location[:1] == ("steps",):
        location = location[2:]
    inside = location[:1] in (("metadata",), ("args",)) or (
        location[:2] == ("examples", "items") and location[3:4] in (("input",), ("output",))
    )
    keys = [step for step in location if isinstance(step, str)]
    return inside and bool(keys) and is_credential(keys[-1], text)


def _texts(skill: Skill) -> Iterator[tuple[Location, Problem]]:
    body = skill.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    for location, text in walk_strings(body):
        for hidden in hidden_text(text):
            yield location, Problem(f"hidden character: {hidden}", hint="delete it, or write what it should say")
        kinds = find_secrets(text)
        if not kinds and _is_credential(location, text):
            kinds = ["credential"]
        for kind in kinds:
            yield location, Problem(f"looks like a secret ({kind})", hint="a skill never holds secrets: remove it")
