"""``skillforge sync | verify | delete``: files and registry kept together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from skillforge.cli._shared import aligned, as_json, confirmed, note, open_forge, print_json
from skillforge.errors import UsageError

if TYPE_CHECKING:
    from skillforge.forge.files.sync import SyncReport

JsonOut = Annotated[bool, typer.Option("--json", help="Print as JSON.")]
_SIDES = {"file": "theirs", "registry": "ours"}
_STATES = {"in_sync": "in sync"}


def sync(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; say what would be done, for CI.")] = False,
    take: Annotated[
        str | None, typer.Option(metavar="file|registry", help="Which side wins where both changed.")
    ] = None,
    json_out: JsonOut = False,
) -> None:
    """Bring skill files, lock file and registry together.

    A changed file becomes a reviewed version, a version that only the registry has is written to its file. Where both
    changed it is a conflict: nothing at all is written, and the difference is shown. Evidence and deployed versions
    that are missing are written again.

    Examples:

    \b
      skillforge sync
      skillforge sync --check
      skillforge sync --take file

    Exit code: 0 in sync, 1 not in sync (with --check) or beyond repair, 2 conflict, or a broken lock or skill file.
    """
    if take is not None and take not in _SIDES:
        raise UsageError(f"--take {take}: no such side", hint="write --take file or --take registry")
    if take is not None and check:
        raise UsageError("--check writes nothing, so there is nothing to take", hint="leave one of them out")
    side: Literal["ours", "theirs"] | None = None if take is None else "ours" if take == "registry" else "theirs"
    with open_forge() as forge:
        report = forge.repository.sync(check=check, take=side)
    if json_out:
        print_json({**as_json(report), "conflicts": report.conflicts, "changed": report.changed})
    else:
        _render(report)
    raise typer.Exit(report.exit_code)


def verify(json_out: JsonOut = False) -> None:
    """Hash everything again and follow every reference.

    Every stored version, the guards of the registry, skillforge.lock, deployed versions and evidence files. Without a
    registry the files alone are verified.

    Examples:

    \b
      skillforge verify
      skillforge verify --json

    Exit code: 0 all is well, 1 something is wrong.
    """
    with open_forge() as forge:
        problems = forge.repository.verify()
    if json_out:
        print_json(problems)
    else:
        for problem in problems:
            typer.echo(problem)
        note("all is well" if not problems else f"{len(problems)} problem{'' if len(problems) == 1 else 's'}")
    raise typer.Exit(1 if problems else 0)


def delete(
    ref: Annotated[str, typer.Argument(metavar="NAME[@REF]", help="One version, or all of a skill.")],
    reason: Annotated[str, typer.Option(help="Why; it is kept and shown.")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before all of a skill is deleted.")] = False,
    json_out: JsonOut = False,
) -> None:
    """Delete a version, or all of a skill.

    It is hidden for good: neither listed nor taken as the newest, and content that was deleted is not stored again.
    Refused while an alias points at it. Files stay, but for the copy that was deployed once: git removes them.

    Examples:

    \b
      skillforge delete ticket-triage@2 --reason "leaked a customer's name"
      skillforge delete ticket-triage --yes
    """
    with open_forge() as forge:
        if "@" not in ref and not yes:
            forge.repository.deletable(ref)  # raises: what cannot be done is not asked
            if not confirmed(f"Delete every version of {ref}?"):
                raise UsageError("nothing was deleted", hint="answer yes, or give --yes")
        numbers = forge.repository.delete(ref, reason=reason)
    name = ref.partition("@")[0]
    if json_out:
        print_json({"name": name, "versions": numbers})
    else:
        typer.echo(f"deleted: {', '.join(f'{name}@{number}' for number in numbers)}")


def _render(report: SyncReport) -> None:
    if report.skills:
        rows = [[item.name, _STATES.get(item.state, item.state.replace("_", " ")), item.note] for item in report.skills]
        for line in aligned(rows, left={0, 1, 2}):
            typer.echo(line)
    for item in report.skills:
        if item.name in report.conflicts:
            typer.echo(f"\n{item.diff}")
    verb = "would write" if report.check else "wrote"
    for name in report.files:
        typer.echo(f"{verb} {name}")
    for problem in report.problems:
        typer.echo(problem)
    if report.conflicts:
        note("conflict: nothing was written\n  -> skillforge sync --take file, or skillforge sync --take registry")
    elif report.check and report.changed:
        note("not in sync\n  -> skillforge sync")
    elif not report.skills:
        note("no skills yet: skillforge create, or write skills/NAME/skill.yaml")
