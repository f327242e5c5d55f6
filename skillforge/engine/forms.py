"""The forms of a skill that a student may run: the skill itself, parts of it, or its variant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from skillforge.engine.execute import PromptExecutor, Tried
from skillforge.engine.frame import bare_skill, examples_skill, raw_skill
from skillforge.errors import UsageError
from skillforge.run import Run
from skillforge.skill import Skill
from skillforge.variant import Form, Variant


def form_of(skill: Skill, form: Form) -> Skill:
    """What a variant lies on. The checks are the skill's own: a contract holds whatever a student is told."""
    if form == "skill":
        return skill
    found = {"examples": examples_skill, "raw": raw_skill, "bare": bare_skill}[form](skill)
    return found.model_copy(update={"checks": skill.checks})


def adapted(skill: Skill, variant: Variant) -> Skill:
    """The skill as its variant's student runs it. Its digest is the variant's.

    Raises ``UsageError`` for a variant of another skill, or of a workflow.
    """
    if variant.skill != skill.name:
        raise UsageError(f"the variant for {variant.student} is of {variant.skill}, not of {skill.name}")
    if skill.is_workflow:
        raise UsageError(f"{skill.name} is a workflow: its steps have no variants", hint="change the steps themselves")
    return form_of(skill, variant.form).model_copy(update=variant.overlay())


@dataclass(frozen=True)
class FormExecutor:
    """A model that runs its own form in the place of the skill it is given: a deployment has several models, each with
    a variant of its own.
    """

    model: PromptExecutor
    form: Skill

    @property
    def student(self) -> str:
        return self.model.student

    @property
    def concurrency(self) -> int:
        return self.model.concurrency

    @property
    def identity(self) -> str:
        return self.model.identity

    async def execute(self, skill: Skill, given: Mapping[str, Any], epoch: int = 0) -> Run:
        return await self.model.execute(self.form, given, epoch)

    async def tried(self, skill: Skill, given: Mapping[str, Any], epoch: int = 0) -> Tried:
        return await self.model.tried(self.form, given, epoch)
