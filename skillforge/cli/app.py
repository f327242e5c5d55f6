"""The ``skillforge`` command: one file per noun, errors to messages, messages to exit codes."""

from __future__ import annotations

import errno
import os
import sys
from typing import Annotated

import typer

from skillforge.cli import create, demo, evaluate, models, run, skills
from skillforge.errors import SkillforgeError

app = typer.Typer(
    name="skillforge",
    help="A strong model writes down how to do a task; cheap models do it; an eval proves whether they match.",
    epilog="Exit codes: 0 pass, 1 fail, 2 usage, 3 inconclusive, 4 infrastructure. Start with: skillforge demo",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("init")(skills.init)
app.command("lint")(skills.lint)
app.command("save")(skills.save)
app.command("create")(create.create)
app.command("run")(run.run)
app.command("eval")(evaluate.evaluate)
app.command("list")(skills.list_skills)
app.command("show")(skills.show)
app.add_typer(models.app, name="models")
app.command("demo")(demo.demo)


def _version(wanted: bool) -> None:
    if wanted:
        from skillforge import __version__

        typer.echo(f"skillforge {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Runs before every command; ``--version`` is all it knows."""


def main() -> None:
    """Run the command line. Expected errors become one message; ``SKILLFORGE_DEBUG=1`` shows the traceback."""
    try:
        app()
    except SkillforgeError as exc:
        _fail(str(exc), exc.hint, exc.exit_code, exc)
    except OSError as exc:
        if exc.errno == errno.EPIPE:  # the reader of a pipe went away
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(1) from None
        place = f"{exc.filename}: " if exc.filename else ""
        hint = "free some space; what was finished is kept" if exc.errno == errno.ENOSPC else ""
        _fail(f"{place}{exc.strerror or exc}", hint, 4 if exc.errno == errno.ENOSPC else 2, exc)


def _fail(message: str, hint: str, code: int, exc: BaseException) -> None:
    if os.environ.get("SKILLFORGE_DEBUG"):
        raise exc
    typer.echo(f"error: {message}", err=True)
    if hint:
        typer.echo(f"  -> {hint}", err=True)
    raise SystemExit(code) from None
