"""The stages by name, in the order in which they are gone through."""

from __future__ import annotations

from collections.abc import Sequence

from skillforge.students.tune.grounds import Stage
from skillforge.students.tune.stages import compression, effort, examples, formats, instructions, roots

ALL: tuple[Stage, ...] = (
    roots.STAGE,
    formats.STAGE,
    examples.STAGE,
    instructions.STAGE,
    compression.STAGE,
    effort.STAGE,
)


def stages_of(names: Sequence[str]) -> list[Stage]:
    return [stage for stage in ALL if stage.name in names]
