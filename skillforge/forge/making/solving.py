"""The teacher's tools while it solves: opened for one command, their calls kept until each input is solved."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from skillforge.canonical import digest
from skillforge.case import Case
from skillforge.engine.agent.limits import LoopLimits
from skillforge.engine.journal import TraceJournal
from skillforge.engine.solve import WROTE, solve, trace_key
from skillforge.errors import UsageError
from skillforge.forge.session import Terms
from skillforge.forge.workspace import Workspace
from skillforge.messages import ToolCall
from skillforge.providers.base import Provider
from skillforge.run import Attempt, StepRun
from skillforge.store.workflow_state import WorkflowLog
from skillforge.tools.base import ToolBox, ToolOutcome
from skillforge.tools.guard import Ask
from skillforge.tools.opening import ToolsGiven, open_tools
from skillforge.trace import Trace

CALLS_FILE = "tools/calls.jsonl"  # in the folder of a recording, where no model's answers are looked for
_NO_LIMITS = LoopLimits()


@dataclass(frozen=True)
class TeacherTools:
    """What the teacher may call while it solves. ``ask(tool, arguments)`` is asked before the first call of each tool
    that writes; ``None`` allows them. ``limits`` bound the loop of each input. ``fresh`` forgets what an unfinished
    earlier try has called: its writes may then happen again.
    """

    given: ToolsGiven
    ask: Ask | None = None
    limits: LoopLimits = _NO_LIMITS
    fresh: bool = False


def teacher_tools(
    given: ToolsGiven = None, ask: Ask | None = None, limits: LoopLimits | None = None, fresh: bool = False
) -> TeacherTools | None:
    """The caller's wishes, ``None`` where there are none."""
    if given is None and limits is None and not fresh:
        return None
    return TeacherTools(given, ask, limits or _NO_LIMITS, fresh)


@asynccontextmanager
async def opened_box(work: Workspace, tools: TeacherTools | None, terms: Terms) -> AsyncIterator[ToolBox | None]:
    """The teacher's tools, open until the block ends; ``None`` where it has none. With a recording they are recorded
    beside it, and where the recording that answers holds calls, and no tools are given, those answer.

    Raises ``UsageError`` where what was given holds no tool at all, else as ``open_tools``.
    """
    clean = work.redactor.value
    folder = terms.replay_folder
    replayed = folder / CALLS_FILE if folder is not None else None
    if tools is None or tools.given is None:
        if replayed is None or not replayed.is_file():
            yield None
            return
        from skillforge.tools.recorded import read_recording

        yield read_recording(replayed, clean=clean)
        return
    async with open_tools(tools.given, ask=tools.ask) as box:
        if not box.tools:
            raise UsageError("what is given as tools holds none", hint="give functions, module:object or an MCP server")
        if terms.record_folder is None:
            yield box
            return
        from skillforge.tools.recording import RecordingTools

        recording = RecordingTools(box, terms.record_folder / CALLS_FILE, clean)
        yield recording
        if recording.left_out:
            work.say(f"{recording.left_out} calls of tools are not in the recording: no line can hold them")


@dataclass
class Loops:
    """Solving with tools, as ``create`` does it. ``on_progress`` gets ("turn", how many there were, 0)."""

    work: Workspace
    box: ToolBox
    tools: TeacherTools
    on_progress: Callable[[str, int, int], None]
    turns: int = 0

    async def solve(
        self,
        task: str,
        cases: Sequence[Case],
        teacher: Provider,
        journal: TraceJournal,
        on_solved: Callable[[Trace], None],
    ) -> list[Trace]:
        """As ``engine.solve``. Says which inputs were not solved and may have written."""
        log = self.work.workflows
        for case in cases if self.tools.fresh else ():
            log.close(_run_id(trace_key(teacher, task, case.input, self.box)))
        traces = await solve(
            task,
            cases,
            teacher,
            journal,
            on_solved,
            box=self.box,
            limits=self.tools.limits,
            calls_of=lambda key: SolveCalls(log, key),
            on_turn=self._turn,
        )
        for line in told_of_writes(traces):
            self.work.say(line)
        return traces

    def _turn(self, case: Case, attempt: Attempt) -> None:
        self.turns += 1
        self.on_progress("turn", self.turns, 0)


def called_tools(trace: Trace) -> bool:
    return any(message.tool_calls for message in trace.messages)


def goes_on(trace: Trace) -> bool:
    """Whether a limit stopped the teacher on its way: with a wider one the same command goes on from there, so what was
    paid for is worth finding again.
    """
    return bool(trace.error and trace.turns) and trace.turns[-1].stop == "tool_calls"


def told_of_writes(traces: Sequence[Trace]) -> list[str]:
    """What a person should know of inputs that were not solved, and have written."""
    told = []
    for trace in traces:
        if wrote := trace.extra.get(WROTE):
            told.append(
                f"{trace.case_id} was not solved ({trace.error}) and may have written: {', '.join(wrote)};"
                " the same command repeats none of these calls"
            )
    return told


class SolveCalls:
    """The ``CallJournal`` of one input, in the store. What redaction took something out of is called again, unless it
    wrote: that it was done is what counts.
    """

    def __init__(self, log: WorkflowLog, key: str) -> None:
        self._log = log
        self._key = key
        self._run_id = _run_id(key)
        found = log.get(self._run_id)
        self._opened = found is not None
        self._known: dict[str, ToolOutcome | None] = {}
        self._writes: set[str] = set()
        for step in found.steps if found is not None else ():
            if step.writes:
                self._writes.add(step.key)
            if not step.ended_at:
                self._known[step.key] = None
            elif step.run is not None and (step.writes or not step.changed):
                self._known[step.key] = ToolOutcome(content=step.run.output, is_error=step.run.status != "ok")
            elif step.writes:
                self._known[step.key] = ToolOutcome(content="done; what it gave was purged")

    def known(self) -> dict[str, ToolOutcome | None]:
        return dict(self._known)

    def writes(self) -> frozenset[str]:
        return frozenset(self._writes)

    def start(self, key: str, *, writes: bool) -> None:
        if not self._opened:
            self._log.open(self._run_id, key=self._key, asked=self._key, skill="")
            self._opened = True
        self._log.start(self._run_id, key, writes=writes)

    def finish(self, key: str, call: ToolCall, outcome: ToolOutcome, *, writes: bool) -> None:
        step = StepRun(
            key=key,
            kind="tool",
            status="failed" if outcome.is_error else "ok",
            tool=call.name,
            arguments=call.arguments,
            output=outcome.content,
            tries=1,
        )
        self._log.finish(self._run_id, step, (), writes=writes)

    def close(self) -> None:
        self._log.close(self._run_id)


def _run_id(key: str) -> str:
    return f"solve-{digest(key).removeprefix('sha256:')[:32]}"
