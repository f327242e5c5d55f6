"""``skillforge create``: a teacher solves inputs and writes the skill down."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skillforge.cli._created import created_with_progress, render_created
from skillforge.cli._from_trace import (
    AuthorRequestOption,
    DraftOption,
    FromTraceOption,
    TurnOption,
    compile_traces,
    require_alone,
    require_trace,
)
from skillforge.cli._loop_options import (
    FreshOption,
    MaxTokensOption,
    MaxTurnsOption,
    MaxUsdOption,
    TimeLimitOption,
    loop_limits,
)
from skillforge.cli._repository import make_repository
from skillforge.cli._shared import as_json, note, open_forge_at, print_json, split_pairs
from skillforge.cli._taught import (
    CriticOption,
    LabellerOption,
    RoleWishes,
    SimulatorOption,
    TargetOption,
    create_with_cases,
)
from skillforge.cli._terms import BudgetOption, DryRunOption, RecordOption, ReplayOption, render_estimate, terms_of
from skillforge.cli._tool_options import (
    McpOption,
    ToolRecordingOption,
    ToolsOption,
    YesOption,
    asker,
    tools_given,
)
from skillforge.errors import NotFound, UsageError

if TYPE_CHECKING:
    from skillforge.case import Case
    from skillforge.forge.making.from_trace import TraceWishes
    from skillforge.forge.session import Terms
    from skillforge.tools.guard import Ask

TaskArgument = Annotated[
    str | None, typer.Argument(metavar="[TASK]", help="The task in a sentence, or @FILE to read it from.")
]
FromLogOption = Annotated[
    str | None, typer.Option(metavar="GROUP", help="A group that scan found: its answers stand for the teacher's.")
]
LogsOption = Annotated[
    list[Path] | None, typer.Option("--log", metavar="FILE", help="Find the group in this log; repeat per file.")
]
TeacherOption = Annotated[str | None, typer.Option(help="The strong model, for example anthropic:claude-opus-5-5.")]
CasesOption = Annotated[Path | None, typer.Option(help='JSONL of inputs, one {"input": {…}} a line.')]
InputsOption = Annotated[
    list[str] | None, typer.Option("--input", "-i", help="field=value of one input; repeat per field.")
]
OutOption = Annotated[Path | None, typer.Option("--out", "-o", help="Folder for <name>/skill.yaml (skills/).")]
NameOption = Annotated[str | None, typer.Option(help="Name of the skill; the teacher picks one otherwise.")]
SuiteOption = Annotated[str | None, typer.Option(help="What will measure it, for example evals/x.yaml.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print what was made as JSON.")]


def create(
    task: TaskArgument = None,
    teacher: TeacherOption = None,
    cases: CasesOption = None,
    inputs: InputsOption = None,
    from_log: FromLogOption = None,
    logs: LogsOption = None,
    from_trace: FromTraceOption = None,
    turn: TurnOption = None,
    draft: DraftOption = None,
    author_request: AuthorRequestOption = False,
    out: OutOption = None,
    name: NameOption = None,
    cases_target: TargetOption = None,
    simulator: SimulatorOption = None,
    labeller: LabellerOption = None,
    critic: CriticOption = None,
    suite: SuiteOption = None,
    tools: ToolsOption = None,
    mcp: McpOption = None,
    tool_recording: ToolRecordingOption = None,
    yes: YesOption = False,
    max_turns: MaxTurnsOption = None,
    max_tokens: MaxTokensOption = None,
    max_usd: MaxUsdOption = None,
    time_limit: TimeLimitOption = None,
    fresh: FreshOption = False,
    budget: BudgetOption = None,
    dry_run: DryRunOption = False,
    record: RecordOption = None,
    replay: ReplayOption = None,
    json_out: JsonOption = False,
) -> None:
    """``skillforge create``; its help is ``CREATE_HELP``."""
    making = _Making(teacher, name, out, suite, terms_of(budget, record, replay), dry_run, json_out)
    if from_trace is not None:
        require_alone(cases=cases, input=inputs, from_log=from_log, log=logs, tools=tools, mcp=mcp, dry_run=dry_run)
        _compiled(from_trace, task, making, turn, draft, request=author_request)
        return
    require_trace(turn=turn, draft=draft, author_request=author_request)
    roles = RoleWishes(cases_target, simulator, labeller, critic)
    if roles.target is not None:
        useless: dict[str, object] = {
            "--from-log": from_log,
            "--log": logs,
            "--suite": suite,
            "--tools": tools,
            "--mcp": mcp,
        }
        _with_cases(roles, task, cases, inputs, useless, making)
        return
    given = _given(task, cases, inputs, from_log, logs)
    limits = loop_limits(max_turns, max_tokens, max_usd, time_limit)
    box = tools_given(tools, mcp, tool_recording)
    if box is None and replay is None and (limits is not None or fresh):
        raise UsageError("limits of a loop are given, and no tools", hint="add --tools MODULE:OBJECT or --mcp COMMAND")
    _solved(given, {"tools": box, "limits": limits}, making, ask=asker(yes), fresh=fresh)


@dataclass(frozen=True)
class _Making:
    """Who writes the skill, where it goes, and how it is shown. Raises ``UsageError`` for a name that is none."""

    teacher: str | None
    name: str | None
    folder: Path | None
    suite: str | None
    terms: Terms
    dry_run: bool
    json_out: bool

    def __post_init__(self) -> None:
        if self.name is not None:
            from skillforge.ref import check_name

            check_name(self.name)


def _compiled(
    ref: str, task: str | None, making: _Making, turn: int | None, draft: Path | None, *, request: bool
) -> None:
    """From what agents did already."""
    if not request:
        _require_repository(log=False)
    wishes: TraceWishes = {
        "teacher": making.teacher,
        "turn": turn,
        "name": making.name,
        "folder": making.folder,
        "suite": making.suite,
        "task": _task(task or ""),
        "terms": making.terms,
    }
    compile_traces(ref, wishes, draft, request=request, json_out=making.json_out)


def _with_cases(
    roles: RoleWishes,
    task: str | None,
    cases: Path | None,
    inputs: list[str] | None,
    useless: dict[str, object],
    making: _Making,
) -> None:
    """With new inputs that a model simulates."""
    create_with_cases(
        roles,
        None if task is None else _task(task),
        cases,
        inputs or [],
        useless=useless,
        make_home=lambda: _require_repository(log=False),
        teacher=making.teacher,
        name=making.name,
        folder=making.folder,
        terms=making.terms,
        dry_run=making.dry_run,
        json_out=making.json_out,
    )


def _solved(given: dict[str, Any], loop: dict[str, Any], making: _Making, *, ask: Ask, fresh: bool) -> None:
    """From inputs that the teacher solves, or from a log."""
    if making.dry_run:
        with open_forge_at(Path.cwd()) as forge:
            estimate = forge.estimate_create(**given, **loop, teacher=making.teacher, suite=making.suite)
        render_estimate(estimate, json_out=making.json_out)
        return
    _require_repository(log="from_log" in given)
    with open_forge_at(Path.cwd()) as forge:
        created = created_with_progress(
            forge,
            **given,
            **loop,
            teacher=making.teacher,
            name=making.name,
            folder=making.folder,
            suite=making.suite,
            terms=making.terms,
            ask=ask,
            fresh=fresh,
        )
    if making.json_out:
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
