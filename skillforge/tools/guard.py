"""Nobody's money moves unasked: the first call of every tool that writes is asked about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import anyio
import anyio.to_thread

from skillforge.messages import Tool
from skillforge.tools.base import ToolBox, ToolOutcome

# (tool, arguments) -> whether it may write; asked before the first call of each
Ask = Callable[[Tool, Mapping[str, Any]], bool]
REFUSED = "refused by the user"


class Answers:
    """What was answered so far, by tool. Questions come one at a time, and none twice."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._said: dict[str, bool] = {}
        self._asking = anyio.Lock()

    async def allow(self, tool: Tool, arguments: Mapping[str, Any]) -> bool:
        async with self._asking:
            if tool.name not in self._said:
                # in a thread: a person takes long, and an interrupt must still be heard
                ask = partial(self._ask, tool, arguments)
                self._said[tool.name] = await anyio.to_thread.run_sync(ask, abandon_on_cancel=True)
            return self._said[tool.name]


class Guarded:
    """Tools that write only after a yes. A no is an outcome with ``is_error``: ``refused by the user``."""

    def __init__(self, box: ToolBox, answers: Answers) -> None:
        self.box = box
        self.answers = answers

    @property
    def tools(self) -> tuple[Tool, ...]:
        return self.box.tools

    @property
    def identity(self) -> str:
        return self.box.identity

    async def call(self, name: str, arguments: dict[str, Any]) -> ToolOutcome:
        tool = next((tool for tool in self.tools if tool.name == name), None)
        if tool is not None and tool.effect == "write" and not await self.answers.allow(tool, arguments):
            return ToolOutcome(content=REFUSED, is_error=True)
        return await self.box.call(name, arguments)

    async def aclose(self) -> None:
        await self.box.aclose()
