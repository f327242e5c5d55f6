"""The tools a skill declares, answered by the tools a caller gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from skillforge.canonical import digest
from skillforge.errors import UsageError
from skillforge.messages import Tool
from skillforge.suggest import did_you_mean
from skillforge.tools.base import ToolBox, ToolOutcome
from skillforge.tools.guard import Guarded
from skillforge.tools.recorded import RecordedTools

_HINT = "give it with --tools module:object, --mcp COMMAND or URL, or tools= in Python"


def bind(box: ToolBox, declared: Sequence[Tool]) -> ToolBox:
    """Only the declared tools of ``box``, described as the skill's file does where it does.

    A tool writes if either side says so, and what asks before the first write asks by that. Raises ``UsageError``,
    naming every declared tool that ``box`` lacks.
    """
    if isinstance(box, Guarded):  # the question comes first, and the file may know better what writes
        return Guarded(bind(box.box, declared), box.answers)
    if isinstance(box, RecordedTools):
        return box.knowing(declared)
    given = {tool.name: tool for tool in box.tools}
    missing = [tool.name for tool in declared if tool.name not in given]
    if missing:
        near = did_you_mean(missing[0], given, what="given are") if given else ""
        names = ", ".join(missing)
        raise UsageError(f"no tool is given for: {names}", hint=f"{_HINT}; {near}" if near else _HINT)
    return _Bound(box, tuple(_merged(tool, given[tool.name]) for tool in declared))


class _Bound:
    def __init__(self, box: ToolBox, tools: tuple[Tool, ...]) -> None:
        self._box = box
        self._tools = tools
        self._names = frozenset(tool.name for tool in tools)

    @property
    def tools(self) -> tuple[Tool, ...]:
        return self._tools

    @property
    def identity(self) -> str:
        return f"{self._box.identity} {digest(sorted(self._names))}"

    async def call(self, name: str, arguments: dict[str, Any]) -> ToolOutcome:
        if name not in self._names:
            raise UsageError(f"the skill declares no tool {name!r}", hint=did_you_mean(name, self._names))
        return await self._box.call(name, arguments)

    async def aclose(self) -> None:
        await self._box.aclose()


def _merged(declared: Tool, given: Tool) -> Tool:
    undescribed = declared.parameters == Tool.model_fields["parameters"].get_default(call_default_factory=True)
    return Tool(
        name=declared.name,
        description=declared.description or given.description,
        parameters=given.parameters if undescribed else declared.parameters,
        effect="write" if "write" in (declared.effect, given.effect) else "read",
        idempotency_key=declared.idempotency_key or given.idempotency_key,
    )
