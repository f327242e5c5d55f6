"""What a function says of itself as a tool: its name, and whether a call changes the world. Loads nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, overload

from skillforge.errors import UsageError

Function = TypeVar("Function", bound=Callable[..., Any])
Effect = Literal["read", "write"]

_MARK = "__skillforge_tool__"


@dataclass(frozen=True, slots=True)
class Mark:
    """What ``tool`` noted. An empty ``name`` is the function's own; ``idempotency_key`` names a parameter."""

    name: str = ""
    effect: Effect = "read"
    idempotency_key: str = ""


@overload
def tool(function: Function) -> Function: ...
@overload
def tool(
    function: None = None, *, name: str = "", effect: Effect = "read", idempotency_key: str = ""
) -> Callable[[Function], Function]: ...


def tool(function: Any = None, *, name: str = "", effect: Effect = "read", idempotency_key: str = "") -> Any:
    """Mark a function as a tool: ``@tool`` or ``@tool(effect="write", idempotency_key="key")``.

    The function stays as it is. Its parameters and their types become the tool's schema, its docstring the description.
    Nothing needs the mark that only reads and keeps its name. ``effect="write"``: a call changes the world, so it is
    asked about first. ``idempotency_key`` names the parameter that makes a repeated call the same call; it is filled in
    for the caller, and only with it is a failed write tried again.

    Raises ``UsageError`` for an unknown effect.
    """
    if effect not in ("read", "write"):
        raise UsageError(f"a tool's effect is read or write, not {effect!r}", hint='@tool(effect="write")')
    noted = Mark(name=name, effect=effect, idempotency_key=idempotency_key)

    def marked(target: Function) -> Function:
        setattr(target, _MARK, noted)
        return target

    return marked if function is None else marked(function)


def mark_of(function: Any) -> Mark:
    """What the function was marked with; the default where it was not."""
    found = getattr(function, _MARK, None)
    return found if isinstance(found, Mark) else Mark()
