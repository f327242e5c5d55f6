"""What is wrong with a skill beyond its shape: contract, template, examples, checks, hidden text, secrets."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any

from skillforge.checks import check_problems
from skillforge.contract import Validator, schema_problems
from skillforge.errors import Problem
from skillforge.fields import Where, pointer
from skillforge.hygiene import hidden_text, walk_strings
from skillforge.redact import find_secrets
from skillforge.secretpatterns import is_credential
from skillforge.skill import Skill
from skillforge.template import RESERVED_NAMES, template_problems
from skillforge.yamlscalar import MAX_DEPTH

Location = tuple[str | int, ...]
FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
DEVICE_NAMES = {"con", "prn", "aux", "nul"}
MAX_INSTRUCTIONS = 65_536


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
    yield from _template(skill)
    if len(skill.instructions) > MAX_INSTRUCTIONS:
        yield ("instructions",), Problem(f"longer than {MAX_INSTRUCTIONS:,} characters")
    for number, check in enumerate(skill.checks):
        for problem in check_problems(check, input_fields=tuple(skill.input)):
            yield ("checks", number), problem
    yield from _texts(skill)


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
        for name in fields:
            if not FIELD_NAME.fullmatch(name):
                yield (side, name), Problem("a field's name is letters, digits and _, not starting with a digit")
            elif side == "input" and name in RESERVED_NAMES:
                yield (side, name), Problem(f"the names {', '.join(sorted(RESERVED_NAMES))} are reserved")


def _schemas(skill: Skill) -> Iterator[tuple[Location, Problem]]:
    for side, fields in _sides(skill):
        if not fields:
            yield (side,), Problem("needs at least one field")
        whole = skill.input_schema() if side == "input" else skill.output_schema()
        for problem in schema_problems(whole):
            yield _placed(side, fields, problem)


def _placed(side: str, fields: Collection[str], problem: Problem) -> tuple[Location, Problem]:
    """A problem of a whole contract, at its field. References start at the root of the contract, not of a field."""
    if problem.field.endswith("/$ref"):
        problem = replace(problem, hint="write #/properties/FIELD/$defs/NAME; only schemas can be referred to")
    for name in fields:
        root = "/properties/" + name.replace("~", "~0").replace("/", "~1")
        if f"{problem.field}/".startswith(f"{root}/"):
            return (side, name), replace(problem, field=problem.field.removeprefix(root))
    return (side,), problem


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
    schema = skill.output_schema()
    outputs = Validator(schema) if schema is not None else None
    defaults = {name: item["default"] for name, item in skill.input.items() if "default" in item}
    seen: set[str] = set()
    for number, example in enumerate(skill.examples.items):
        place: Location = ("examples", "items", number)
        if example.id in seen:
            yield place, Problem(f"the id {example.id!r} stands twice")
        seen.add(example.id)
        for wrong in inputs.problems({**defaults, **example.input}):
            yield place, Problem(f"example {example.id}: the input does not fit the contract: {wrong}")
        if outputs is None:
            if not isinstance(example.output, str):
                yield place, Problem(f"example {example.id}: the output must be text")
        else:
            for wrong in outputs.problems(example.output):
                yield place, Problem(f"example {example.id}: the output does not fit the contract: {wrong}")


def _is_credential(location: Location, text: str) -> bool:
    """Only in values: what a contract says under a field's name is a schema, not a credential."""
    inside = location[:1] == ("metadata",) or (
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
