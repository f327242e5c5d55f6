"""``skillforge log import | list``: model calls that programs made already."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skillforge.cli._asking import visible
from skillforge.cli._shared import aligned, as_json, help_when_bare, note, open_forge, print_json, resumable
from skillforge.errors import UsageError

if TYPE_CHECKING:
    from skillforge.call import Call
    from skillforge.forge.calls.logs import Imported

app = typer.Typer(invoke_without_command=True, help="Model calls that programs made: import logs, look at them.")

JsonOut = Annotated[bool, typer.Option("--json", help="Print as JSON.")]
Files = Annotated[list[Path], typer.Argument(metavar="FILE…", help="Log files, also gzipped (.gz).")]
_DRAWN_EVERY = 0.1  # seconds, on a terminal
_SAID_EVERY = 10.0  # seconds, where there is none
_WORDS = 48  # characters of a call's first words


@app.callback()
def root(ctx: typer.Context) -> None:
    """Called without a command, it shows its help."""
    help_when_bare(ctx)


@app.command("import")
def import_logs(
    files: Files,
    tag: Annotated[list[str] | None, typer.Option("--tag", metavar="KEY=VALUE", help="A tag for every call.")] = None,
    json_out: JsonOut = False,
) -> None:
    """Store the model calls of log files; a call that is stored already is left.

    Reads {request, response} JSON Lines, OpenAI batch input, output and error files together, Anthropic batch requests
    and results together, LiteLLM's StandardLoggingPayload and Langfuse observations. Secrets are taken out. Records
    that cannot be read go to .skillforge/quarantine with the reason. The exit code is 1 where no call could be read, a
    file is empty or a gzip file is cut.

    Examples:

    \b
      skillforge log import calls.jsonl --tag app=support
      skillforge log import batch_in.jsonl batch_out.jsonl batch_errors.jsonl
      skillforge log import litellm-2026-11-*.jsonl.gz
    """
    tags = _tags(tag or [])
    shown = CallCounter()
    with open_forge() as forge, resumable(lambda: "what was read is kept"):
        try:
            done = forge.traffic.import_logs(files, tags=tags, on_calls=shown)
        finally:
            shown.clear()
    if json_out:
        print_json(as_json(done))
    else:
        _print(done)
    if done.problem:
        note(visible(done.problem))
        raise typer.Exit(1)


def _print(done: Imported) -> None:
    typer.echo(f"{done.read:,} call{'' if done.read == 1 else 's'} read, {done.new:,} new, {done.known:,} known")
    if done.skipped:
        note(f"left out, because no model calls (spans, embeddings): {done.skipped:,}")
    if done.quarantined:
        note(f"put aside, because unreadable: {done.quarantined:,}, with the reasons in {done.quarantine}")
    if done.new:
        note("  -> what recurs in them: skillforge scan")


@app.command("list")
def list_calls(
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many calls.")] = 20,
    json_out: JsonOut = False,
) -> None:
    """List the newest recorded calls: when, which model, tokens in and out, what it cost, its first words.

    Examples:

    \b
      skillforge log list
      skillforge log list --limit 100 --json
    """
    with open_forge() as forge:
        calls = forge.traffic.recent(limit)
    if json_out:
        print_json([as_json(call) for call in calls])
        return
    if not calls:
        note("no calls recorded yet: skillforge log import FILE…, or forge.wrap(client) in a program")
        return
    rows = [("time", "model", "in", "out", "$", "says"), *map(_row, calls)]
    typer.echo("\n".join(aligned(rows, left={0, 1, 5})))


class CallCounter:
    """How many calls (or ``what`` else) were read so far: a live line on a terminal, a line now and then otherwise."""

    def __init__(self, what: str = "calls") -> None:
        self._what = what
        self._live = sys.stderr.isatty()
        self._said = time.monotonic()
        self._drawn = False

    def __call__(self, count: int) -> None:
        now = time.monotonic()
        if now - self._said < (_DRAWN_EVERY if self._live else _SAID_EVERY):
            return
        self._said, self._drawn = now, self._live
        sys.stderr.write(f"\r\x1b[K{count:,} {self._what} read" if self._live else f"{count:,} {self._what} read\n")
        sys.stderr.flush()

    def clear(self) -> None:
        if self._drawn:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def _tags(pairs: list[str]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise UsageError(f"--tag {pair}: must be key=value", hint="for example --tag app=support")
        found[name] = value
    return found


def _row(call: Call) -> tuple[str, ...]:
    usd = call.cost.usd
    return (
        call.at[:19].replace("T", " ") or "-",
        _printable(call.model, 32),
        _count(call.usage.input_tokens),
        _count(call.usage.output_tokens),
        "-" if usd is None else f"{usd:.6f}",
        _printable(_first_words(call), _WORDS),
    )


def _first_words(call: Call) -> str:
    """The start of the last thing a person said, else of the answer, else why there is none."""
    said = next((message.text for message in reversed(call.messages) if message.role == "user" and message.text), "")
    return said or call.text or (f"error: {call.error}" if call.error else "")


def _count(tokens: int | None) -> str:
    return "-" if tokens is None else f"{tokens:,}"


def _printable(text: str, most: int) -> str:
    """One line that a terminal cannot take for a command."""
    line = "".join(c if c.isprintable() else " " for c in text[: most * 8])
    line = " ".join(line.split())
    return line if len(line) <= most else line[: most - 1] + "…"
