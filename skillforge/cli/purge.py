"""``skillforge purge``: erase what is old, or all that concerns one subject."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from skillforge.cli._shared import as_json, confirmed, note, open_forge, print_json
from skillforge.errors import UsageError

if TYPE_CHECKING:
    from skillforge.forge.erase.purge import Purged

_AGE = re.compile(r"(\d{1,6})([hdw])")
_SECONDS = {"h": 3600, "d": 86_400, "w": 604_800}
_LEFT = 1  # something of it still stands somewhere


def purge(
    older_than: Annotated[str, typer.Option(help="An age: 12h, 30d, 8w.")] = "",
    subject: Annotated[str, typer.Option(help="Whom it concerns: the subject or conversation of calls and runs.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be erased.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json_out: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Erase what is old, or all that concerns one subject.

    There is no way back. By age: runs, recorded calls, traces, paid answers, quarantine and failed drafts. By subject:
    all of these and the cases, labels, recordings and examples with the subject's texts, in the registry and in the
    repository's files; data sets and classifiers made of them go whole. Afterwards every file is searched for them.
    What git's history holds is not touched.

    Examples:

    \b
      skillforge purge --older-than 30d --dry-run
      skillforge purge --subject customer-4711 --yes

    Exit code: 0 all of it is gone, 1 something is left (said where), 2 usage.
    """
    age = _seconds(older_than) if older_than else None
    with open_forge() as forge:
        repository = forge.repository
        planned = repository.purge(older_than_s=age, subject=subject, dry_run=True)
        if dry_run or not (planned.rows or planned.lines or planned.files or subject):
            _tell(planned, json_out=json_out)
            return
        if not yes:
            _tell(planned, json_out=False, err=True)
            if not confirmed("erase this for good?"):
                hint = "it cannot be undone: look with --dry-run, then answer yes or add --yes"
                raise UsageError("nothing was erased", hint=hint)
        done = repository.purge(older_than_s=age, subject=subject)
    _tell(done, json_out=json_out)
    raise typer.Exit(0 if done.whole else _LEFT)


def _seconds(age: str) -> float:
    found = _AGE.fullmatch(age)
    if found is None:
        raise UsageError(f"--older-than {age}: not an age", hint="write it as 12h, 30d or 8w")
    return float(found[1]) * _SECONDS[found[2]]


def _tell(done: Purged, *, json_out: bool, err: bool = False) -> None:
    if json_out:
        print_json(as_json(done))
        return
    verb = "would be erased" if done.dry_run else "erased"
    for table, count in done.rows.items():
        typer.echo(f"{count:,} {table.replace('_', ' ')} {verb}", err=err)
    for path, count in done.lines.items():
        typer.echo(f"{path}: {count:,} {'entry' if count == 1 else 'entries'} {verb}", err=err)
    for path in done.files:
        typer.echo(f"{path}: {verb}", err=err)
    if done.deployed:
        _tell_waiting(done)
    elif not (done.rows or done.lines or done.files):
        note("nothing to erase")
    if done.shared:
        many = "1 of the texts was" if done.shared == 1 else f"{done.shared:,} of the texts were"
        note(f"{many} said by others too: what is theirs stays")
    for path in done.remaining:
        note(f"{path}: may still hold it: take it out by hand")


def _tell_waiting(done: Purged) -> None:
    """What a deployed version holds up, and the commands that go on."""
    from skillforge.ref import PRODUCTION

    for deployed in done.deployed:
        note(f"{deployed} is deployed and holds texts of the subject")
    waits = "the examples in skill files" if done.lines else "nothing more"
    note(f"until that is mended {waits} can go: recorded calls, runs, cases and versions wait")
    for name, alias in dict.fromkeys(_deployed_as(deployed) for deployed in done.deployed):
        as_alias = "" if alias == PRODUCTION else f" --as {alias}"
        note(
            f"  -> deploy a version without them: skillforge promote {name} --student PROVIDER:MODEL{as_alias}\n"
            f"     or take it away: skillforge undeploy {name}{as_alias}\n"
            "     then run the same purge again"
        )


def _deployed_as(deployed: str) -> tuple[str, str]:
    """(skill, alias) of ``NAME@3 (ALIAS)``."""
    version, _, alias = deployed.partition(" (")
    return version.partition("@")[0], alias.removesuffix(")")
