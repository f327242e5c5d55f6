"""``skillforge promote | rollback | undeploy | history``: which version answers under which alias."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skillforge.cli._shared import aligned, as_json, note, open_forge, print_json
from skillforge.errors import UsageError
from skillforge.evals.wording.words import WORDS

if TYPE_CHECKING:
    from skillforge.lockfile import Move

Name = Annotated[str, typer.Argument(metavar="NAME", help="The skill's name.")]
Alias = Annotated[str, typer.Option("--as", metavar="ALIAS", help="The alias; code that names none means production.")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, kept in the history.")]
JsonOut = Annotated[bool, typer.Option("--json", help="Print as JSON.")]


def promote(
    ref: Annotated[str, typer.Argument(metavar="NAME[@REF]", help="The version: name@3; a name alone is its file.")],
    student: Annotated[str, typer.Option(help="Who runs it, for example local:smollm2-135m.")],
    alias: Alias = "production",
    fallback: Annotated[str, typer.Option(help="Who answers when the student cannot: its provider is down, …")] = "",
    suite: Annotated[Path | None, typer.Option(help="The suite it must have passed; default: the skill's own.")] = None,
    accept_risk: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Why it is promoted without a fresh pass; this is recorded.")
    ] = None,
    reason: Reason = "",
    json_out: JsonOut = False,
) -> None:
    """Deploy a version: from then on it answers under the alias.

    It needs a fresh verdict REPLACE for exactly this version, student and suite. skillforge.lock and
    skills/NAME/deployed/ change: commit them, so that the deployment is reviewed.

    Examples:

    \b
      skillforge promote ticket-triage@3 --student local:smollm2-135m
      skillforge promote ticket-triage@3 --student ollama:qwen3:8b \\
        --fallback anthropic:claude-haiku-5-5 --as staging
      skillforge promote ticket-triage@3 --student ollama:qwen3:8b \\
        --accept-risk "pilot with one team, 20 calls a day"

    Exit code: 0 promoted, or nothing to change; 2 refused, with every reason.
    """
    if accept_risk is not None and not accept_risk.strip():
        raise UsageError("--accept-risk is empty", hint="say why the risk is accepted: it is kept with the deployment")
    with open_forge() as forge:
        move = forge.deployments.promote(
            ref,
            student=student,
            alias=alias,
            fallback=fallback,
            suite=suite,
            accept_risk=accept_risk or "",
            reason=reason,
        )
        name = forge.show(ref).name
    if json_out:
        print_json({"skill": name, **as_json(move)})
        return
    typer.echo(f"{name}@{move.alias} is {_target(move)}")
    if move.accepted_risk:
        note(f"without a fresh pass: {move.accepted_risk}")


def rollback(name: Name, alias: Alias = "production", reason: Reason = "", json_out: JsonOut = False) -> None:
    """Go back to what answered before the last change.

    Again, and it goes further back. Nothing is measured for it. Commit skillforge.lock afterwards.

    Examples:

    \b
      skillforge rollback ticket-triage
      skillforge rollback ticket-triage --as staging --reason "refunds go wrong"

    Exit code: 0 rolled back, 2 where there is nothing to go back to.
    """
    with open_forge() as forge:
        move = forge.deployments.rollback(name, alias=alias, reason=reason)
    if json_out:
        print_json({"skill": name, **as_json(move)})
    else:
        typer.echo(f"{name}@{move.alias} is {_target(move)} again")


def undeploy(name: Name, alias: Alias = "production", reason: Reason = "", json_out: JsonOut = False) -> None:
    """Take an alias away: nothing answers under it any more.

    Code that names it gets an error from then on; rollback brings it back. Commit skillforge.lock afterwards.

    Examples:

    \b
      skillforge undeploy ticket-triage --as staging
      skillforge undeploy ticket-triage --reason "the desk is closed"

    Exit code: 0 taken away, 2 where there is no such alias.
    """
    with open_forge() as forge:
        move = forge.deployments.remove(name, alias=alias, reason=reason)
    if json_out:
        print_json({"skill": name, **as_json(move)})
    else:
        typer.echo(f"{name}@{move.alias} is taken away")


def history(name: Name, json_out: JsonOut = False) -> None:
    """List every change of a skill's aliases, oldest first.

    Examples:

    \b
      skillforge history ticket-triage
      skillforge history ticket-triage --json
    """
    with open_forge() as forge:
        moves = forge.deployments.history(name)
    if json_out:
        print_json([as_json(move) for move in moves])
        return
    if not moves:
        note(f"{name} was never promoted: skillforge promote {name} --student PROVIDER:MODEL")
        return
    table = [["WHEN", "BY", "ALIAS", "WHAT", "TO", "VERDICT", "WHY"]]
    table += [_row(move) for move in moves]
    for line in aligned(table, left=range(7)):
        typer.echo(line)


def _row(move: Move) -> list[str]:
    verdict = WORDS.get(move.verdict, "not measured" if move.version is not None else "")
    why = "; ".join(filter(None, (move.accepted_risk and f"accepted risk: {move.accepted_risk}", move.reason)))
    when = move.at[:19].replace("T", " ")
    return [when, move.by, move.alias, move.action, _target(move) if move.version else "nowhere", verdict, why]


def _target(move: Move) -> str:
    fallback = f", else {move.fallback}" if move.fallback else ""
    return f"@{move.version} on {move.student}{fallback}"
