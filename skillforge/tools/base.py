"""The one thing every source of tools is: something that answers calls by name."""

from __future__ import annotations

from typing import Any, Protocol

from skillforge.messages import Tool, Value


class ToolOutcome(Value):
    """What a call gave: ``content`` is JSON. ``is_error``: the tool said no, and ``content`` why; a model may read it
    and try again. ``latency_s`` is seconds.
    """

    content: Any = None
    is_error: bool = False
    latency_s: float | None = None


class ToolBox(Protocol):
    """Some tools behind one method. ``identity`` names all that can change what they answer, as far as that can be
    known (source, version), not the state of the world behind them.
    """

    @property
    def tools(self) -> tuple[Tool, ...]: ...

    @property
    def identity(self) -> str: ...

    async def call(self, name: str, arguments: dict[str, Any]) -> ToolOutcome:
        """Call one tool. What the tool itself says no to is an outcome with ``is_error``, never an exception.

        Raises ``ToolUnavailable`` where the tool cannot be reached at all, ``UsageError`` for a name that is none of
        ``tools``.
        """
        ...

    async def aclose(self) -> None:
        """Free what is held (a process, a connection). May be called twice."""
        ...
