"""``skillforge export``: skills in the formats of others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from skillforge.cli._shared import open_forge
from skillforge.errors import UsageError

FORMATS = ("agent-skill",)


def export(
    ref: Annotated[str, typer.Argument(metavar="NAME|PATH[@REF]", help="The skill: a name, name@3, or a path.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the folder NAME is written.")],
    to: Annotated[str, typer.Option("--format", help="What is written: agent-skill.")] = FORMATS[0],
    force: Annotated[bool, typer.Option("--force", help="Replace the files of a folder that is not ours.")] = False,
) -> None:
    """Write a skill as a SKILL.md that agents load.

    DIR/NAME gets a SKILL.md that holds the messages that were evaluated, and skill.yaml beside it. Text that agents
    would run or replace when they load it is refused. An earlier export of the same skill is replaced; a folder that
    is anything else, or was changed, only with --force.

    Examples:

    \b
      skillforge export ticket-triage --format agent-skill .agents/skills
      skillforge export ticket-triage@3 --format agent-skill dist --force
    """
    if to not in FORMATS:
        raise UsageError(f"--format {to}: no such format", hint=f"formats: {', '.join(FORMATS)}")
    with open_forge() as forge:
        typer.echo(str(forge.repository.export_agent_skill(ref, folder, force=force)))
