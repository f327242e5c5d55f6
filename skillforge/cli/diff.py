"""``skillforge diff``: what differs between two versions of a skill."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skillforge.cli._shared import aligned, as_json, note, open_forge, print_json
from skillforge.errors import UsageError
from skillforge.evals.wording.words import WORDS

if TYPE_CHECKING:
    from skillforge.forge.changes.diff import Change, Side, SkillDiff

_SIGNS = {"added": "+", "removed": "-", "changed": "~"}
_COLOURS = {"+": typer.colors.GREEN, "-": typer.colors.RED, "~": typer.colors.YELLOW, "@": typer.colors.CYAN}
_WIDTH = 160  # characters of a value that are shown


def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="A version: name@3, name@production, a name or a path.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The other; left out: A deployed against A as it is.")] = "",
    json_out: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Show what differs between two versions of a skill.

    Contract, texts, examples, checks, limits, and what was measured for both. With a name alone: what is deployed
    (@production) against the file, or the newest version where there is none.

    Examples:

    \b
      skillforge diff ticket-triage
      skillforge diff ticket-triage@2 ticket-triage@3 --json

    Exit code: 0 no difference, 1 differences, 2 no such version.
    """
    if not b:
        from skillforge.ref import PRODUCTION, SkillRef

        if SkillRef.parse(a).selector is not None:
            raise UsageError(f"{a}: against which other version?", hint="give both: skillforge diff NAME@2 NAME@3")
        a, b = f"{a}@{PRODUCTION}", a
    with open_forge() as forge:
        found = forge.repository.diff(a, b)
    if json_out:
        print_json({"changed": found.changed, **as_json(found)})
    else:
        _render(found)
    raise typer.Exit(1 if found.changed else 0)


def _render(found: SkillDiff) -> None:
    for change in found.changes:
        for line in _lines(change):
            _echo(line)
    for part, lines in found.texts.items():
        _echo(f"~ {part}")
        for line in lines:
            _echo(f"  {line}", sign=line[:1])
    table = [[*row] for side, mark in ((found.a, "a"), (found.b, "b")) for row in _measured(side, mark)]
    head = ["", "VERSION", "STUDENT", "SUITE", "VERDICT", "RIGHT", "DIFFERENCE", "COST OF 1,000", "CASES"]
    if table:
        typer.echo("")
    for text in aligned([head, *table], left={0, 1, 2, 3, 4}) if table else ():
        typer.echo(text)
    for side in (found.a, found.b):
        if not side.evidence:
            note(f"{_named(side)}: not measured; skillforge eval {side.name}")
    if not found.changed:
        note(f"{_named(found.a)} and {_named(found.b)}: no difference")


def _lines(change: Change) -> list[str]:
    head = f"{_SIGNS[change.kind]} {change.part} {change.name}".rstrip()
    if change.kind == "changed":
        return [head, f"  - {_shown(change.before)}", f"  + {_shown(change.after)}"]
    return [f"{head}: {_shown(change.after if change.kind == 'added' else change.before)}"]


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _WIDTH else f"{text[:_WIDTH]}…"


def _echo(line: str, *, sign: str = "") -> None:
    """In colours on a terminal only."""
    colour = _COLOURS.get(sign or line.lstrip()[:1])
    plain = colour is None or not sys.stdout.isatty() or "NO_COLOR" in os.environ
    typer.echo(line if plain else typer.style(line, fg=colour))


def _measured(side: Side, mark: str) -> list[list[str]]:
    rows = []
    for item in side.evidence:
        right = "?" if item.quality is None else f"{100 * item.quality:.1f}%"
        difference = "?" if item.difference is None else f"{100 * item.difference:+.1f}"
        cost = "unknown" if item.usd_per_1000 is None else f"${item.usd_per_1000:.4g}"
        verdict = WORDS.get(item.verdict, item.verdict)
        rows.append([mark, _named(side), item.student, item.suite, verdict, right, difference, cost, f"{item.cases:,}"])
    return rows


def _named(side: Side) -> str:
    return f"{side.name}@{side.version}"
