"""The form of a skill that suits one student: what it changes of the skill. Values only."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from skillforge.canonical import digest
from skillforge.messages import Value
from skillforge.skill import Skill
from skillforge.skillparts import Decoding, Examples, Limits

VARIANT_SCHEMA_ID = "skillforge/variant/v1"
VARIANTS_FOLDER = "variants"

Form = Literal["skill", "examples", "raw", "bare"]


class Variant(Value):
    """An overlay on a skill for one student. What is ``None`` stays as the skill has it.

    ``form`` is what the overlay lies on: the ``skill``, only its ``examples``, the task as it was told to the teacher
    (``raw``), or no skill at all (``bare``). ``of`` is the digest of the version it was made for; empty: of any. It
    changes the contract in nothing: input, output, checks and suite are the skill's.
    """

    schema_id: Literal["skillforge/variant/v1"] = Field(default="skillforge/variant/v1", alias="schema")
    skill: str
    student: str = Field(min_length=1)
    of: str = ""
    form: Form = "skill"
    instructions: str | None = None
    prompt: str | None = None
    examples: Examples | None = None
    decoding: Decoding | None = None
    repair: str | None = None
    limits: Limits | None = None

    def overlay(self) -> dict[str, Any]:
        """The parts of a skill that it sets."""
        names = ("instructions", "prompt", "examples", "decoding", "repair", "limits")
        return {name: value for name in names if (value := getattr(self, name)) is not None}

    @property
    def changes_nothing(self) -> bool:
        return self.form == "skill" and not self.overlay()

    def fits(self, skill: Skill) -> bool:
        """Whether it was made for this version of the skill, or for any."""
        return self.skill == skill.name and self.of in ("", digest(skill.identity()))
