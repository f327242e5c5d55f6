"""The ``skillforge`` command: one file per noun, errors to messages, messages to exit codes."""

from __future__ import annotations

import io
import os
import signal
import sys
from types import FrameType, TracebackType
from typing import Annotated, Any

import typer

from skillforge.cli import (
    agent_skill,
    compare,
    cost,
    create,
    dataset,
    demo,
    demo_workflow,
    deploy,
    diff,
    doctor,
    evaluate,
    importing,
    judge,
    keys,
    leaderboard,
    learn,
    log,
    models,
    pr_comment,
    purge,
    requalify,
    review,
    run,
    scan,
    skills,
    suite,
    sync,
    trace,
    train,
    tune,
)
from skillforge.cli._create_help import CREATE_HELP
from skillforge.cli._shared import help_when_bare, note
from skillforge.errors import SkillforgeError

USAGE = 2
BUG = 70  # EX_SOFTWARE; never 1, which is a verdict

app = typer.Typer(
    name="skillforge",
    help="A strong model writes down how to do a task; cheap models do it; an eval proves whether they match.",
    epilog="Exit codes: 0 REPLACE, 1 KEEP, 3 NOT SURE; 2 usage, 4 infrastructure. Start with: skillforge demo",
    invoke_without_command=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("init")(skills.init)
app.command("lint")(skills.lint)
app.command("save")(skills.save)
app.command("create", help=CREATE_HELP)(create.create)
app.command("learn")(learn.learn)
app.command("run")(run.run)
app.command("eval")(evaluate.evaluate)
app.command("rescore")(evaluate.rescore)
app.command("compare")(compare.compare)
app.command("tune")(tune.tune)
app.add_typer(judge.app, name="judge")
app.command("train")(train.train)
app.command("leaderboard")(leaderboard.leaderboard)
app.command("recommend")(leaderboard.recommend)
app.command("requalify")(requalify.requalify)
app.command("promote")(deploy.promote)
app.command("rollback")(deploy.rollback)
app.command("undeploy")(deploy.undeploy)
app.command("history")(deploy.history)
app.command("sync")(sync.sync)
app.command("verify")(sync.verify)
app.command("delete")(sync.delete)
app.command("list")(skills.list_skills)
app.command("show")(skills.show)
app.command("diff")(diff.diff)
app.command("pr-comment")(pr_comment.pr_comment)
app.command("export")(agent_skill.export)
app.command("import")(importing.import_foreign)
app.add_typer(suite.app, name="suite")
app.add_typer(dataset.app, name="dataset")
app.command("review")(review.review)
app.add_typer(log.app, name="log")
app.add_typer(trace.app, name="trace")
app.command("scan")(scan.scan)
app.add_typer(models.app, name="models")
app.add_typer(keys.app, name="keys")
app.command("cost")(cost.cost)
app.command("purge")(purge.purge)
app.command("doctor")(doctor.doctor)
app.command("demo")(demo.demo)
app.command("demo-workflow")(demo_workflow.demo_workflow)


def _version(wanted: bool) -> None:
    if wanted:
        from skillforge import __version__

        typer.echo(f"skillforge {__version__}")
        raise typer.Exit


@app.callback()
def root(
    ctx: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Runs before every command; ``--version`` is all it knows."""
    help_when_bare(ctx)


def main() -> None:
    """Run the command line. Expected errors become one message; ``SKILLFORGE_DEBUG=1`` shows the traceback."""
    signal.signal(signal.SIGTERM, _interrupt)
    for stream in (sys.stdout, sys.stderr):
        # an answer may hold what the terminal's encoding cannot: escaped it can still be read
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code: Any = app(prog_name="skillforge", standalone_mode=False)
    except SkillforgeError as exc:
        _fail(str(exc), exc.hint, exc.exit_code, exc)
    except typer.TyperException as exc:
        context = getattr(exc, "ctx", None)
        _fail(exc.format_message(), f"see {context.command_path} --help" if context else "", USAGE, exc)
    except (typer.Abort, KeyboardInterrupt):  # outside of what can be resumed
        note("interrupted")
        raise SystemExit(130) from None
    except OSError as exc:
        place = f"{exc.filename}: " if exc.filename else ""
        _fail(f"{place}{exc.strerror or exc}", "check the path, its permissions and the space on the disk", USAGE, exc)
    except Exception as exc:
        said = f"{type(exc).__name__}: {exc}"
        _fail(f"this should not happen: {said}", "a bug: report it with what SKILLFORGE_DEBUG=1 shows", BUG, exc)
    raise SystemExit(code)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """A polite kill ends a command as Ctrl-C does: what is done is kept, and the command that goes on is said."""
    raise KeyboardInterrupt


def _fail(message: str, hint: str, code: int, exc: BaseException) -> None:
    if os.environ.get("SKILLFORGE_DEBUG"):
        sys.excepthook = _traceback
        raise exc
    note(f"error: {message}")
    if hint:
        note(f"  -> {hint}")
    raise SystemExit(code) from None


def _traceback(kind: type[BaseException], exc: BaseException, trace: TracebackType | None) -> None:
    """A traceback shows what messages leave out: the errors behind an error, which may quote anything."""
    import traceback

    note("".join(traceback.format_exception(kind, exc, trace)).rstrip())
