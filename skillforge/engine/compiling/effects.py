"""The tools that traces called: their schemas as given, else as the calls show them, and which of them write."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from skillforge.contract import schema_problems
from skillforge.engine.compiling.events import ToolEvent, tool_events
from skillforge.engine.compiling.values import shape
from skillforge.messages import Tool
from skillforge.taint import without_orders
from skillforge.trace import Trace

_READS = """
    browse calc calculate calculator check compare compute count describe estimate explain fetch find get
    glob grep has inspect is list lookup ls ping preview query read retrieve search select show stat
    summarize think tail validate verify view whoami
"""
_WRITES = """
    add and apply approve buy cancel create delete drop edit execute insert modify or overwrite pay put
    remove rename replace save send submit then update upsert write
"""
READS = frozenset(_READS.split())
WRITES = frozenset(_WRITES.split())
SEARCHED = frozenset({"code", "document", "documents", "file", "image", "internet", "news", "semantic", "web"})
_CHECKING = (["check", "in"], ["check", "out"])  # a guest, a book
THOUGHTS = frozenset({"think", "thought", "reflect", "todowrite", "update_plan", "todo_write"})
HANDOVERS = frozenset({"escalate", "handoff", "handover", "transfer"})
PEOPLE = frozenset({"agent", "agents", "human", "humans", "operator", "representative", "supervisor"})
CALCULATORS = frozenset({"calc", "calculate", "calculator", "compute", "math"})
_PART = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")


def guessed_effect(name: str) -> str:
    """``read`` where the first word of a name says so and no later one is a verb of writing (``get_or_create``), else
    ``write``: to take a read for a write costs a question, the other way round it costs an order. A last word counts
    only where what it searches stands before it (``web_search``): in ``cancel_plan`` or ``set_count`` it is a thing.
    """
    words = _words(name)
    if is_thought(name) or (len(words) == 2 and words[0] in SEARCHED and words[1] in ("fetch", "search")):
        return "read"
    if not words or words[0] not in READS or words[:2] in _CHECKING:
        return "write"
    return "write" if WRITES.intersection(words[1:]) else "read"


def is_thought(name: str) -> bool:
    """Whether a tool only takes notes: what it is told changes nothing and it answers nothing."""
    return _plain(name) in THOUGHTS


def is_handover(name: str) -> bool:
    """Whether a tool passes the task on to a person (``transfer_to_human_agents``): a workflow says so with a step that
    escalates.
    """
    words = _words(name)
    return len(words) > 2 and words[0] in HANDOVERS and words[1] == "to" and words[-1] in PEOPLE


def is_calculator(name: str) -> bool:
    """Whether a tool only computes."""
    words = _words(name)
    return bool(words) and words[0] in CALCULATORS


def _plain(name: str) -> str:
    return name.rsplit("__", 1)[-1].rsplit(".", 1)[-1].lower()


def _words(name: str) -> list[str]:
    return [word.lower() for word in _PART.findall(name.rsplit("__", 1)[-1].rsplit(".", 1)[-1])]


def tools_of(traces: Iterable[Trace]) -> dict[str, Tool]:
    """Every tool that the traces name or call, by name. Of other programs' traces the effect is guessed by the name:
    their formats do not say it, and what holds an order to a model in them is left out.
    """
    given: dict[str, Tool] = {}
    called: dict[str, list[ToolEvent]] = {}
    for trace in traces:
        for tool in trace.tools:
            if tool == Tool(name=tool.name):
                continue  # a name alone says no more than its calls
            known = given.get(tool.name)
            if known is None or known.effect == "read":
                shown = without_orders(tool) if trace.untrusted else tool
                given[tool.name] = _with_effect(shown, own=not trace.format)
        for event in tool_events(trace):
            called.setdefault(event.name, []).append(event)
    bare = Tool(name="").parameters
    for name in [name for name in called if name in given and given[name].parameters == bare]:
        shown = _inferred(name, called[name], given[name].idempotency_key)
        given[name] = given[name].model_copy(update={"parameters": shown.parameters})
    inferred = {name: _inferred(name, events) for name, events in called.items() if name not in given}
    return {**given, **inferred}


def _with_effect(tool: Tool, *, own: bool) -> Tool:
    effect = tool.effect if own or tool.effect == "write" else guessed_effect(tool.name)
    kept = tool.parameters if not schema_problems(tool.parameters) else _readable(tool.parameters)
    return tool.model_copy(update={"effect": effect, "parameters": kept})


def _readable(parameters: dict[str, Any]) -> dict[str, Any]:
    """The names and plain types of a schema that uses what a skill file may not."""
    fields = parameters.get("properties")
    found = fields if isinstance(fields, dict) else {}
    plain = {name: _plain_type(schema) for name, schema in found.items()}
    listed = parameters.get("required")
    required = [name for name in listed if name in plain] if isinstance(listed, list) else []
    return {"type": "object", "properties": plain, **({"required": required} if required else {})}


def _plain_type(schema: Any) -> dict[str, Any]:
    kept = (
        {key: schema[key] for key in ("type", "description", "enum") if key in schema}
        if isinstance(schema, dict)
        else {}
    )
    return kept if not schema_problems(kept) else {}


def _inferred(name: str, events: list[ToolEvent], key: str = "") -> Tool:
    """A tool as its calls show it; ``key`` is a parameter that is filled in and never shown."""
    said = [{name: value for name, value in event.arguments.items() if name != (key or None)} for event in events]
    parameters = shape(said)
    if "properties" not in parameters:
        parameters = {"type": "object", "properties": {}}
    return Tool(name=name, parameters=parameters, effect="write" if guessed_effect(name) == "write" else "read")
