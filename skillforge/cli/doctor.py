"""``skillforge doctor``: what is installed, which keys are set, what answers, what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from skillforge.cli._shared import aligned, as_json, open_forge_at, print_json

MARKS = {"ok": "ok", "absent": "-", "warning": "WARN", "wrong": "WRONG"}


def doctor(
    call: Annotated[
        list[str] | None, typer.Option("--call", metavar="MODEL", help="Ask this model one word for real; repeatable.")
    ] = None,
    json_out: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
) -> None:
    """Look at the installation, the keys and the models.

    Nothing is called unless --call names a model; keys are never shown. What can be mended comes with its command.

    Examples:

    \b
      skillforge doctor
      skillforge doctor --call anthropic:claude-haiku-5-5 --call ollama:qwen3:8b

    Of models that an alias still uses it says when they are taken off the market.

    Exit code: 0 nothing is wrong, 1 something is; what not everybody needs is marked "-" and is not wrong.
    """
    with open_forge_at(Path.cwd()) as forge:
        found = forge.doctor(call or ())
    if json_out:
        print_json({"ok": found.ok, **as_json(found)})
    else:
        rows = [[MARKS[item.state], item.area, item.name, item.detail] for item in found.findings]
        for line, item in zip(aligned(rows, left=range(4)), found.findings, strict=True):
            typer.echo(line)
            if item.mend:
                typer.echo(f"       -> {item.mend}")
    raise typer.Exit(0 if found.ok else 1)
