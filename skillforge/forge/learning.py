"""``skillforge learn``: from what a coding agent just did to a draft skill, a ``SKILL.md`` and a first verdict."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypedDict

from skillforge.config import STATE_FOLDER, find_root, store_io
from skillforge.engine.compiling.requests import Asked, chosen, requests
from skillforge.engine.compiling.routine import routine
from skillforge.errors import SkillFileError, UsageError
from skillforge.evals.verdict.summary import MIN_CASES
from skillforge.forge.calls.trajectories import find_traces, trajectory_log
from skillforge.forge.exchange.agent_skills import export_agent_skill
from skillforge.forge.making.from_trace import Compiled, TracePlan, create_from_traces, request_text
from skillforge.forge.session import NO_TERMS, Terms
from skillforge.forge.skills import SKILLS_FOLDER
from skillforge.forge.workspace import Workspace
from skillforge.formats.trajectories.sessions import LATEST, project_session
from skillforge.hygiene import hidden_text
from skillforge.injection import orders
from skillforge.messages import Value
from skillforge.ref import check_name
from skillforge.references import paths
from skillforge.skillfile import read_skill
from skillforge.store.trajectories import clean_trace, origin_of
from skillforge.taint import suspicious_results
from skillforge.trace import Trace

DRAFTS = "drafts"
AGENT_HOMES = (".agents", ".claude")  # where agents look for skills, in a folder `skills`
_SAID = 200  # characters of a request that become the task
_SHOWN_ID = 12

OnProgress = Callable[[str, int, int], None]


class LearnWishes(TypedDict, total=False):
    """How a skill is learnt of a session. ``turn`` is the request that is meant (default: the last one that is finished
    and did something), ``folder`` where ``<name>/skill.yaml`` goes, ``export`` where the ``SKILL.md`` goes (default:
    ``drafts`` beside the folder of skills that the project's agents load). A ``teacher`` proposes the workflow, or a
    ``draft`` (the text of a proposal) is taken; with neither a program writes down what was done.
    """

    turn: int | None
    name: str | None
    folder: str | Path | None
    export: str | Path | None
    teacher: str | None
    draft: str | None
    terms: Terms
    on_progress: OnProgress


class Spent(Value):
    """What the agent took for the request, as its session tells it; ``None`` where it does not. ``looked`` are shell
    commands that only looked, ``idle`` other calls that never mattered: none of them is in the skill.
    """

    answers: int
    calls: int
    looked: int = 0
    idle: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    usd: float | None = None


class NextStep(Value):
    """What a person does next: the command, and what for."""

    command: str
    why: str


class Learned(Value):
    """A draft that waits for its review. ``session`` is the file or id it was learnt of, ``trace`` the id under which
    it is stored ("" where nothing may be), ``request`` the one taken of ``requests``, ``said`` how it begins.

    Checked now: ``reproduced`` (on the recorded results it writes what the session wrote; a draft that does not is
    refused), ``warnings`` of the lint, ``orders`` found in the session's tool results (none of them is in the skill).
    ``constants`` are arguments that are the same in every run. ``asks`` is how often it asks a model, ``calls`` how
    often it calls a tool.

    ``exported`` is the folder with its ``SKILL.md``, "" where that was refused, with the reasons in ``unexported``.
    ``verdict`` is ``inconclusive`` (NOT SURE): one trace says nothing about quality, ``cases_needed`` more would.
    """

    session: str
    format: str = ""
    trace: str = ""
    request: int
    requests: int
    said: str
    spent: Spent
    made: Compiled
    reproduced: bool = True
    warnings: tuple[str, ...] = ()
    orders: tuple[str, ...] = ()
    constants: int = 0
    asks: int = 0
    calls: int = 0
    exported: str = ""
    unexported: tuple[str, ...] = ()
    verdict: Literal["inconclusive"] = "inconclusive"
    cases_needed: int = MIN_CASES
    next: tuple[NextStep, ...] = ()


class LearnRequest(Value):
    """What a teacher would be asked, and how the answer is given back: ``command``."""

    text: str
    command: str


async def learn(work: Workspace, ref: str | Path, wishes: LearnWishes) -> Learned:
    """Find the session, store it, take one request of it, compile, export, and say what is known.

    Raises ``NotFound`` where there is no session, ``UsageError`` where nothing can be made of it (its requests are
    listed), ``TeacherError`` for a plan that does not do what the session did or holds an order out of a tool result,
    ``SecretFound``.
    """
    _check(wishes)
    source, trace = found_session(work, ref)
    id = _stored(work, trace)
    asked = chosen(trace, wishes.get("turn"))
    made = await create_from_traces(work, _plan(work, asked, wishes), wishes.get("on_progress", _in_silence))
    assert isinstance(made, Compiled)  # a request without a tool call was refused
    folder = Path(wishes.get("export") or drafts_folder(work.root))
    exported, unexported = _export(work, made, folder)
    steps = made.skill.steps
    return Learned(
        session=source,
        format=trace.format,
        trace=id,
        request=asked.number,
        requests=len(requests(trace)),
        said=_line(asked.text),
        spent=_spent(asked),
        made=made,
        warnings=tuple(problem.describe(made.path) for problem in read_skill(Path(made.path)).warnings),
        orders=tuple(work.redactor.text(str(taint)) for taint in suspicious_results(asked.trace)),
        constants=sum(_constants(step.args) for step in steps),
        asks=made.asking,
        calls=sum(step.kind == "tool" for step in steps),
        exported=exported,
        unexported=unexported,
        next=_next(made, f"{id[:_SHOWN_ID]} --turn {asked.number}" if id else "", folder),
    )


def learn_request(work: Workspace, ref: str | Path, wishes: LearnWishes) -> LearnRequest:
    """What a teacher would be asked about the request. Nothing is stored. Raises as ``learn`` does."""
    _check(wishes)
    source, trace = found_session(work, ref)
    asked = chosen(trace, wishes.get("turn"))
    # named, because the session goes on while the answer is written
    command = f"skillforge learn {shlex.quote(source)} --turn {asked.number} --draft FILE"
    return LearnRequest(text=request_text(_plan(work, asked, wishes)), command=command)


def drafts_folder(root: Path) -> Path:
    """Where the ``SKILL.md`` of a draft goes: beside the skills that agents load, not among them."""
    home = next((name for name in AGENT_HOMES if (root / name / "skills").is_dir()), AGENT_HOMES[0])
    return root / home / DRAFTS


def found_session(work: Workspace, ref: str | Path) -> tuple[str, Trace]:
    """The session that is meant, without secrets, and its file or id. ``latest`` is the newest of this project."""
    source = str(project_session((Path.cwd(), work.root)).path) if str(ref) == LATEST else str(ref)
    traces = find_traces(work, source)
    whole = [trace for trace in traces if not trace.extra.get("sidechain_of")]
    if len(whole) > 1:
        raise UsageError(
            f"{source} holds {len(whole)} sessions, one is meant",
            hint="skillforge trace import it and name one by its id; several at once: skillforge create --from-trace",
        )
    return source, (whole or list(traces))[0]


def _in_silence(stage: str, done: int, total: int) -> None:
    """Nobody watches."""


def _check(wishes: LearnWishes) -> None:
    if wishes.get("teacher") and wishes.get("draft"):
        raise UsageError("a teacher and a draft are given", hint="give one: who proposes the workflow?")
    if (name := wishes.get("name")) is not None:
        check_name(name)


def _stored(work: Workspace, trace: Trace) -> str:
    if store_io(work.settings) == "none":
        return ""
    if find_root(work.root) is None:
        (work.root / STATE_FOLDER).mkdir(parents=True, exist_ok=True)
    trajectory_log(work).add([trace])
    return origin_of(clean_trace(trace, work.redactor))


def _plan(work: Workspace, asked: Asked, wishes: LearnWishes) -> TracePlan:
    folder = wishes.get("folder")
    return TracePlan(
        traces=(asked.done,),
        folder=Path(folder) if folder is not None else work.root / SKILLS_FOLDER,
        task=_task(asked.text),
        teacher=wishes.get("teacher") or "",
        draft=wishes.get("draft") or "",
        name=wishes.get("name"),
        terms=wishes.get("terms", NO_TERMS),
        write=routine,
    )


def _task(said: str) -> str:
    """The request as the task, unless it holds what no skill may: then a person names it."""
    line = _line(said)
    return "" if hidden_text(line) or orders(line) else line


def _line(said: str) -> str:
    line = " ".join(said.split())
    return line if len(line) <= _SAID else f"{line[: _SAID - 1]}…"


def _spent(asked: Asked) -> Spent:
    usage = asked.trace.usage
    return Spent(
        answers=asked.answers,
        calls=asked.calls,
        looked=len(asked.looks),
        idle=len(asked.idle),
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        usd=asked.trace.cost.usd,
    )


def _constants(args: Mapping[str, Any]) -> int:
    return sum(not any(True for _ in paths(value)) for value in args.values())


def _export(work: Workspace, made: Compiled, folder: Path) -> tuple[str, tuple[str, ...]]:
    """The folder written, or why none was: the draft stands either way."""
    try:
        return str(export_agent_skill(work, made.path, folder)), ()
    except SkillFileError as exc:
        return "", tuple(work.redactor.text(problem.describe(made.name)) for problem in exc.problems)
    except UsageError as exc:
        return "", (f"{exc} ({exc.hint})",)


def _next(made: Compiled, trace: str, folder: Path) -> tuple[NextStep, ...]:
    name, version = made.name, f"{made.name}@{made.version}"
    live = folder.parent / SKILLS_FOLDER if folder.name == DRAFTS else folder
    steps = [(f"skillforge show {version}", "read it: its constants and texts are the session's")]
    if trace:
        steps.append((f"skillforge trace show {trace} --plan {name}", "what became of every call"))
    steps += [
        (
            f"skillforge export {name} {shlex.quote(_short(live))}",
            "once it is read: the agents of this project load it",
        ),
        (f"skillforge review {name}", f"label at least {MIN_CASES} cases of evals/{name}.yaml, which you write"),
        (f"skillforge eval {name} --students MODEL --sandbox MODULE:FUNCTION", "REPLACE, KEEP or NOT SURE"),
        (f"skillforge promote {version} --student MODEL", "deploy it, after REPLACE"),
    ]
    return tuple(NextStep(command=command, why=why) for command, why in steps)


def _short(folder: Path) -> str:
    here = Path.cwd()
    return str(folder.relative_to(here)) if folder.is_relative_to(here) else str(folder)
