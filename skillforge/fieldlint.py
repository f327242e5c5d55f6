"""What is wrong with a map of fields (field -> JSON Schema), in a contract or as the output of a step."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any

from skillforge.contract import Validator, schema_problems
from skillforge.errors import Problem
from skillforge.skillparts import Examples

Location = tuple[str | int, ...]
FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


def field_name_problems(fields: Collection[str]) -> Iterator[tuple[Location, Problem]]:
    """Names that no template and no reference could look up."""
    for name in fields:
        if not FIELD_NAME.fullmatch(name):
            yield (name,), Problem("a field's name is letters, digits and _, not starting with a digit")


def field_schema_problems(fields: Collection[str], whole: Any) -> Iterator[tuple[Location, Problem]]:
    """What is wrong with ``whole``, the schema of an object of these fields; the place is the field's, or ``()``."""
    if not fields:
        yield (), Problem("needs at least one field")
    for problem in schema_problems(whole):
        yield _placed(fields, problem)


def _placed(fields: Collection[str], problem: Problem) -> tuple[Location, Problem]:
    """A problem of a whole contract, at its field. References start at the root of the contract, not of a field."""
    if problem.field.endswith("/$ref"):
        problem = replace(problem, hint="write #/properties/FIELD/$defs/NAME; only schemas can be referred to")
    for name in fields:
        root = "/properties/" + name.replace("~", "~0").replace("/", "~1")
        if f"{problem.field}/".startswith(f"{root}/"):
            return (name,), replace(problem, field=problem.field.removeprefix(root))
    return (), problem


def example_output_problems(examples: Examples, schema: dict[str, Any] | None) -> Iterator[tuple[Location, Problem]]:
    """Ids that stand twice, outputs that do not fit ``schema`` (``None``: text); the place is inside ``examples``.

    ``schema`` must be sound.
    """
    outputs = Validator(schema) if schema is not None and examples.items else None
    seen: set[str] = set()
    for number, example in enumerate(examples.items):
        place: Location = ("items", number)
        if example.id in seen:
            yield place, Problem(f"the id {example.id!r} stands twice")
        seen.add(example.id)
        if schema is None or outputs is None:
            if not isinstance(example.output, str):
                yield place, Problem(f"example {example.id}: the output must be text")
        else:
            for wrong in outputs.problems(example.output):
                yield place, Problem(f"example {example.id}: the output does not fit the contract: {wrong}")
