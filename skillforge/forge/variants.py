"""Which form of a skill a student runs: its variant, where one was made for this version."""

from __future__ import annotations

from collections.abc import Iterable

from skillforge.config import SKILLS_FOLDER
from skillforge.engine.compiled import compiled
from skillforge.engine.forms import adapted
from skillforge.errors import NotFound
from skillforge.forge.workspace import Workspace
from skillforge.skill import Skill
from skillforge.store.registry import SkillVersion
from skillforge.variant import Variant
from skillforge.variantfile import made_for, read_variant, variant_path


def variant_of(work: Workspace, version: SkillVersion, student: str) -> Variant | None:
    """The variant in the skill's folder, ``None`` where there is none, or where it was made for another version: that
    is said once.

    Raises ``SkillFileError`` for a file that is no variant of this skill: whoever runs the skill itself instead would
    get other answers than were measured.
    """
    if version.skill.is_workflow:
        return None
    path = variant_path(work.root / SKILLS_FOLDER / version.name, student)
    if not path.is_file():
        return None
    try:
        if made_for(path) in ("", version.digest):
            return read_variant(path, version.skill)
    except NotFound:  # taken away meanwhile
        return None
    work.say_once(
        f"the variant of {version.name} for {student} was made for another version, and is left out: make it anew with"
        f" skillforge tune {version.name} --student {student}"
    )
    return None


def form_for(work: Workspace, version: SkillVersion, student: str) -> Skill:
    """What the student runs: the skill as its variant changes it, or the skill itself."""
    variant = variant_of(work, version, student)
    return version.skill if variant is None else adapted(version.skill, variant)


def form_digest(version: SkillVersion, form: Skill) -> str:
    """The digest by which evidence and deployments know the form; empty for the skill itself."""
    digest = compiled(form).digest
    return "" if digest == version.digest else digest


def tuned_forms(work: Workspace, version: SkillVersion, students: Iterable[str]) -> dict[str, Skill]:
    """What those of the students run that have a variant of this version."""
    found = {student: variant_of(work, version, student) for student in students}
    return {student: adapted(version.skill, variant) for student, variant in found.items() if variant is not None}
