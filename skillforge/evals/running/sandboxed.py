"""Workflows in an eval: every execution has tools of its own, and none writes for real."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from skillforge.engine.codedigest import code_digest
from skillforge.engine.execute import Executor, PromptExecutor
from skillforge.engine.frame import bare_skill
from skillforge.engine.workflow.execute import WorkflowExecutor
from skillforge.errors import UsageError
from skillforge.functions import load_function
from skillforge.run import Run
from skillforge.skill import Examples, Skill
from skillforge.step import Agent, Step
from skillforge.tools.base import ToolBox
from skillforge.tools.binding import bind
from skillforge.tools.opening import ToolsGiven, open_tools
from skillforge.tools.recorded import RecordedTools

LOOP_TURNS = 20  # of the tool loop that a workflow is compared with

# called with a case's input: a context manager that gives the tools of one execution
Sandbox = Callable[[dict[str, Any]], Any]


@dataclass(frozen=True)
class EvalTools:
    """The tools of an eval's workflows: of a ``sandbox``, opened anew for every execution, or one ``box`` for all of
    them, which is a recording or only reads.
    """

    box: ToolBox | None = None
    sandbox: Sandbox | None = None

    @property
    def identity(self) -> str:
        if self.sandbox is not None:
            return f"sandbox {code_digest(self.sandbox)}"
        return self.box.identity if self.box is not None else ""

    @asynccontextmanager
    async def opened(self, skill: Skill, given: Mapping[str, Any]) -> AsyncIterator[ToolBox]:
        """The declared tools for one execution. A recording starts from its beginning."""
        if self.sandbox is None:
            assert self.box is not None
            yield bind(self.box, skill.tools)
            return
        with self.sandbox(dict(given)) as tools:
            async with open_tools(tools) as box:
                yield bind(box, skill.tools)


@asynccontextmanager
async def eval_tools(
    skills: Iterable[Skill], tools: ToolsGiven, sandbox: str | Sandbox | None
) -> AsyncIterator[EvalTools]:
    """The tools of an eval of ``skills``. ``sandbox`` may be ``module:function``.

    Raises ``UsageError`` for tools that are missing, and for tools that would write for real.
    """
    if sandbox is not None:
        if tools is not None:
            raise UsageError("a sandbox gives the tools itself", hint="leave out --tools and --mcp, or --sandbox")
        yield EvalTools(sandbox=load_function(sandbox) if isinstance(sandbox, str) else sandbox)
        return
    async with open_tools(tools) as box:
        for skill in skills:
            _require_harmless(box, skill)
        yield EvalTools(box=box)


def _require_harmless(box: ToolBox, skill: Skill) -> None:
    bound = bind(box, skill.tools)
    writes = [tool.name for tool in bound.tools if tool.effect == "write"]
    if writes and not isinstance(bound, RecordedTools):
        raise UsageError(
            f"an eval does not write for real, and {', '.join(writes)} of {skill.name} would",
            hint="--sandbox MODULE:FUNCTION gives every execution tools of its own, --tool-recording FILE recorded"
            " answers",
        )


@dataclass(frozen=True)
class SandboxedExecutor:
    """A model that runs workflows with the tools of an eval; a skill without steps it runs alone."""

    prompts: PromptExecutor
    tools: EvalTools

    @property
    def student(self) -> str:
        return self.prompts.student

    @property
    def concurrency(self) -> int:
        return self.prompts.concurrency

    @property
    def identity(self) -> str:
        return f"{self.prompts.identity} {self.tools.identity}"

    async def execute(self, skill: Skill, given: Mapping[str, Any], epoch: int = 0) -> Run:
        if not skill.is_workflow:
            return await self.prompts.execute(skill, given, epoch)
        async with self.tools.opened(skill, given) as box:
            return await WorkflowExecutor(self.prompts, box).execute(skill, given, epoch)


def prompts_of(executor: Executor) -> PromptExecutor | None:
    """The model behind an executor, ``None`` where it is none."""
    if isinstance(executor, SandboxedExecutor):
        return executor.prompts
    return executor if isinstance(executor, PromptExecutor) else None


def loop_skill(skill: Skill) -> Skill:
    """What a workflow replaces: the task sentence, the contract and the tools, in one loop of the model's own making.

    The bare arm runs it on a student, the teacher arm on the teacher. Without tools it is the bare prompt.
    """
    bare = bare_skill(skill.model_copy(update={"steps": (), "tools": (), "result": None}))
    if not skill.tools:
        return bare
    step = Step(
        id="answer",
        agent=Agent(tools=tuple(tool.name for tool in skill.tools), max_turns=LOOP_TURNS),
        prompt=bare.prompt,
        output=skill.output,
        limits=skill.limits,
    )
    update = {"prompt": "", "examples": Examples(), "steps": (step,), "tools": skill.tools}
    return bare.model_copy(update=update)
