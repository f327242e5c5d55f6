"""Python functions as tools."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from tokenize import TokenError
from typing import Any

import anyio.to_thread

from skillforge.canonical import digest, digest_bytes
from skillforge.errors import ToolUnavailable, UsageError
from skillforge.messages import Tool
from skillforge.suggest import did_you_mean
from skillforge.tools.base import ToolOutcome
from skillforge.tools.plain import MAX_ERROR, one_line, outcome_of, refusal
from skillforge.tools.schema import Signature


@dataclass(frozen=True)
class _Bound:
    function: Callable[..., Any]
    signature: Signature

    @property
    def name(self) -> str:
        return self.signature.tool.name


class PythonTools:
    """Functions by their names. ``functions`` is a list, or a mapping that gives them names.

    A plain function runs in a worker thread (several calls at once run in several), a coroutine function on the loop.
    Arguments that do not fit its type hints, and whatever it raises, become outcomes with ``is_error``; only
    ``ToolUnavailable`` passes, for functions that reach for something that may be gone. A cancelled call does not wait
    for its thread: nobody knows then whether it happened.

    Raises ``UsageError`` for a function without a schema, and for two of one name.
    """

    def __init__(self, functions: Mapping[str, Callable[..., Any]] | Iterable[Callable[..., Any]]) -> None:
        named = functions.items() if isinstance(functions, Mapping) else (("", function) for function in functions)
        self._bound: dict[str, _Bound] = {}
        for name, function in named:
            bound = _Bound(function, Signature(function, name))
            if bound.name in self._bound:
                raise UsageError(f"two tools are named {bound.name}", hint='@tool(name="…") gives one another name')
            self._bound[bound.name] = bound

    @property
    def tools(self) -> tuple[Tool, ...]:
        return tuple(bound.signature.tool for bound in self._bound.values())

    @property
    def identity(self) -> str:
        """Names, schemas and sources; not what the functions import."""
        told = [[bound.signature.tool.model_dump(), _source(bound.function)] for bound in self._bound.values()]
        return f"python {digest(told)}"

    async def call(self, name: str, arguments: dict[str, Any]) -> ToolOutcome:
        bound = self._bound.get(name)
        if bound is None:
            raise UsageError(f"there is no tool {name!r}", hint=did_you_mean(name, self._bound))
        try:
            given = bound.signature.checked(arguments)
        except (ValueError, RecursionError) as exc:
            return refusal(str(exc))
        started = time.perf_counter()
        try:
            value = await _called(bound.function, given)
        except ToolUnavailable:
            raise
        except asyncio.CancelledError as exc:
            if _is_cancelled():
                raise
            return refusal(told(exc), time.perf_counter() - started)
        except (Exception, SystemExit, KeyboardInterrupt) as exc:  # a tool ends its call, never the process
            return refusal(told(exc), time.perf_counter() - started)
        return outcome_of(value, time.perf_counter() - started)

    async def aclose(self) -> None:
        """Nothing is held."""


def told(error: BaseException) -> str:
    """An exception in one line: its kind and its message, no traceback."""
    try:
        text = str(error)
    except Exception:  # an exception class of somebody else's
        text = ""
    return one_line(f"{type(error).__name__}: {text}" if text.strip() else type(error).__name__, MAX_ERROR)


def _is_cancelled() -> bool:
    """Whether it is us who are to stop; else a function gave up something of its own."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


async def _called(function: Callable[..., Any], given: dict[str, Any]) -> Any:
    if inspect.iscoroutinefunction(function):
        return await function(**given)
    value = await anyio.to_thread.run_sync(partial(function, **given), abandon_on_cancel=True)
    return await value if inspect.isawaitable(value) else value


def _source(function: Any) -> list[str]:
    """The function's own source and that of its module, where its helpers stand. Not what it closes over: that may be
    the state of the world.
    """
    while isinstance(function, partial):
        function = function.func
    target = function if inspect.isroutine(function) else type(function)
    told = [f"{getattr(target, '__module__', '')}.{getattr(target, '__qualname__', '')}"]
    for source in (target, inspect.getmodule(target)):
        with suppress(OSError, TypeError, SyntaxError, TokenError):  # typed at a prompt, built in, of no Python file
            told.append(digest_bytes(inspect.getsource(source).encode("utf-8", "replace")))  # type: ignore[arg-type]
    return told
