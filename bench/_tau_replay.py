"""One held-back trace through a workflow: reads from recordings, writes kept, answers from a file by what was asked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from _tau_data import WRITES, Call, key_of

from skillforge.canonical import compact, digest
from skillforge.engine.compiling.events import task_input
from skillforge.engine.execute import PromptExecutor
from skillforge.engine.workflow.execute import WorkflowExecutor
from skillforge.errors import UnknownRequest, UnknownToolCall
from skillforge.messages import Completion, Cost, Message, Request, Tool, Usage
from skillforge.run import Run
from skillforge.skill import Skill
from skillforge.tools.base import ToolOutcome
from skillforge.tools.recorded import RecordedCall, RecordedTools, calls_of_trace
from skillforge.trace import Trace


@dataclass
class Answers:
    """What the language steps answered, by trace, step and digest of the prompt as it was sent."""

    rows: Mapping[tuple[str, str, str], Any]
    asked: dict[tuple[str, str, str], Request] = field(default_factory=dict)  # without an answer
    used: set[tuple[str, str, str]] = field(default_factory=set)

    @property
    def stale(self) -> list[tuple[str, str]]:
        """Answers to prompts that are sent otherwise now."""
        open_now = {key[:2] for key in self.asked}
        return sorted({key[:2] for key in self.rows if key not in self.used} & open_now)


def read_answers(path: Path) -> Answers:
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []
    return Answers({(row["trace"], row["step"], row["prompt"]): row["answer"] for row in rows})


@dataclass
class Blind:
    """A provider for one trace that says what was recorded, and notes what nobody has answered yet."""

    trace: str
    answers: Answers
    calls: int = 0

    name = "recorded answers"
    concurrency = 1
    native_tools = False

    def fingerprint(self) -> str:
        return self.name

    def price(self, usage: Usage) -> Cost:
        return Cost(usd=0.0)

    async def complete(self, request: Request) -> Completion:
        told = [[message.role, message.text] for message in request.messages]
        key = self.trace, request.key.role.partition(":")[2], digest([told, request.output_schema])[:23]
        if key not in self.answers.rows:
            self.answers.asked[key] = request
            raise UnknownRequest(f"no answer is recorded for {key[1]} of {key[0]}", hint="--prepare DIR writes it out")
        self.answers.used.add(key)
        self.calls += 1
        text = compact(self.answers.rows[key])
        return Completion(message=Message.of("assistant", text), stop="stop", model=self.name, cost=Cost(usd=0.0))

    async def aclose(self) -> None:
        """Nothing is held."""


@dataclass
class Replayed:
    """Tools that read from the trace's own recording, else from what all recordings show of the same world, and keep
    what is written. ``borrowed`` and ``missing`` are the reads that the own recording and all of them lack.
    """

    trace: Trace
    world: Mapping[str, RecordedCall]
    tools: tuple[Tool, ...]
    written: list[Call] = field(default_factory=list)
    borrowed: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    identity = "recordings"

    def __post_init__(self) -> None:
        self._own = RecordedTools(calls_of_trace(self.trace), self.tools)

    async def call(self, name: str, arguments: dict[str, Any]) -> ToolOutcome:
        if name in WRITES:
            self.written.append((name, arguments))
            return ToolOutcome(content={"status": "done"})
        try:
            return await self._own.call(name, arguments)
        except UnknownToolCall:
            if (known := self.world.get(key_of(name, arguments))) is None:
                self.missing.append(f"{name}({', '.join(map(str, arguments.values()))})")
                raise
            self.borrowed.append(name)
            return ToolOutcome(content=known.content, is_error=known.is_error)

    async def aclose(self) -> None:
        """Nothing is held."""


@dataclass(frozen=True)
class Replay:
    run: Run
    calls: int
    written: tuple[Call, ...]
    borrowed: tuple[str, ...]
    missing: tuple[str, ...]


async def replay(skill: Skill, trace: Trace, world: Mapping[str, RecordedCall], answers: Answers) -> Replay:
    model = Blind(trace.case_id, answers)
    box = Replayed(trace, world, skill.tools)
    run = await WorkflowExecutor(PromptExecutor(model), box).execute(skill, task_input(trace))
    return Replay(run, model.calls, tuple(box.written), tuple(box.borrowed), tuple(box.missing))
