"""``create --from-trace``: a workflow from what agents did already, proved on their recorded tool results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from pydantic import Field

from skillforge.config import STATE_FOLDER, find_root
from skillforge.engine.author import Draft
from skillforge.engine.compiling.doubts import doubts
from skillforge.engine.compiling.events import segment, succeeded, tool_events
from skillforge.engine.compiling.mechanical import mechanical
from skillforge.engine.compiling.propose import (
    PlanWriter,
    Proposed,
    author_workflow,
    free_draft,
    mechanical_draft,
    read_proposal,
    workflow_request,
)
from skillforge.engine.frame import HARNESS
from skillforge.errors import TeacherError, UsageError
from skillforge.forge.calls.trajectories import find_traces
from skillforge.forge.making.create import Created, CreatePlan, create_skill, keep_answers, store_skill
from skillforge.forge.making.from_log import Recorded
from skillforge.forge.making.untrusted import TOLD, from_tools
from skillforge.forge.session import NO_TERMS, Session, Terms
from skillforge.forge.skills import SKILLS_FOLDER
from skillforge.forge.workspace import Workspace
from skillforge.messages import Cost, Value
from skillforge.ref import check_name
from skillforge.skill import Skill
from skillforge.trace import Trace

OnProgress = Callable[[str, int, int], None]


class Compiled(Value):
    """What ``create --from-trace`` made: the stored draft, its file, and what it took. ``skill`` is not serialised.

    ``author`` is ``teacher``, ``hand`` (``--draft``) or ``program`` (nobody was asked). ``traces`` are the ids it was
    made from, ``failed`` how many more only showed what not to do. ``steps`` counts all, ``asking`` those that ask a
    model, ``writing`` the tools that change something. ``turns`` is how many answers of a model the agents took on
    average, ``calls`` how many tool calls. ``warnings`` say what the traces alone do not settle.
    ``from_tools`` is what of the skill stands in a tool result too, apart from what its examples hold: there
    ``examples_from`` counts the texts, by tool. Read both before you run it.
    """

    name: str
    version: int
    digest: str
    path: str
    new: bool
    author: str
    teacher: str = ""
    traces: tuple[str, ...]
    failed: int = 0
    steps: int
    asking: int
    writing: tuple[str, ...] = ()
    turns: float = 0.0
    calls: float = 0.0
    examples: int = 0
    repaired: bool = False
    warnings: tuple[str, ...] = ()
    from_tools: tuple[str, ...] = ()
    examples_from: dict[str, int] = Field(default_factory=dict)
    cost: Cost = Cost()
    spent_usd: float | None = None
    skill: Skill = Field(exclude=True, repr=False)


class TraceWishes(TypedDict, total=False):
    """How a workflow is made of traces. With a ``teacher`` it proposes, with a ``draft`` (the text of a proposal) that
    is taken, with neither a program writes the plan. ``task`` is the task in a sentence, ``turn`` the request of the
    user that is meant in a long trace, ``folder`` where ``<name>/skill.yaml`` is written (default: ``skills/``).
    """

    task: str
    teacher: str | None
    draft: str | None
    turn: int | None
    name: str | None
    folder: str | Path | None
    suite: str | None
    terms: Terms
    on_progress: OnProgress


@dataclass(frozen=True)
class TracePlan:
    """Wishes with the traces they are about, cut to the request that is meant. ``write`` is the program that writes the
    plan where neither a teacher nor a draft does.
    """

    traces: tuple[Trace, ...]
    folder: Path
    task: str = ""
    teacher: str = ""
    draft: str = ""
    name: str | None = None
    suite: str | None = None
    terms: Terms = NO_TERMS
    write: PlanWriter = mechanical


def trace_plan(work: Workspace, ref: str | Path, wishes: TraceWishes) -> TracePlan:
    """The plan for the traces that ``ref`` names: a file, a folder, ``latest``, a group or an id.

    Raises ``NotFound``, ``UsageError``.
    """
    teacher, draft, turn = wishes.get("teacher") or "", wishes.get("draft") or "", wishes.get("turn")
    if teacher and draft:
        raise UsageError("a teacher and a draft are given", hint="give one: who proposes the workflow?")
    if (name := wishes.get("name")) is not None:
        check_name(name)
    found = find_traces(work, ref)
    if turn is not None and len(found) > 1:
        raise UsageError(f"a turn means one trace, {ref} names {len(found)}", hint="name one by its id")
    traces = tuple(_named_apart([segment(trace, turn) for trace in found]))
    folder = wishes.get("folder")
    return TracePlan(
        traces=traces,
        folder=Path(folder) if folder is not None else work.root / SKILLS_FOLDER,
        task=wishes.get("task") or _task(traces),
        teacher=teacher,
        draft=draft,
        name=name,
        suite=wishes.get("suite"),
        terms=wishes.get("terms", NO_TERMS),
    )


async def compile_traces(work: Workspace, ref: str | Path, wishes: TraceWishes) -> Compiled | Created:
    """``create_from_traces`` of a reference and wishes."""
    plan = trace_plan(work, ref, wishes)
    return await create_from_traces(work, plan, wishes.get("on_progress", _in_silence))


def _in_silence(stage: str, done: int, total: int) -> None:
    """Nobody watches."""


def _named_apart(traces: Sequence[Trace]) -> list[Trace]:
    seen: dict[str, int] = {}
    apart = []
    for trace in traces:
        seen[trace.case_id] = count = seen.get(trace.case_id, 0) + 1
        apart.append(trace if count == 1 else trace.model_copy(update={"case_id": f"{trace.case_id}-{count}"}))
    return apart


def _task(traces: Sequence[Trace]) -> str:
    """The task that our own traces name. What a user said once is no name of a task."""
    told = {trace.task for trace in traces if not trace.format}
    return told.pop() if len(told) == 1 else ""


def request_text(plan: TracePlan) -> str:
    """What a teacher would be asked, as a text for whoever answers in its place.

    Raises ``UsageError`` where there is nothing to make a plan of.
    """
    return "\n\n".join(message.text for message in workflow_request(plan.task, plan.traces).messages)


async def create_from_traces(
    work: Workspace, plan: TracePlan, on_progress: OnProgress = _in_silence
) -> Compiled | Created:
    """Draft, prove, store. A draft that does not do what its traces did writes no file.

    Traces without tool calls are inputs and answers: a teacher authors from them as from a log (``Created``).

    Raises ``TeacherError`` where the draft does not reproduce the traces or holds an order out of a tool result (what
    was answered is kept in a file), ``UsageError`` where no trace went well, and as the provider does.
    """
    if not any(tool_events(trace) for trace in plan.traces):
        return await _without_tools(work, plan, on_progress)
    if find_root(work.root) is None:
        (work.root / STATE_FOLDER).mkdir(parents=True, exist_ok=True)
    on_progress("author", 0, 1)
    session = Session(work, plan.terms)
    draft, proposed = await _drafted(plan, session)
    session.finish()
    if draft.skill is None or draft.problems:
        raise _refused(work, plan, draft)
    return _stored(work, plan, draft, proposed, session.spent_usd)


async def _drafted(plan: TracePlan, session: Session) -> tuple[Draft, Proposed]:
    if plan.teacher:
        draft = await author_workflow(plan.task, plan.traces, session.provider(plan.teacher), name=plan.name)
        return draft, await read_proposal(plan.task, draft.answers[-1], plan.traces, plan.name)
    if plan.draft:
        proposed = await read_proposal(plan.task, plan.draft, plan.traces, plan.name)
        return free_draft(proposed, plan.draft), proposed
    proposed = await mechanical_draft(plan.task, plan.traces, plan.name, plan.write)
    return free_draft(proposed), proposed


def _author(plan: TracePlan) -> str:
    return "teacher" if plan.teacher else "hand" if plan.draft else "program"


def _stored(work: Workspace, plan: TracePlan, draft: Draft, proposed: Proposed, spent_usd: float | None) -> Compiled:
    assert draft.skill is not None
    good = [trace for trace in plan.traces if succeeded(trace)]
    told, shown = from_tools(work, draft.skill, plan.traces)
    provenance = {
        "author": _author(plan),
        **({"teacher": plan.teacher, "model": draft.model} if plan.teacher else {}),
        "harness": HARNESS,
        "untrusted": True,
        "traces": [trace.case_id for trace in good],
        "from_tools": list(told[:TOLD]),
        "examples_from": shown,
        "repaired": len(draft.answers) > 1,
        "cost_usd": draft.cost.usd,
    }
    saved, skill, path = store_skill(work, plan.folder, draft.skill, provenance, suite=plan.suite)
    return Compiled(
        name=skill.name,
        version=saved.version,
        digest=saved.digest,
        path=str(path),
        new=saved.created,
        author=_author(plan),
        teacher=plan.teacher,
        traces=tuple(trace.case_id for trace in good),
        failed=len(plan.traces) - len(good),
        steps=len(skill.steps),
        asking=sum(step.kind in ("prompt", "agent") for step in skill.steps),
        writing=tuple(tool.name for tool in skill.tools if tool.effect == "write"),
        turns=sum(map(_turns, good)) / len(good),
        calls=sum(len(tool_events(trace)) for trace in good) / len(good),
        examples=sum(len(step.examples.items) for step in skill.steps),
        repaired=len(draft.answers) > 1,
        warnings=tuple(work.redactor.text(warning) for warning in _warnings(draft.skill, plan.traces, proposed)),
        from_tools=told,
        examples_from=shown,
        cost=draft.cost,
        spent_usd=spent_usd,
        skill=skill,
    )


def _warnings(skill: Skill, traces: Sequence[Trace], proposed: Proposed) -> tuple[str, ...]:
    if proposed.verified is None:
        return ()
    return (*proposed.verified.warnings, *doubts(skill, traces, proposed.verified))


def _turns(trace: Trace) -> int:
    return sum(message.role == "assistant" for message in trace.messages)


def _refused(work: Workspace, plan: TracePlan, draft: Draft) -> TeacherError:
    body = {
        "task": plan.task,
        "teacher": plan.teacher,
        "problems": list(draft.problems),
        "answers": list(draft.answers),
        "traces": [trace.case_id for trace in plan.traces],
    }
    listed = work.redactor.text("\n".join(f"  {problem}" for problem in draft.problems))
    if not draft.answers:
        hint = "write it yourself: add --author-request to see what is asked, then give the answer with --draft FILE"
        return TeacherError(f"the plan that a program made does not do what the traces did:\n{listed}", hint=hint)
    target = keep_answers(work, body)
    again = "after one repair" if plan.teacher else "as it is given"
    return TeacherError(
        f"the workflow is wrong {again}:\n{listed}", hint=f"its drafts are in {target}", trace_path=str(target)
    )


async def _without_tools(work: Workspace, plan: TracePlan, on_progress: OnProgress) -> Created:
    """Traces in which no tool was called are solved inputs: a prompt skill is written from them."""
    good = tuple(trace for trace in plan.traces if succeeded(trace))
    if not good:
        raise UsageError("none of the traces went well", hint="a skill is made of what went well")
    if not plan.teacher:
        raise UsageError(
            "no tool was called in these traces: there are no steps to compile",
            hint="name a --teacher, which writes a prompt skill from their inputs and answers",
        )
    recorded = Recorded(
        group="",
        task=plan.task or good[0].task,
        name="",
        suite="",
        proposal=None,
        traces=good,
        left_out={},
        labelled=0,
        inputs=tuple(trace.input for trace in good),
        outputs=tuple(trace.output for trace in good),
    )
    made = CreatePlan(
        task=recorded.task,
        cases=(),
        teacher=plan.teacher,
        folder=plan.folder,
        recorded=recorded,
        name=plan.name,
        suite=plan.suite,
        terms=plan.terms,
    )
    return await create_skill(work, made, on_progress)
