"""``skillforge import``: an Agent Skill becomes a draft skill, a promptfoo config a suite."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skillforge.cli._shared import as_json, note, open_forge, print_json, without_secrets
from skillforge.errors import NotFound, UsageError
from skillforge.evals.wording.words import many

if TYPE_CHECKING:
    from skillforge.forge.exchange.promptfoo_suite import SuiteImported, Wishes

SKILL_MD = "SKILL.md"
_SHOWN = 20  # lines of what was left out; all of it with --json


def import_foreign(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A folder with SKILL.md, or a promptfoo config.")],
    name: Annotated[str | None, typer.Option(help="promptfoo: the suite's name (default: its folder's).")] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="promptfoo: the suite's file (default: evals/NAME.yaml).")
    ] = None,
    judge: Annotated[
        str | None, typer.Option(metavar="MODEL", help="promptfoo: who grades rubrics (default: as in the config).")
    ] = None,
    skip_unsupported: Annotated[
        bool, typer.Option("--skip-unsupported", help="promptfoo: leave out the assertions that have no meaning here.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="promptfoo: replace a suite of that name.")] = False,
    json_out: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Take over an Agent Skill or a promptfoo config.

    The one becomes a draft skill, the other a suite. Nothing is executed and no link is followed. Of an Agent Skill
    only SKILL.md is read: the draft takes one request and answers with text; an unchanged export of ours becomes the
    skill it was made from. Of a promptfoo config the tests become cases with their assertions; an assertion that runs
    code, or that would mean something else here, is refused by name.

    Examples:

    \b
      skillforge import ~/.agents/skills/release-notes
      skillforge import promptfooconfig.yaml --name triage
      skillforge import promptfooconfig.yaml --skip-unsupported --json
    """
    if _is_agent_skill(path):
        if any((name, out, judge, skip_unsupported, force)):
            raise UsageError(f"{path}: an Agent Skill takes no such options", hint="--name and so on are of promptfoo")
        _agent_skill(path, json_out)
        return
    from skillforge.forge.exchange.promptfoo_suite import Wishes
    from skillforge.formats.promptfoo import is_config

    if not path.exists():
        raise NotFound(f"{path}: no such file or folder", hint="name a folder with SKILL.md, or a promptfoo config")
    if not is_config(path):
        hint = "name a folder that holds SKILL.md, or a promptfooconfig.yaml"
        raise UsageError(f"{path}: neither an Agent Skill nor a promptfoo config", hint=hint)
    _suite(path, Wishes(name, out, judge, skip_unsupported, force), json_out)


def _is_agent_skill(path: Path) -> bool:
    from skillforge.formats.promptfoo import is_config

    return path.name == SKILL_MD or (path.is_dir() and not is_config(path)) or (path / SKILL_MD).exists()


def _agent_skill(path: Path, json_out: bool) -> None:
    with open_forge() as forge:
        written = forge.repository.import_agent_skill(path)
        version = forge.show(str(written))
    if json_out:
        body = {"name": version.name, "version": version.version, "digest": version.digest, "path": str(written)}
        print_json({**body, "status": version.status})
        return
    typer.echo(f"{version.name}@{version.version}  {version.digest}  {version.status}")
    note(f"{written}: review it, then measure it: skillforge eval {version.name}")


def _suite(path: Path, wishes: Wishes, json_out: bool) -> None:
    with open_forge() as forge:
        made = forge.repository.import_promptfoo(path, wishes)
    if json_out:
        print_json(as_json(made))
    else:
        typer.echo(f"{made.path}: {many(made.cases, 'case')} with {many(made.checks, 'check')}, metric checks")
    _tell(made)


def _tell(made: SuiteImported) -> None:
    if made.left_out:
        note(f"{many(len(made.left_out), 'assertion')} left out:")
        for line in made.left_out[:_SHOWN]:
            note(f"  {' '.join(without_secrets(line).split())}")
        if len(made.left_out) > _SHOWN:
            note(f"  and {len(made.left_out) - _SHOWN} more (--json names them)")
    if made.unchecked:
        note(f"{many(made.unchecked, 'case')} without an assertion: not scored")
    if made.told:
        note(f"no part of a suite: {'; '.join(made.told)}")
    judge = " --judge MODEL" if made.graded and made.judge is None else ""  # llm-rubric, and nobody named to grade
    note(f"measure with it: skillforge eval SKILL --suite {made.path}{judge}")
