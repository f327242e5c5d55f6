"""``skillforge create``: a teacher solves inputs and writes the skill down."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skillforge.cli._progress import Progress
from skillforge.cli._repository import make_repository
from skillforge.cli._shared import as_json, note, open_forge_at, print_json, resumable, split_pairs
from skillforge.cli._terms import BudgetOption, DryRunOption, RecordOption, ReplayOption, render_estimate, terms_of
from skillforge.errors import NotFound, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from skillforge.case import Case
    from skillforge.forge.forge import Forge
    from skillforge.forge.making.create import Created
    from skillforge.forge.session import Terms

STAGES = {"author": "the teacher writes the skill", "prove": "the draft runs on its own inputs"}
DOING = {"author": "writing the skill", "prove": "proving the draft"}


TaskArgument = Annotated[
    str | None, typer.Argument(metavar="[TASK]", help="The task in a sentence, or @FILE to read it from.")
]
FromLogOption = Annotated[
    str | None, typer.Option(metavar="GROUP", help="A group that scan found: its answers stand for the teacher's.")
]
LogsOption = Annotated[
    list[Path] | None, typer.Option("--log", metavar="FILE", help="Find the group in this log; repeat per file.")
]


def create(
    task: TaskArgument = None,
    teacher: Annotated[
        str | None, typer.Option(help="The strong model, for example anthropic:claude-opus-5-5.")
    ] = None,
    cases: Annotated[Path | None, typer.Option(help='JSONL of inputs, one {"input": {…}} a line.')] = None,
    inputs: Annotated[
        list[str] | None, typer.Option("--input", "-i", help="field=value of one input; repeat per field.")
    ] = None,
    from_log: FromLogOption = None,
    logs: LogsOption = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for <name>/skill.yaml (skills/).")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the skill; the teacher picks one otherwise.")] = None,
    suite: Annotated[str | None, typer.Option(help="What will measure it, for example evals/x.yaml.")] = None,
    budget: BudgetOption = None,
    dry_run: DryRunOption = False,
    record: RecordOption = None,
    replay: ReplayOption = None,
    json_out: Annotated[bool, typer.Option("--json", help="Print what was made as JSON.")] = False,
) -> None:
    """Let a strong model write down how to do a task.

    It solves real inputs first and writes a draft skill from what it did. Cases that carry splits are used from the
    train split only. What the teacher answered is kept: after an interruption the same command asks only for what is
    missing. After it has finished, the same command asks for another draft; the solved inputs stay paid for.

    With --from-log nothing is solved: what a program was answered already, in the train cases of the suite that was
    made from the same calls, is what the teacher writes from. Labels that people gave in review come before it.

    Examples:

    \b
      skillforge create "Route one support message to a queue" \\
        --teacher anthropic:claude-opus-5-5 --cases messages.jsonl --dry-run
      skillforge create @task.txt --teacher replay:answers.jsonl \\
        -i ticket="I was charged twice" -o skills
      skillforge create --from-log mail-desk --teacher anthropic:claude-opus-5-5

    Exit code: 0 a draft was made, 1 the teacher's draft stayed wrong, 2 usage, 4 the teacher gave no answer.
    """
    if name is not None:
        from skillforge.ref import check_name

        check_name(name)
    given = _given(task, cases, inputs, from_log, logs)
    terms = terms_of(budget, record, replay)
    if dry_run:
        with open_forge_at(Path.cwd()) as forge:
            estimate = forge.estimate_create(**given, teacher=teacher, suite=suite)
        render_estimate(estimate, json_out=json_out)
        return
    _require_repository(log=from_log is not None)
    with open_forge_at(Path.cwd()) as forge:
        created = created_with_progress(
            forge, **given, teacher=teacher, name=name, folder=out, suite=suite, terms=terms
        )
    if json_out:
        print_json(as_json(created))
    else:
        render_created(created)


def _require_repository(*, log: bool) -> None:
    """A create makes one where there is none; what a log was made into stands in one already."""
    from skillforge.config import find_root

    if find_root(Path.cwd()) is not None:
        return
    if log:
        raise UsageError(f"{Path.cwd()} is not in a skillforge repository", hint="go to the one that holds the suite")
    make_repository(Path.cwd())
    note(f"{Path.cwd()} is a skillforge repository now (as skillforge init makes one)")


def created_with_progress(
    forge: Forge,
    task: str,
    cases: Sequence[Case] = (),
    *,
    teacher: str | None,
    from_log: str = "",
    logs: Sequence[Path] = (),
    name: str | None = None,
    folder: Path | None = None,
    suite: str | None = None,
    terms: Terms | None = None,
) -> Created:
    """``forge.create`` with progress on stderr; an interrupt names what was under way and how to go on."""
    from skillforge.forge.session import Terms

    stage = "solve"
    with Progress("solving", len(cases)) as progress, resumable(lambda: _interrupted(stage, progress)):

        def on_progress(now: str, done: int, total: int) -> None:
            nonlocal stage
            stage = now
            if now == "solve":
                progress.advance()
            else:
                progress.clear()
                note(STAGES[now])

        return forge.create(
            task,
            cases=cases,
            from_log=from_log,
            logs=logs,
            teacher=teacher,
            name=name,
            folder=folder,
            suite=suite,
            terms=terms or Terms(),
            on_progress=on_progress,
        )


def _interrupted(stage: str, progress: Progress) -> str:
    if not progress.total:  # a log brought them
        return f"while {DOING.get(stage, 'reading the log')}: what the teacher answered is kept"
    solved = f"{progress.done} of {progress.total} inputs are solved and kept"
    if stage == "solve":
        return f"while solving: {solved}"
    return f"while {DOING[stage]}: {solved}, and so is what the teacher answered since"


def render_created(created: Created) -> None:
    """What was made, for a person."""
    paid = f" ({created.reused} of them already paid for)" if created.reused else ""
    cost = created.cost
    dollars = "cost unknown" if cost.usd is None else f"${cost.usd:.4g}{' est.' if cost.estimated else ''}"
    if created.spent_usd is not None and not math.isclose(created.spent_usd, cost.usd or 0.0, abs_tol=1e-6):
        dollars += f" (${created.spent_usd:.4g} of it now)"
    solved, examples, checks = (
        f"{count} {noun}{'' if count == 1 else 's'}"
        for count, noun in ((created.solved, "input"), (created.examples, "example"), (created.checks, "check"))
    )
    typer.echo(f"{created.name}@{created.version}  {created.path}  {'new draft' if created.new else 'unchanged'}")
    if created.from_log:
        typer.echo(f"  {solved} answered in the log{_apart(created)}; {examples}, {checks}")
    else:
        typer.echo(f"  solved {solved}{paid}; {examples}, {checks}")
    typer.echo(
        f"  on {created.proved} of its own inputs: {created.proved_ok} fit, {created.agreed} equal the solved answer"
    )
    typer.echo(f"  teacher {created.teacher}, {dollars}{', repaired once' if created.repaired else ''}")


def _apart(created: Created) -> str:
    """What of the log was not taken as it stands."""
    told = [f"{created.labelled} of them labelled by people"] if created.labelled else []
    if created.left_out:
        told.append("left out: " + ", ".join(f"{count} {reason}" for reason, count in created.left_out.items()))
    return f" ({'; '.join(told)})" if told else ""


def _given(
    task: str | None, cases: Path | None, pairs: list[str] | None, from_log: str | None, logs: list[Path] | None
) -> dict[str, Any]:
    """What the skill is made of, as the arguments of ``Forge.create`` say it. Raises ``UsageError``."""
    if from_log is not None:
        if cases is not None or pairs:
            raise UsageError("give the inputs in exactly one way", hint="--from-log GROUP brings its own")
        return {"task": _task(task or ""), "from_log": from_log, "logs": logs or []}
    if logs:
        raise UsageError("--log names a log, but no group of it", hint="add --from-log GROUP")
    if task is None:
        raise UsageError("no task is given", hint='say what to do: skillforge create "Route one ticket to …"')
    return {"task": _task(task), "cases": _inputs(cases, pairs)}


def _task(task: str) -> str:
    if not task.startswith("@"):
        return task
    file = task.removeprefix("@")
    try:
        return Path(file).read_text("utf-8").strip()
    except OSError as exc:
        raise NotFound(f"{file}: the task cannot be read ({exc.strerror})", hint="check the path after @") from exc
    except UnicodeDecodeError as exc:
        raise UsageError(f"{file}: the task is not UTF-8 text", hint="save it as UTF-8") from exc


def _inputs(cases: Path | None, pairs: list[str] | None) -> list[Case]:
    from skillforge.case import Case
    from skillforge.evals.sampling import training_cases
    from skillforge.suitefile import read_cases

    if (cases is None) == (not pairs):
        raise UsageError("give the inputs in exactly one way", hint="--cases FILE.jsonl, -i field=value, or --from-log")
    if cases is None:
        return [Case(id="input-1", input=dict(split_pairs(pairs or [])))]
    found = list(read_cases(cases))
    listed, split = training_cases(found)
    if split is not None:
        note(f"{cases}: using the {len(listed)} cases of the {split} split, {len(found) - len(listed)} stay unseen")
    if not listed:
        raise UsageError(f"{cases}: no cases to solve", hint='a line is {"input": {"field": "value"}}')
    return listed
