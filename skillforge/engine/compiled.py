"""What is worked out once per skill and used on every input: digest, validators, template, example index."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from skillforge.contract import Validator
from skillforge.nearest import NearestExamples
from skillforge.skill import Skill
from skillforge.template import Template

_KEPT = 256  # a workflow has up to a hundred small ones


class CompiledSkill:
    """Read-only companions of one skill value. ``outputs`` is ``None`` for text skills."""

    __slots__ = ("digest", "index", "inputs", "output_schema", "outputs", "template")

    def __init__(self, skill: Skill) -> None:
        schema = skill.output_schema()
        self.output_schema = None if schema is None else _as_written(schema, skill.decoding.keys)
        self.digest = skill.digest()
        self.inputs = Validator(skill.input_schema())
        self.outputs = Validator(schema) if schema is not None else None
        self.template = Template(skill.prompt, tuple(skill.input))
        # an input is looked up with its defaults filled in: so are the examples, or one would not be its own neighbour
        defaults = {name: schema["default"] for name, schema in skill.input.items() if "default" in schema}
        self.index = NearestExamples(
            [item.model_copy(update={"input": {**defaults, **item.input}}) for item in skill.examples.items]
        )


# By the object a skill is: a frozen value stays what it was, and no digest is taken on the hot path. The skill is kept
# beside its companions, so that no other can get its id.
_compiled: dict[int, tuple[Skill, CompiledSkill]] = {}


def compiled(skill: Skill) -> CompiledSkill:
    """The companions of ``skill``, built on first use and kept for the last 256 skills that were built."""
    found = _compiled.get(id(skill))
    if found is None:
        found = skill, CompiledSkill(skill)
        for oldest in list(_compiled)[: 1 - _KEPT]:
            _compiled.pop(oldest, None)
        _compiled[id(skill)] = found
    return found[1]


def written_order(fields: Iterable[str], keys: Sequence[str]) -> list[str]:
    """The fields of an output in the order in which a model writes them: ``keys`` first, the others as they stand."""
    there = list(fields)
    return [*(key for key in keys if key in there), *(name for name in there if name not in keys)]


def _as_written(schema: dict[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    """The contract with its fields in that order: a grammar holds a model to the order of its schema."""
    if not keys:
        return schema
    order = written_order(schema["properties"], keys)
    return {**schema, "properties": {name: schema["properties"][name] for name in order}, "required": order}
