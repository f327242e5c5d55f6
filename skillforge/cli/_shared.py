"""What every command needs: a Forge that talks to stderr, JSON on stdout, inputs from flags and files."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from skillforge.errors import InvalidInput, NotFound, UsageError
from skillforge.jsonl import strict_json

if TYPE_CHECKING:
    from pydantic import BaseModel

    from skillforge.forge.forge import Forge

MAX_INPUT_BYTES = 1_048_576
SHOWN = 60  # characters of a wrong value in a message
_SUCH: Mapping[str, str] = defaultdict(
    lambda: "3 or [1, 2]",
    {"integer": "3", "number": "3.5", "boolean": "true", "array": '["a", "b"]', "object": '{"a": 1}', "null": "null"},
)


def note(message: str) -> None:
    """A line for the person, on stderr: stdout holds results only. Secrets are taken out: it may quote anything."""
    typer.echo(without_secrets(message), err=True)


def without_secrets(text: str) -> str:
    """The text without what the environment or its shape shows to be a secret."""
    from skillforge.redact import Redactor

    return Redactor(os.environ).text(text)


def help_when_bare(ctx: typer.Context) -> None:
    """A group called without a command shows its help, on stderr: nothing was done."""
    if ctx.invoked_subcommand is None:
        note(ctx.get_help())
        raise typer.Exit(2)


def open_forge() -> Forge:
    """The repository around the current folder; what it has to say goes to stderr.

    Raises ``UsageError`` where there is none: only ``init``, ``create`` and ``demo`` make one.
    """
    from skillforge.config import find_root

    if find_root(Path.cwd()) is None and not os.environ.get("SKILLFORGE_DB"):
        raise UsageError(
            f"{Path.cwd()} is not in a skillforge repository", hint="make it one: skillforge init, or go to yours"
        )
    return open_forge_at(Path.cwd())


def open_forge_at(folder: Path) -> Forge:
    """The repository around ``folder``, or ``folder`` itself where there is none."""
    from skillforge.cli._progress import show_wait
    from skillforge.forge.forge import Forge

    return Forge(folder, say=note, on_wait=show_wait())


@contextmanager
def resumable(kept: Callable[[], str]) -> Iterator[None]:
    """An interrupt ends the command with exit code 130, saying what ``kept()`` says and the command that goes on."""
    from skillforge.cli._progress import Progress

    try:
        yield
    except KeyboardInterrupt:
        Progress.silent = True
        note(f"\ninterrupted {kept()}\n  -> go on with: {this_command()}")
        raise typer.Exit(130) from None


def confirmed(question: str) -> bool:
    """Whether the answer is yes; no where nobody is there to answer."""
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        return False


def this_command() -> str:
    """The command line as it was typed, to be typed again; secrets in it are not shown."""
    return without_secrets(shlex.join([command_name(), *sys.argv[1:]]))


def command_name() -> str:
    """How this very command is typed: ``make demo`` leaves it in a virtual environment that is not active."""
    if shutil.which("skillforge"):
        return "skillforge"
    beside = Path(sys.executable).with_name("skillforge")
    return str(beside.relative_to(Path.cwd())) if beside.is_relative_to(Path.cwd()) else str(beside)


def aligned(rows: Sequence[Sequence[str]], *, left: Collection[int]) -> list[str]:
    """Rows as lines of equal columns; those in ``left`` start at their left edge, the others end at their right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = zip(range(len(widths)), row, widths, strict=True)
        padded = [cell.ljust(width) if at in left else cell.rjust(width) for at, cell, width in cells]
        lines.append("  ".join(padded).rstrip())
    return lines


def print_json(value: Any) -> None:
    """One JSON document on stdout, in plain ASCII where stdout is not UTF-8."""
    ascii_only = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    typer.echo(json.dumps(value, ensure_ascii=ascii_only, indent=2))


def as_json(value: BaseModel) -> dict[str, Any]:
    return value.model_dump(mode="json", by_alias=True)


def split_pairs(pairs: Sequence[str]) -> dict[str, str]:
    """``["a=1", "b=x=y"]`` as a mapping. Raises ``UsageError`` for a pair without "=" or a field given twice."""
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise UsageError(f"-i {pair}: must be field=value", hint='for example -i ticket="I was charged twice"')
        if name in found:
            raise UsageError(f"-i {name}: given twice", hint="write it once")
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise UsageError(f"-i {name}: not UTF-8 text", hint="give it as JSON with -f FILE")
        found[name] = value
    return found


def typed_fields(contract: Mapping[str, Mapping[str, Any]], pairs: Sequence[str]) -> dict[str, Any]:
    """Pairs read by the contract: text stays text, every other type is JSON (``-i urgent=true -i tags='["a"]'``)."""
    return {name: _typed(contract.get(name, {}), name, text) for name, text in split_pairs(pairs).items()}


def _typed(schema: Mapping[str, Any], name: str, text: str) -> Any:
    kinds = schema.get("type", "string" if not schema.get("enum") else None)
    kinds = {kinds} if isinstance(kinds, str) else set(kinds or ())
    choices = schema.get("enum", ())
    if text in choices or kinds == {"string"}:
        return text
    try:
        return strict_json(text)
    except ValueError as exc:
        if not kinds or "string" in kinds:
            return text
        wanted = " or ".join(sorted(kinds))
        shown = text if len(text) <= SHOWN else text[:SHOWN] + "…"
        raise InvalidInput(
            f"-i {name}: {shown!r} is not of the type {wanted}",
            field=name,
            hint=f"write it as JSON, such as {_SUCH[wanted]}",
        ) from exc


def read_input(source: str) -> dict[str, Any]:
    """A JSON object from a file, or from stdin for ``-``."""
    name = "stdin" if source == "-" else source
    try:
        with nullcontext(sys.stdin.buffer) if source == "-" else Path(source).open("rb") as handle:
            data = handle.read(MAX_INPUT_BYTES + 1)
    except OSError as exc:
        raise NotFound(f"{name}: cannot be read ({exc.strerror})", hint="check the path") from exc
    if len(data) > MAX_INPUT_BYTES:
        raise InvalidInput(f"{name}: longer than {MAX_INPUT_BYTES:,} bytes", hint="give a shorter input")
    if not data.strip():
        raise InvalidInput(f"{name}: empty", hint='give the input as a JSON object: {"field": "value"}')
    try:
        value = strict_json(data)
    except ValueError as exc:
        raise InvalidInput(f"{name}: not JSON: {exc}", hint='an input is an object: {"field": "value"}') from exc
    if not isinstance(value, dict):
        raise InvalidInput(f"{name}: must be a JSON object", hint='for example {"ticket": "…"}')
    return value
