"""From a task and inputs to a stored draft: solve, author, lint, prove, store, write."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
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
from skillforge.engine.author import Draft, author
from skillforge.engine.frame import HARNESS
from skillforge.engine.prove import prove
from skillforge.engine.retold import trace_calls
from skillforge.engine.solve import solve
from skillforge.errors import ProviderError, SkillFileError, TeacherError, UsageError
from skillforge.forge.making.from_log import Recorded
from skillforge.forge.session import NO_TERMS, Session, Terms
from skillforge.forge.skills import save_file
from skillforge.forge.workspace import Workspace
from skillforge.messages import Cost, Value
from skillforge.ref import check_name
from skillforge.run import Run
from skillforge.skill import Skill
from skillforge.skillfile import read_skill, skill_path, write_skill
from skillforge.store.registry import SavedVersion
from skillforge.trace import Trace

PROVE = 8  # inputs on which the teacher follows its own draft
MIN_SOLVED = 0.9  # a teacher that fails on more than this of the inputs has nothing to write down


class Created(Value):
    """What ``create`` made: the stored draft, its file, and what it took. ``skill`` itself is not serialised.

    ``cost`` is what all the teacher's answers cost, ``spent_usd`` what this command paid of it (``None``: unknown).
    ``from_log`` names the group whose recorded answers stood for the teacher's: they cost nothing again; ``unsolved``
    ones were left out, by reason in ``left_out``, and ``labelled`` ones hold a person's answer.
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
    skill: Skill = Field(exclude=True, repr=False)


@dataclass(frozen=True)
class CreatePlan:
    """The caller's wishes. ``folder`` is where ``<name>/skill.yaml`` is written. ``recorded`` answers stand for cases
    that the teacher would solve.
    """

    task: str
    cases: tuple[Case, ...]
    teacher: str
    folder: Path
    recorded: Recorded | None = None
    name: str | None = None
    suite: str | None = None
    terms: Terms = NO_TERMS


async def create_skill(work: Workspace, plan: CreatePlan, on_progress: Callable[[str, int, int], None]) -> Created:
    """Run the whole path. What the teacher answered is kept as it comes, solved inputs for good and drafts until there
    is a skill, so a second try pays only for what is missing (unless ``store_io`` is ``none``). A draft that is refused
    writes no skill file.

    Raises ``TeacherError`` when the draft stayed wrong after one repair (drafts and problems are kept in a file),
    ``ProviderError`` when the teacher cannot be reached, ``SecretFound`` for a draft that holds a secret.
    """
    require_plan(plan)
    if find_root(work.root) is None:  # of all calls only this one makes a repository
        (work.root / STATE_FOLDER).mkdir(parents=True, exist_ok=True)
    if plan.suite and not (work.root / plan.suite).is_file():
        work.say(f"the suite {plan.suite} does not exist yet: write it before you measure")
    session = Session(work, plan.terms)
    teacher = session.provider(plan.teacher)
    given = await _given(work, plan, session, on_progress)
    good = given.good
    runs: list[Run] = []

    async def prove_draft(skill: Skill) -> tuple[str, ...]:
        if plan.recorded is not None and (narrow := plan.recorded.refused_by(skill)):
            return narrow
        on_progress("prove", 0, min(PROVE, len(good)))
        runs[:] = await prove(skill, good, teacher, count=PROVE)
        if failed := [run for run in runs if run.status == "error"]:
            raise ProviderError(
                f"the draft could not be run on its own inputs: {failed[0].reason}", hint=_when_again(work, "the rest")
            )
        return tuple(f"run on its own input {run.input}: {run.reason}" for run in runs if run.status != "ok")

    on_progress("author", 0, 1)
    proposal = plan.recorded.proposal if plan.recorded is not None else None
    draft = await author(plan.task, good, teacher, name=plan.name, proposal=proposal, prove=prove_draft)
    if draft.skill is None or draft.problems:
        session.finish()  # the next try is to bring another draft
        raise _refused(work, plan, draft)
    saved, skill, path = _store(work, plan, draft)
    for run in runs:
        work.runs.add(run.model_copy(update={"version": saved.version}), source="create")
    session.finish()
    return _created(plan, saved, skill, path, given, draft, runs, session.spent_usd)


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
        if trace.error:
            session.stored()  # an answer that solves nothing is not worth finding again
        on_progress("solve", done, len(plan.cases))

    journal = _Counted(work, session, plan.teacher)
    traces = await solve(plan.task, plan.cases, session.provider(plan.teacher), journal, solved_one)
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


def _store(work: Workspace, plan: CreatePlan, draft: Draft) -> tuple[SavedVersion, Skill, Path]:
    """The draft as a file and as a version of the registry."""
    assert draft.skill is not None
    provenance = _provenance(plan, draft)
    planned = draft.skill.model_copy(update={"suite": plan.suite})
    work.registry.refuse_secrets(planned, provenance=provenance)  # before any file is touched
    folder = plan.folder / draft.skill.name
    standing = _keep_what_stands(work, folder, planned)
    skill = planned.model_copy(update={"suite": plan.suite or (standing.suite if standing else None)})
    path = write_skill(skill, folder)
    return save_file(work, path, provenance=provenance), skill, path  # read back: the file is the truth


class _Counted:
    """The trace journal, counting what did not have to be asked again; a recording gets that too."""

    def __init__(self, work: Workspace, session: Session, teacher: str) -> None:
        self._log = work.traces
        self._session = session
        self._teacher = teacher
        self.reused = 0

    def known(self, keys: Any) -> dict[str, Trace]:
        found = self._log.known(keys)
        self.reused = len(found)
        for trace in found.values():
            self._session.record(self._teacher, trace_calls(trace))
        return found

    def add(self, key: str, trace: Trace, teacher: str) -> None:
        self._log.add(key, trace, teacher)
        self._session.stored()


def _redacted(work: Workspace, trace: Trace) -> Trace:
    clean = work.redactor.value
    return trace.model_copy(update={"input": clean(trace.input), "output": clean(trace.output)})


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


def _provenance(plan: CreatePlan, draft: Draft) -> dict[str, Any]:
    return {
        "author": "teacher",
        "teacher": plan.teacher,
        "model": draft.model,
        "harness": HARNESS,
        "inputs": len(plan.cases) if plan.recorded is None else len(plan.recorded.traces),
        **({} if plan.recorded is None else {"from_log": plan.recorded.group}),
        "repaired": len(draft.answers) > 1,
        "cost_usd": draft.cost.usd,
    }


def _refused(work: Workspace, plan: CreatePlan, draft: Draft) -> TeacherError:
    """Keep everything the teacher said, then say clearly what is wrong with it."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    folder = work.root / STATE_FOLDER / "failed"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"create-{stamp}.json"
    body = {
        "task": plan.task,
        "teacher": plan.teacher,
        "problems": list(draft.problems),
        "answers": list(draft.answers),
        "inputs": [case.id for case in plan.cases]
        if plan.recorded is None
        else [trace.case_id for trace in plan.recorded.traces],
    }
    target.write_text(json.dumps(work.redactor.value(body), ensure_ascii=False, indent=2) + "\n", "utf-8")
    listed = work.redactor.text("\n".join(f"  {problem}" for problem in draft.problems))  # they quote answers
    return TeacherError(
        f"the teacher's skill stayed wrong after one repair:\n{listed}",
        hint=f"its drafts are in {target}; {_when_again(work, 'a new skill')}",
        trace_path=str(target),
    )


def _created(
    plan: CreatePlan,
    saved: SavedVersion,
    skill: Skill,
    path: Path,
    given: _Given,
    draft: Draft,
    runs: Sequence[Run],
    spent_usd: float | None,
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
        examples=len(skill.examples.items),
        checks=len(skill.checks),
        teacher=plan.teacher,
        cost=reduce(add, [*given.costs, draft.cost, *(run.cost for run in runs)]),
        spent_usd=spent_usd,
        from_log=recorded.group if recorded is not None else "",
        labelled=recorded.labelled if recorded is not None else 0,
        left_out=dict(recorded.left_out) if recorded is not None else {},
        skill=skill,
    )
