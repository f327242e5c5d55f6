"""From what a caller gives (functions, module:object, MCP servers) to one open box of tools."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeGuard

from skillforge.canonical import digest
from skillforge.errors import UsageError
from skillforge.functions import load_object
from skillforge.messages import Tool
from skillforge.suggest import did_you_mean
from skillforge.tools.base import ToolBox, ToolOutcome
from skillforge.tools.guard import Answers, Guarded
from skillforge.tools.guard import Ask as Ask
from skillforge.tools.python import PythonTools
from skillforge.tools.recorded import CleanValue, RecordedTools
from skillforge.tools.recording import RecordingTools


@dataclass(frozen=True)
class Recording:
    """Tools whose answers are written to ``path`` as they come, without secrets (``RecordingTools``)."""

    given: ToolsGiven
    path: Path
    clean: CleanValue


_Function = Callable[..., Any]
ToolsGiven: TypeAlias = (
    ToolBox
    | Mapping[str, _Function]
    | _Function
    | str
    | Iterable[_Function | str | ToolBox | Mapping[str, _Function]]
    | Recording
    | None
)
MCP = "mcp:"
_HINT = "give functions, 'module:object', 'mcp:COMMAND' or 'mcp:URL'"


@asynccontextmanager
async def open_tools(given: ToolsGiven, *, ask: Ask | None = None) -> AsyncIterator[ToolBox]:
    """One box of all that was given, open until the block ends; a box that was given stays its giver's to close.

    A text is ``module:object`` (a function, a list or mapping of functions, a box) or ``mcp:`` and the command or the
    address of a server. ``ask(tool, arguments)`` is asked, in a worker thread, before the first call of each tool that
    writes; ``None`` allows them all; a recording writes nothing, so nobody is asked. Raises ``UsageError`` for what is
    no tool and for two tools of one name, ``MissingPackage`` without the extra ``mcp``, ``ToolUnavailable`` where a
    server does not answer.
    """
    async with AsyncExitStack() as stack:
        source = given.given if isinstance(given, Recording) else given
        boxes = [await _opened(item, stack) for item in _items(source)]
        box = boxes[0] if len(boxes) == 1 else _Joined(boxes)
        if isinstance(given, Recording):
            box = RecordingTools(box, given.path, given.clean)
        yield box if ask is None or isinstance(box, RecordedTools) else Guarded(box, Answers(ask))


async def _opened(item: ToolBox | str, stack: AsyncExitStack) -> ToolBox:
    if not isinstance(item, str):
        return item
    from skillforge.tools.mcp_client import mcp_tools

    return await stack.enter_async_context(mcp_tools(item))


def is_box(value: object) -> TypeGuard[ToolBox]:
    return not isinstance(value, type) and all(hasattr(value, name) for name in ("tools", "identity", "call", "aclose"))


def _items(given: Any) -> list[ToolBox | str]:
    """Boxes, and the commands and addresses of MCP servers; single functions share one box."""
    loose: list[Callable[..., Any]] = []
    found: list[ToolBox | str] = []
    for item in _flat(given):
        if callable(item) and not is_box(item):
            loose.append(item)
        elif isinstance(item, Mapping):
            found.append(PythonTools(item))
        else:
            found.append(item)
    return [PythonTools(loose), *found] if loose else found


def _flat(given: Any) -> list[Any]:
    if given is None:
        return []
    if isinstance(given, str):
        return [given.removeprefix(MCP).strip()] if given.startswith(MCP) else _several(load_object(given), given)
    return _several(given, "tools")


def _several(value: Any, where: str) -> list[Any]:
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping) and not is_box(value):
        return [found for item in value for found in (_flat(item) if isinstance(item, str) else [_one(item, where)])]
    return [_one(value, where)]


def _one(value: Any, where: str) -> Any:
    """A function, a mapping of functions or a box."""
    if isinstance(value, Mapping):
        wrong = [name for name, function in value.items() if not isinstance(name, str) or not callable(function)]
        if wrong:
            raise UsageError(f"{where}: {wrong[0]!r} is not the name of a function", hint=_HINT)
    elif not (is_box(value) or callable(value)):
        raise UsageError(f"{where}: {type(value).__name__} is no tool", hint=_HINT)
    return value


class _Joined:
    """Several boxes as one."""

    def __init__(self, boxes: Sequence[ToolBox]) -> None:
        self._boxes = tuple(boxes)
        self._owner: dict[str, ToolBox] = {}
        for box in boxes:
            for tool in box.tools:
                if tool.name in self._owner:
                    hint = "leave one out, or rename yours: tools={'name': function}"
                    raise UsageError(f"two of the given tools are named {tool.name}", hint=hint)
                self._owner[tool.name] = box

    @property
    def tools(self) -> tuple[Tool, ...]:
        return tuple(tool for box in self._boxes for tool in box.tools)

    @property
    def identity(self) -> str:
        return f"several {digest([box.identity for box in self._boxes])}"

    async def call(self, name: str, arguments: dict[str, Any]) -> ToolOutcome:
        if name not in self._owner:
            raise UsageError(f"there is no tool {name!r}", hint=did_you_mean(name, self._owner))
        return await self._owner[name].call(name, arguments)

    async def aclose(self) -> None:
        for box in self._boxes:
            await box.aclose()
