"""What is worked out once per skill and used on every input: digest, validators, template, example index."""

from __future__ import annotations

from functools import lru_cache

from skillforge.contract import Validator
from skillforge.nearest import NearestExamples
from skillforge.skill import Skill
from skillforge.template import Template


class CompiledSkill:
    """Read-only companions of one skill value. ``outputs`` is ``None`` for text skills."""

    __slots__ = ("digest", "index", "inputs", "outputs", "template")

    def __init__(self, skill: Skill) -> None:
        schema = skill.output_schema()
        self.digest = skill.digest()
        self.inputs = Validator(skill.input_schema())
        self.outputs = Validator(schema) if schema is not None else None
        self.template = Template(skill.prompt, tuple(skill.input))
        # an input is looked up with its defaults filled in: so are the examples, or one would not be its own neighbour
        defaults = {name: schema["default"] for name, schema in skill.input.items() if "default" in schema}
        self.index = NearestExamples(
            [item.model_copy(update={"input": {**defaults, **item.input}}) for item in skill.examples.items]
        )


class _ByIdentity:
    """Hashes a skill by the object it is: a frozen value stays what it was, and no digest is taken on the hot path."""

    __slots__ = ("skill",)

    def __init__(self, skill: Skill) -> None:
        self.skill = skill

    def __hash__(self) -> int:
        return id(self.skill)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ByIdentity) and other.skill is self.skill


@lru_cache(maxsize=64)
def _compile(key: _ByIdentity) -> CompiledSkill:
    return CompiledSkill(key.skill)


def compiled(skill: Skill) -> CompiledSkill:
    """The companions of ``skill``, built on first use and kept for the last 64 skills."""
    return _compile(_ByIdentity(skill))
