"""The calls of one turn: checked, given their idempotency keys, made together, answered in their order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anyio

from skillforge.canonical import compact, digest_bytes
from skillforge.contract import Validator
from skillforge.engine.agent.results import shown
from skillforge.errors import UsageError
from skillforge.messages import Tool, ToolCall, ToolResult
from skillforge.suggest import did_you_mean
from skillforge.tools.base import ToolBox, ToolOutcome

MAX_CALLS = 32  # of one turn: more is a model that has lost its way


def shown_tool(tool: Tool) -> Tool:
    """The tool as a model sees it: without its idempotency key, which is not the model's to choose."""
    if not tool.idempotency_key:
        return tool
    parameters = dict(tool.parameters)
    if isinstance(properties := parameters.get("properties"), dict):
        parameters["properties"] = {name: kept for name, kept in properties.items() if name != tool.idempotency_key}
    if isinstance(required := parameters.get("required"), list):
        parameters["required"] = [name for name in required if name != tool.idempotency_key]
    return tool.model_copy(update={"parameters": parameters})


class Caller:
    """Makes a model's calls on a box. ``loop_id`` names the loop: every idempotency key is made of it, the place of the
    call in the loop and what it says, so that the same loop gone through again makes the same keys.

    What a model gets wrong (a tool that is not there, arguments that do not fit) is a result with ``is_error``.
    """

    def __init__(self, box: ToolBox, loop_id: str) -> None:
        self._box = box
        self._loop_id = loop_id
        self._tools = {tool.name: tool for tool in box.tools}
        self.shown = tuple(shown_tool(tool) for tool in box.tools)
        self._validators = {tool.name: _validator(tool.parameters) for tool in self.shown}

    async def call_all(self, calls: Sequence[ToolCall], *, turn: int, deadline: float) -> tuple[ToolResult, ...]:
        """The results in the order of ``calls``. A read that is not back at ``deadline`` (of ``anyio.current_time``) is
        given up; a write is waited for, since nobody would know whether it happened.

        Raises what the box raises, after every other call of the turn has ended.
        """
        results: list[ToolResult | None] = [None] * len(calls)
        failures: list[Exception] = []

        async def one(number: int, call: ToolCall) -> None:
            try:
                outcome = await self._call(call, turn, number, deadline)
            except Exception as exc:
                failures.append(exc)
            else:
                content, is_error = shown(outcome)
                results[number] = ToolResult(id=call.id, content=content, is_error=is_error)

        async with anyio.create_task_group() as group:
            for number, call in enumerate(calls):
                group.start_soon(one, number, call)
        if failures:
            raise failures[0]
        return tuple(result for result in results if result is not None)

    async def _call(self, call: ToolCall, turn: int, number: int, deadline: float) -> ToolOutcome:
        if (problem := self._problem(call, number)) is not None:
            return ToolOutcome(content=problem, is_error=True)
        tool = self._tools[call.name]
        arguments = dict(call.arguments)
        if tool.idempotency_key:
            arguments[tool.idempotency_key] = digest_bytes(
                compact([self._loop_id, turn, number, call.name, call.arguments]).encode("utf-8", "backslashreplace")
            )
        if tool.effect == "write":
            return await self._box.call(call.name, arguments)
        with anyio.CancelScope(deadline=deadline):
            return await self._box.call(call.name, arguments)
        return ToolOutcome(content="no result within the time limit", is_error=True)

    def _problem(self, call: ToolCall, number: int) -> str | None:
        if number >= MAX_CALLS:
            return f"not called: more than {MAX_CALLS} calls at once"
        tool = self._tools.get(call.name)
        if tool is None:
            hint = did_you_mean(call.name, list(self._tools), what="there are")
            return f"there is no tool {call.name[:80]!r}; {hint}"
        given = {name: value for name, value in call.arguments.items() if name != tool.idempotency_key}
        validator = self._validators[call.name]
        problems = validator.problems(given) if validator is not None else []
        return "the arguments do not fit: " + "; ".join(problems) if problems else None


def _validator(parameters: dict[str, Any]) -> Validator | None:
    """``None`` for a schema that is not ours to read: then the tool itself says what does not fit."""
    try:
        compact(parameters)
        return Validator({name: value for name, value in parameters.items() if name != "$schema"})
    except (UsageError, TypeError, ValueError, RecursionError):
        return None
