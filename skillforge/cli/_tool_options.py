"""The flags of commands that call tools: where the tools are, and whether those that write may."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skillforge.cli._asking import say, visible
from skillforge.cli._shared import without_secrets
from skillforge.errors import UsageError

if TYPE_CHECKING:
    from skillforge.messages import Tool
    from skillforge.tools.opening import Ask, ToolsGiven

_SHOWN = 400  # characters of the arguments in a question

ToolsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--tools", metavar="MODULE:OBJECT", help="Python functions as tools: one, a list or a mapping; repeat for more."
    ),
]
McpOption = Annotated[
    list[str] | None,
    typer.Option(
        "--mcp",
        metavar="COMMAND|URL",
        help="An MCP server's tools: its command in quotes, or its URL; repeat for more.",
    ),
]
ToolRecordingOption = Annotated[
    Path | None,
    typer.Option("--tool-recording", metavar="FILE", help="Answer calls of tools from this recording, not for real."),
]
RecordToolsOption = Annotated[
    Path | None,
    typer.Option("--record-tools", metavar="FILE", help="Write every call of a tool and its answer to this recording."),
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Let tools that write do so without a question.")]


def tools_given(
    tools: Sequence[str] | None, mcp: Sequence[str] | None, recording: Path | None, record: Path | None = None
) -> ToolsGiven:
    """What the flags name, to be opened with ``open_tools``; ``None`` where they name nothing.

    A recording answers instead of the tools; ``record`` is where their answers are written. Raises ``NotFound`` and
    ``SkillFileError`` for a recording that cannot be read, ``UsageError`` for tools beside it, and for nothing to
    record.
    """
    from skillforge.redact import Redactor

    clean = Redactor(os.environ).value
    if recording is not None:
        if tools or mcp or record:
            raise UsageError("--tool-recording answers instead of --tools and --mcp", hint="leave one side out")
        from skillforge.tools.recorded import read_recording

        return read_recording(recording, clean=clean)
    from skillforge.tools.opening import MCP, Recording

    named = [*(tools or ()), *(f"{MCP}{target}" for target in mcp or ())]
    if record is None:
        return named or None
    if not named:
        raise UsageError("--record-tools has nothing to record", hint="give the tools with --tools or --mcp")
    return Recording(named, record, clean)


def asker(yes: bool) -> Ask:
    """Who is asked before the first call of each tool that writes: nobody with ``yes``, else the person at the
    terminal. Where there is none, ``UsageError`` names ``--yes``.
    """
    return _allowed if yes else _asked


def _allowed(tool: Tool, arguments: Mapping[str, Any]) -> bool:
    return True


def _asked(tool: Tool, arguments: Mapping[str, Any]) -> bool:
    from skillforge.canonical import compact

    shown = visible(without_secrets(compact(dict(arguments))))
    call = f"{visible(tool.name)} {shown if len(shown) <= _SHOWN else shown[:_SHOWN] + '…'}"
    if not sys.stdin.isatty():
        message = f"the tool {visible(tool.name)} writes, and nobody is here to be asked"
        raise UsageError(message, hint="--yes lets tools write; --tool-recording FILE answers in their place")
    say(f"\n{call}")
    while True:  # not typer.confirm: it prints a space to stdout, where the result goes
        typer.echo(f"{visible(tool.name)} writes. Allow it, now and from then on? [y/N]: ", nl=False, err=True)
        said = sys.stdin.readline(_SHOWN).strip().casefold()
        if said in ("y", "yes"):
            return True
        if said in ("", "n", "no"):
            return False
