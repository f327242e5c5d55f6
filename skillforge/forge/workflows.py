"""Workflows in a repository: their tools, and how far an unfinished run has come.

A run that was killed, or ended in an error, is gone on with by whoever asks the same: finished steps are taken over and
no write is made twice. A run that another process is working on is left to it: a lock file for each run tells.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skillforge.canonical import digest
from skillforge.engine.compiled import compiled
from skillforge.engine.journal import StepState
from skillforge.errors import NotFound, StoreError, UsageError
from skillforge.forge.repolock import work_lock
from skillforge.forge.session import NO_MODEL
from skillforge.forge.workspace import Workspace
from skillforge.messages import Tool
from skillforge.run import Run, StepRun
from skillforge.skill import Skill
from skillforge.store.runs import new_run_id
from skillforge.store.workflow_state import KeptStep, OpenRun, WorkflowLog
from skillforge.tools.base import ToolBox

if TYPE_CHECKING:
    from filelock import BaseFileLock

    from skillforge.tools.opening import Ask, ToolsGiven

STALE = timedelta(hours=1)  # what was read so long ago is read again, where nothing was written yet


class Watch:
    """Who looks on while a workflow runs; by default nobody does. Called on the Forge's own thread."""

    def drops(self, run: OpenRun) -> None:
        """An unfinished run is about to be forgotten, since ``fresh`` asks for that. An exception keeps it."""

    def step(self, step: StepRun) -> None:
        """A step ended."""

    def ended(self, run: Run) -> None:
        """The run has ended, and is stored. Whoever is killed before this returns is given the same run again."""


NOBODY = Watch()


@dataclass(frozen=True)
class Tooling:
    """What a caller gives a workflow: its ``tools`` (``None``: those of the Forge), whether it may write (``ask``),
    whether to begin anew (``fresh``), and who looks on.
    """

    tools: ToolsGiven = None
    ask: Ask | None = None
    fresh: bool = False
    watch: Watch = NOBODY


NO_TOOLING = Tooling()


class Consent:
    """Asks whether a tool may write. ``open`` are the tools of which no answer came: they were never called."""

    def __init__(self, ask: Ask | None) -> None:
        self._ask = ask
        self.open: set[str] = set()

    @property
    def ask(self) -> Ask | None:
        return self._asked if self._ask is not None else None

    def _asked(self, tool: Tool, arguments: Mapping[str, Any]) -> bool:
        assert self._ask is not None
        self.open.add(tool.name)
        allowed = self._ask(tool, arguments)
        self.open.discard(tool.name)
        return allowed


@asynccontextmanager
async def opened_tools(work: Workspace, skill: Skill, tooling: Tooling, consent: Consent) -> AsyncIterator[ToolBox]:
    """The tools that the skill declares, for one call. Raises ``UsageError`` naming each that nobody gave."""
    from skillforge.tools.binding import bind
    from skillforge.tools.opening import open_tools

    async with open_tools(work.tools if tooling.tools is None else tooling.tools, ask=consent.ask) as box:
        yield bind(box, skill.tools)


def writing_steps(skill: Skill, box: ToolBox) -> frozenset[str]:
    """The ids of the steps that change the world, or may: a tool that writes, or a loop that may call one."""
    writes = {tool.name for tool in (*skill.tools, *box.tools) if tool.effect == "write"}
    return frozenset(
        step.id
        for step in skill.steps
        if step.tool in writes or (step.agent is not None and writes.intersection(step.agent.tools))
    )


@dataclass
class RunJournal:
    """The ``StepJournal`` of one run; without a ``log`` it lasts as long as the process.

    Taken over are the steps that ended well: what redaction took something out of is done again, unless it wrote.
    ``kept`` is called when a step is on the disk: what it asked of models is not needed any more.
    """

    run_id: str
    writing: frozenset[str]
    log: WorkflowLog | None
    watch: Watch
    kept: Callable[[], None] = lambda: None
    resumed: OpenRun | None = None
    _finished: dict[str, StepState] = field(default_factory=dict)
    _started: set[str] = field(default_factory=set)
    _told: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        for step in self.resumed.steps if self.resumed else ():
            if not step.ended_at:
                self._started.add(step.key)
            elif (state := self._taken_over(step)) is not None:
                self._finished[step.key] = state

    def finished(self) -> dict[str, StepState]:
        return dict(self._finished)

    def started(self) -> frozenset[str]:
        return frozenset(self._started)

    async def start(self, key: str) -> None:
        if self.log is not None:
            self.log.start(self.run_id, key, writes=self._writes(key))
        self._started.add(key)

    async def finish(self, key: str, state: StepState) -> None:
        if self.log is not None:
            self.log.finish(self.run_id, state.run, state.attempts, writes=self._writes(key), said=state.said)
        self._started.discard(key)
        if state.run.status == "ok":
            self._finished[key] = state
        self.kept()
        self.tell([state.run])

    def tell(self, steps: Iterable[StepRun]) -> None:
        """Tell who looks on of those steps that they were not told of yet."""
        for step in steps:
            if step.key not in self._told:
                self._told.add(step.key)
                self.watch.step(step)

    def withdraw(self, skill: Skill, tools: Collection[str]) -> None:
        """The steps that were to call these tools did not: nobody said that they may."""
        steps = {step.id for step in skill.steps if step.tool in tools}
        for key in [key for key in self._started if step_id(key) in steps]:
            self._started.discard(key)
            if self.log is not None:
                self.log.withdraw(self.run_id, key)

    def close(self) -> None:
        """The run has ended: the same call begins anew. Not so where a write was begun and nobody knows whether it
        happened: then the same call says so again, until it is asked for ``fresh``.
        """
        if self.log is not None and not any(map(self._writes, self._started)):
            self.log.close(self.run_id)

    def _writes(self, key: str) -> bool:
        return step_id(key) in self.writing

    def _taken_over(self, step: KeptStep) -> StepState | None:
        writes = self._writes(step.key)
        if step.run is None:  # purged: that it was done is all that is known
            gone = StepRun(key=step.key, kind="tool", status="ok", reason="what it gave was purged")
            return StepState(run=gone, lost=True) if writes else None
        if step.run.status != "ok" or (step.changed and not writes):
            return None
        lost = step.changed and step.run.output is None
        return StepState(run=step.run, attempts=step.attempts, said=step.said, lost=lost)


def step_id(key: str) -> str:
    """The step of a key: ``notify`` of ``notify[2]``."""
    return key.partition("[")[0]


@dataclass(frozen=True)
class Asked:
    """What a run is asked of what: a version, the names of its models, its tools, an input."""

    skill: Skill
    models: tuple[str, ...]
    box: ToolBox
    values: Mapping[str, Any]
    deployed: bool = False


@contextmanager
def claimed_journal(work: Workspace, asked: Asked, tooling: Tooling) -> Iterator[RunJournal]:
    """The journal of a new run, or of an unfinished one that asked the same and that nobody works on.

    Raises ``UsageError`` where a run of the same input by another version, model or tools is unfinished after a write.
    A deployed skill runs without a journal where none can be kept.
    """
    writing = writing_steps(asked.skill, asked.box)
    try:
        log = work.workflows
        lock, found = _claim(work, log, asked, tooling)
    except (StoreError, NotFound, OSError) as exc:
        if not asked.deployed:
            raise
        work.say_once(f"runs of deployed workflows are not resumed here: {exc}")
        yield RunJournal(new_run_id(), writing, None, tooling.watch)
        return
    path = Path(lock.lock_file)
    try:
        journal = RunJournal(path.stem, writing, log, tooling.watch, resumed=found)
        if found is not None and found.steps:
            work.say(_resuming(found, writing))
            journal.tell([state.run.model_copy(update={"resumed": True}) for state in journal.finished().values()])
        yield journal
    finally:
        left = log.get(path.stem)
        if left is not None and not left.steps:  # nothing is done: there is nothing to go on with
            log.close(path.stem)
        _let_go(lock, log)


def _claim(work: Workspace, log: WorkflowLog, asked: Asked, tooling: Tooling) -> tuple[BaseFileLock, OpenRun | None]:
    key, input_key = _addresses(work, asked)
    foreign = []
    for run in log.asked(input_key):
        lock = work_lock(work.root, run.run_id)
        if lock is None:
            continue
        adopted = None
        try:
            current = log.get(run.run_id)  # it may have ended while its lock was looked for
            if current is not None and not tooling.fresh and current.key != key and current.writes:
                foreign.append(current)
            elif current is not None and not _forgotten(log, current, tooling) and current.key == key:
                adopted = current
                return lock, adopted
        finally:
            if adopted is None:
                _let_go(lock, log)
    if foreign:
        raise _unfinished(foreign[0])
    run_id = new_run_id()
    lock = work_lock(work.root, run_id)
    assert lock is not None, "nobody else knows the id"
    log.open(run_id, key=key, asked=input_key, skill=asked.skill.name)
    return lock, None


def _forgotten(log: WorkflowLog, run: OpenRun, tooling: Tooling) -> bool:
    """Whether the run was dropped: ``fresh`` asked for it, or it wrote nothing and what it read is stale."""
    if tooling.fresh:
        tooling.watch.drops(run)
    elif run.writes or not _is_stale(run):
        return False
    log.close(run.run_id)
    return True


def _addresses(work: Workspace, asked: Asked) -> tuple[str, str]:
    """(of all that can change what happens, of the skill's name and the input alone)."""
    models = [work.provider(name).fingerprint() for name in asked.models if name and name != NO_MODEL]
    by = {"skill": compiled(asked.skill).digest, "models": models, "tools": asked.box.identity}
    values = dict(asked.values)
    return digest({**by, "input": values}), digest({"skill": asked.skill.name, "input": values})


def _let_go(lock: BaseFileLock, log: WorkflowLog) -> None:
    """Release the lock. Where its run is no more, its file goes: whoever opened it before looks for the run too."""
    path = Path(lock.lock_file)
    lock.release()
    if log.get(path.stem) is None:
        with suppress(OSError):
            path.unlink()


def _is_stale(run: OpenRun) -> bool:
    return datetime.fromisoformat(run.created_at) < datetime.now(UTC) - STALE


def _unfinished(run: OpenRun) -> UsageError:
    return UsageError(
        f"run {run.run_id} of {run.skill} on the same input, by another version, model or other tools, is unfinished;"
        f" it has written: {', '.join(run.writes)}",
        hint="go on with it as it was begun, or write again from the start: --fresh --yes (fresh=True)",
    )


def _resuming(run: OpenRun, writing: frozenset[str]) -> str:
    """What a run is gone on with, and what of it could not be restored."""
    ended = [step for step in run.steps if step.ended_at and (step.run is None or step.run.status == "ok")]
    after = f"after step {ended[-1].key}" if ended else "from its first step"
    again = [step.key for step in ended if step.changed and step_id(step.key) not in writing]
    lost = [step.key for step in ended if step.changed and step_id(step.key) in writing]
    told = [f"resuming run {run.run_id} {after}"]
    if again:
        told.append(f"{', '.join(again)} again, since what it gave held secrets that are not kept")
    if lost:
        told.append(f"{', '.join(lost)} is not repeated, though not all that it gave was kept")
    return "; ".join(told)
