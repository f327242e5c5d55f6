"""From a task and inputs to a stored draft: solve, author, lint, prove, store, write."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce
from itertools import count
from operator import add
from pathlib import Path
from typing import Any

from pydantic import Field

from skillforge.case import Case
from skillforge.config import STATE_FOLDER, find_root, store_io
from skillforge.engine.author import Draft, Prove, author
from skillforge.engine.frame import HARNESS
from skillforge.engine.prove import is_plans_fault, prove
from skillforge.engine.retold import trace_calls
from skillforge.engine.solve import solve
from skillforge.errors import ProviderError, SkillFileError, TeacherError, UsageError
from skillforge.forge.making.from_log import Recorded
from skillforge.forge.making.solving import Loops, TeacherTools, called_tools, goes_on, opened_box
from skillforge.forge.making.untrusted import TOLD, from_tools
from skillforge.forge.session import NO_TERMS, Session, Terms
from skillforge.forge.skills import save_file
from skillforge.forge.workspace import Workspace
from skillforge.messages import Cost, Message, Value
from skillforge.providers.base import Provider
from skillforge.ref import check_name
from skillforge.run import Run
from skillforge.skill import Skill
from skillforge.skillfile import read_skill, skill_path, write_skill
from skillforge.store.registry import SavedVersion
from skillforge.trace import Trace

_Taken = tuple[tuple[str, ...], dict[str, int]]  # what of a skill stands in tool results: lines, texts by tool
PROVE = 8  # inputs on which the teacher follows its own draft
MIN_SOLVED = 0.9  # a teacher that fails on more than this of the inputs has nothing to write down


class Created(Value):
    """What ``create`` made: the stored draft, its file, and what it took. ``skill`` itself is not serialised.

    ``cost`` is what all the teacher's answers cost, ``spent_usd`` what this command paid of it (``None``: unknown).
    ``from_log`` names the group whose recorded answers stood for the teacher's: they cost nothing again; ``unsolved``
    ones were left out, by reason in ``left_out``, and ``labelled`` ones hold a person's answer.

    Of a workflow: ``steps``, of which ``asking`` ask a model; ``turns`` is how many the teacher took for an input, on
    average. ``from_tools`` is what of the skill stands in a tool result too, apart from what its examples hold: there
    ``examples_from`` counts the texts, by tool.
    """

    name: str
    version: int
    digest: str
    path: str
    new: bool
    solved: int
    unsolved: int
    reused: int
    repaired: bool
    proved: int
    proved_ok: int
    agreed: int
    examples: int
    checks: int
    teacher: str
    cost: Cost
    spent_usd: float | None
    from_log: str = ""
    labelled: int = 0
    left_out: dict[str, int] = Field(default_factory=dict)
    steps: int = 0
    asking: int = 0
    turns: float = 0.0
    from_tools: tuple[str, ...] = ()
    examples_from: dict[str, int] = Field(default_factory=dict)
    skill: Skill = Field(exclude=True, repr=False)


@dataclass(frozen=True)
class CreatePlan:
    """The caller's wishes. ``folder`` is where ``<name>/skill.yaml`` is written. ``recorded`` answers stand for cases
    that the teacher would solve. ``tools`` are what it may call while it solves.
    """

    task: str
    cases: tuple[Case, ...]
    teacher: str
    folder: Path
    recorded: Recorded | None = None
    name: str | None = None
    suite: str | None = None
    terms: Terms = NO_TERMS
    tools: TeacherTools | None = None


Mend = Callable[[Draft, Prove], Awaitable[Draft]]
"""Gets a draft that may be stored and what proves one; returns the draft to store."""


async def _as_it_is(draft: Draft, prove: Prove) -> Draft:
    return draft


async def create_skill(
    work: Workspace,
    plan: CreatePlan,
    on_progress: Callable[[str, int, int], None],
    *,
    session: Session | None = None,
    mend: Mend = _as_it_is,
) -> Created:
    """Run the whole path. What the teacher answered is kept as it comes, solved inputs for good and drafts until there
    is a skill, so a second try pays only for what is missing (unless ``store_io`` is ``none``). A draft that is refused
    writes no skill file. ``session`` holds the models of what this create is a part of; ``mend`` may bring a better
    draft before one is stored.

    Raises ``TeacherError`` when the draft stayed wrong after one repair (drafts and problems are kept in a file),
    ``ProviderError`` when the teacher cannot be reached, ``SecretFound`` for a draft that holds a secret.
    """
    require_plan(plan)
    if find_root(work.root) is None:  # of all calls only this one makes a repository
        (work.root / STATE_FOLDER).mkdir(parents=True, exist_ok=True)
    if plan.suite and not (work.root / plan.suite).is_file():
        work.say(f"the suite {plan.suite} does not exist yet: write it before you measure")
    session = session or Session(work, plan.terms)
    teacher = session.provider(plan.teacher)
    given = await _given(work, plan, session, on_progress)
    good = given.good
    runs: list[Run] = []

    async def prove_draft(skill: Skill) -> tuple[str, ...]:
        if plan.recorded is not None and (narrow := plan.recorded.refused_by(skill)):
            return narrow
        on_progress("prove", 0, min(PROVE, len(good)))
        runs[:] = await prove(skill, good, teacher, count=PROVE)
        if failed := [run for run in runs if run.status == "error" and not is_plans_fault(run)]:
            raise ProviderError(
                f"the draft could not be run on its own inputs: {failed[0].reason}", hint=_when_again(work, "the rest")
            )
        return tuple(f"run on its own input {run.input}: {run.reason}" for run in runs if run.status != "ok")

    on_progress("author", 0, 1)
    draft = await _drafted(plan, good, teacher, prove_draft)
    if draft.skill is None or draft.problems:
        session.finish()  # the next try is to bring another draft
        raise _refused(work, plan, draft)
    proved = list(runs)
    mended = await mend(draft, prove_draft)
    runs = proved if mended.skill is draft.skill else runs
    draft = mended
    assert draft.skill is not None
    taken = from_tools(work, draft.skill, good) if any(map(called_tools, good)) else None
    provenance = _provenance(plan, draft, taken)
    saved, skill, path = store_skill(work, plan.folder, draft.skill, provenance, suite=plan.suite)
    for run in runs:
        work.runs.add(run.model_copy(update={"version": saved.version}), source="create")
    session.finish()
    return _created(plan, saved, skill, path, given, draft, runs, session.spent_usd, taken)


async def _drafted(plan: CreatePlan, good: Sequence[Trace], teacher: Provider, prove: Prove) -> Draft:
    """What the teacher did with tools becomes a workflow, else a prompt skill."""
    if any(called_tools(trace) for trace in good):
        from skillforge.engine.compiling.propose import author_workflow

        return await author_workflow(plan.task, good, teacher, name=plan.name, prove=prove)
    proposal = plan.recorded.proposal if plan.recorded is not None else None
    return await author(plan.task, good, teacher, name=plan.name, proposal=proposal, prove=prove)


@dataclass(frozen=True)
class _Given:
    """What there is to author from: the ``good`` traces, what they cost the teacher, how many others there were."""

    good: list[Trace]
    costs: list[Cost]
    unsolved: int
    reused: int


async def _given(
    work: Workspace, plan: CreatePlan, session: Session, on_progress: Callable[[str, int, int], None]
) -> _Given:
    """As the journal keeps them: a resumed create sees redacted traces, a fresh one must author from the same, and an
    example never carries a secret into a file.
    """
    if plan.recorded is not None:  # answered already, by the program's own model: nothing is asked, nothing is paid
        good = [_redacted(work, trace) for trace in plan.recorded.traces]
        return _Given(good, [], sum(plan.recorded.left_out.values()), 0)
    done = 0

    def solved_one(trace: Trace) -> None:
        nonlocal done
        done += 1
        if goes_on(trace):
            session.left_open()
        elif trace.error:
            session.stored()  # an answer that solves nothing is not worth finding again
        on_progress("solve", done, len(plan.cases))

    teacher, journal = session.provider(plan.teacher), _Counted(work, session, plan.teacher)
    async with opened_box(work, plan.tools, plan.terms) as box:
        if box is None:
            traces = await solve(plan.task, plan.cases, teacher, journal, solved_one)
        else:
            loops = Loops(work, box, plan.tools or TeacherTools(None), on_progress)
            traces = await loops.solve(plan.task, plan.cases, teacher, journal, solved_one)
    good = [_redacted(work, trace) for trace in _usable(work, traces)]
    paid = {json.dumps(trace.input, sort_keys=True): trace.cost for trace in good}  # equal inputs are asked once
    return _Given(good, [*paid.values()], len(traces) - len(good), journal.reused)


def require_plan(plan: CreatePlan) -> None:
    """Raise ``UsageError`` for a plan that cannot become a skill."""
    if not plan.task.strip():
        raise UsageError("the task is empty", hint='say what to do: skillforge create "Route one ticket to …"')
    if not plan.cases and plan.recorded is None:
        raise UsageError("no inputs to solve", hint="give --cases FILE.jsonl or --input field=value")
    if plan.name is not None:
        check_name(plan.name)


def store_skill(
    work: Workspace, parent: Path, drafted: Skill, provenance: dict[str, Any], *, suite: str | None = None
) -> tuple[SavedVersion, Skill, Path]:
    """The draft as a file (``parent/<name>/skill.yaml``) and as a version of the registry. What stood there is kept.

    Raises ``SecretFound``, before any file is touched.
    """
    planned = drafted.model_copy(update={"suite": suite})
    work.registry.refuse_secrets(planned, provenance=provenance)
    folder = parent / drafted.name
    standing = _keep_what_stands(work, folder, planned)
    skill = planned.model_copy(update={"suite": suite or (standing.suite if standing else None)})
    path = write_skill(skill, folder)
    return save_file(work, path, provenance=provenance), skill, path  # read back: the file is the truth


class _Counted:
    """The trace journal, counting what did not have to be asked again; a recording gets that too."""

    def __init__(self, work: Workspace, session: Session, teacher: str) -> None:
        self._log = work.traces
        self._session = session
        self._teacher = teacher
        self._native_tools = session.provider(teacher).native_tools
        self.reused = 0

    def known(self, keys: Any) -> dict[str, Trace]:
        found = self._log.known(keys)
        self.reused = len(found)
        for trace in found.values():
            self._session.record(self._teacher, trace_calls(trace, native_tools=self._native_tools))
        return found

    def add(self, key: str, trace: Trace, teacher: str) -> None:
        self._log.add(key, trace, teacher)
        self._session.stored()


def _redacted(work: Workspace, trace: Trace) -> Trace:
    clean = work.redactor.value
    said = tuple(Message.model_validate(clean(message.model_dump())) for message in trace.messages)
    return trace.model_copy(update={"input": clean(trace.input), "output": clean(trace.output), "messages": said})


def _keep_what_stands(work: Workspace, folder: Path, planned: Skill) -> Skill | None:
    """A skill file in the way may be somebody's work: it becomes a version first, or is put beside when invalid.

    One that says what is planned is left: a try that was killed wrote it, and it is stored next, as the teacher's.
    """
    file = skill_path(folder)
    if not file.is_file():
        return None
    try:
        standing = read_skill(folder).skill
        if standing.digest() == planned.digest():
            return standing
        saved = save_file(work, folder)
    except SkillFileError:  # and nothing else: a locked database or a secret in it does not make a file invalid
        beside = _free_name(file)
        file.replace(beside)
        work.say(f"{file}: was no valid skill, kept as {beside.name}")
        return None
    if saved.created:
        work.say(f"{file}: what stood there is kept as {saved.name}@{saved.version}")
    return work.registry.get(saved.name, str(saved.version)).skill


def _free_name(file: Path) -> Path:
    names = (file.with_name(f"{file.name}.old{number if number > 1 else ''}") for number in count(1))
    return next(name for name in names if not name.exists() and not name.is_symlink())


def _usable(work: Workspace, traces: Sequence[Trace]) -> list[Trace]:
    good = [trace for trace in traces if not trace.error]
    if len(good) < MIN_SOLVED * len(traces):
        first = next(trace for trace in traces if trace.error)
        raise ProviderError(
            f"the teacher solved {len(good)} of {len(traces)} inputs; {first.case_id}: {first.error}",
            hint=_when_again(work, "the rest"),
        )
    return good


def _when_again(work: Workspace, rest: str) -> str:
    if store_io(work.settings) == "none":
        return "under store_io = none nothing solved is kept: the same command asks for all of it"
    return f"what was solved is kept; the same command asks only for {rest}"


def _provenance(plan: CreatePlan, draft: Draft, taken: _Taken | None) -> dict[str, Any]:
    """``taken`` is what of the draft stands in results of tools, which are nobody's word; ``None`` without any."""
    untrusted = (
        {} if taken is None else {"untrusted": True, "from_tools": [*taken[0][:TOLD]], "examples_from": taken[1]}
    )
    return {
        "author": "teacher",
        "teacher": plan.teacher,
        "model": draft.model,
        "harness": HARNESS,
        "inputs": len(plan.cases) if plan.recorded is None else len(plan.recorded.traces),
        **({"from_log": plan.recorded.group} if plan.recorded is not None and plan.recorded.group else {}),
        **untrusted,
        "repaired": len(draft.answers) > 1,
        "cost_usd": draft.cost.usd,
    }


def _refused(work: Workspace, plan: CreatePlan, draft: Draft) -> TeacherError:
    """Keep everything the teacher said, then say clearly what is wrong with it."""
    body = {
        "task": plan.task,
        "teacher": plan.teacher,
        "problems": list(draft.problems),
        "answers": list(draft.answers),
        "inputs": [case.id for case in plan.cases]
        if plan.recorded is None
        else [trace.case_id for trace in plan.recorded.traces],
    }
    target = keep_answers(work, body)
    listed = work.redactor.text("\n".join(f"  {problem}" for problem in draft.problems))  # they quote answers
    return TeacherError(
        f"the teacher's skill stayed wrong after one repair:\n{listed}",
        hint=f"its drafts are in {target}; {_when_again(work, 'a new skill')}",
        trace_path=str(target),
    )


def keep_answers(work: Workspace, body: Mapping[str, Any]) -> Path:
    """Write what a refused create was answered, without secrets, to a file of its own."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    folder = work.root / STATE_FOLDER / "failed"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"create-{stamp}.json"
    target.write_text(json.dumps(work.redactor.value(dict(body)), ensure_ascii=False, indent=2) + "\n", "utf-8")
    return target


def _created(
    plan: CreatePlan,
    saved: SavedVersion,
    skill: Skill,
    path: Path,
    given: _Given,
    draft: Draft,
    runs: Sequence[Run],
    spent_usd: float | None,
    taken: _Taken | None,
) -> Created:
    outputs = {json.dumps(trace.input, sort_keys=True): trace.output for trace in given.good}
    recorded = plan.recorded
    return Created(
        name=skill.name,
        version=saved.version,
        digest=saved.digest,
        path=str(path),
        new=saved.created,
        solved=len(given.good),
        unsolved=given.unsolved,
        reused=given.reused,
        repaired=len(draft.answers) > 1,
        proved=len(runs),
        proved_ok=sum(run.ok for run in runs),
        agreed=sum(run.output == outputs.get(json.dumps(run.input, sort_keys=True)) for run in runs),
        examples=len(skill.examples.items) + sum(len(step.examples.items) for step in skill.steps),
        checks=len(skill.checks),
        teacher=plan.teacher,
        cost=reduce(add, [*given.costs, draft.cost, *(run.cost for run in runs)]),
        spent_usd=spent_usd,
        from_log=recorded.group if recorded is not None else "",
        labelled=recorded.labelled if recorded is not None else 0,
        left_out=dict(recorded.left_out) if recorded is not None else {},
        steps=len(skill.steps),
        asking=sum(step.kind in ("prompt", "agent") for step in skill.steps),
        turns=sum(len(trace.turns) for trace in given.good) / len(given.good) if skill.steps else 0.0,
        from_tools=taken[0] if taken is not None else (),
        examples_from=taken[1] if taken is not None else {},
        skill=skill,
    )
