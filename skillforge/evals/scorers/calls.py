"""Tool calls in the forms models write them, as values. Nothing here is ever evaluated."""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from skillforge.evals.scorers.equality import same

MAX_CALLS = 1_000  # looked at in one answer
_MAX_TEXT = 100_000
_MAX_CODE = 20_000  # characters that are parsed as Python: its parser recurses
_ARGUMENTS = ("arguments", "input", "parameters")
_FENCE = re.compile(r"\s*```[\w+-]*[ \t]*\n(.*?)\n?[ \t]*```\s*", re.DOTALL)
_NUMBERED = re.compile(r"(.+)[_ ][0-9]{1,3}")


@dataclass(frozen=True)
class ToolCall:
    """One call. Positional arguments, which only Python text can have, are named ``0``, ``1`` …"""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Accepted:
    """A call as it may be: of every argument the values that will do, ``""`` among them where it may be missing.
    ``numbered``: its name may end in ``_1``, `` 2`` … to tell several calls of one tool apart.
    """

    name: str
    arguments: Mapping[str, Sequence[Any]]
    numbered: bool = False

    def takes(self, call: ToolCall) -> bool:
        if not (same_tool(self.name, call.name) or (self.numbered and self._counts(call.name))):
            return False
        if any(name not in self.arguments for name in call.arguments):
            return False
        return all(
            any(_will_do(value, call.arguments[name]) for value in values) if name in call.arguments else "" in values
            for name, values in self.arguments.items()
        )

    def _counts(self, name: str) -> bool:
        counted = _NUMBERED.fullmatch(self.name)
        return counted is not None and same_tool(counted[1], name)


def same_tool(left: str, right: str) -> bool:
    """Whether two names are those of one tool: an API that allows no ``.`` in a name is given ``_``."""
    return left.replace(".", "_") == right.replace(".", "_")


def calls_of(value: Any) -> list[ToolCall] | None:
    """The calls an answer makes, at most ``MAX_CALLS`` + 1 of them; ``None`` where it is no form of calls.

    Forms: a list of them or a single one, each ``{name, arguments}`` (``input`` and ``parameters`` too, as JSON text
    too), ``{function: {name, arguments}}`` as in ``tool_calls``, ``{tool_calls: […]}``, ``{tool: {argument: value}}``;
    a text that is one of these as JSON; or Python calls, ``[f(a=1), g()]``, ``f(a=1)``. In Python an argument that is
    no literal is its own source text.
    """
    if isinstance(value, str):
        return _calls_of_text(value)
    if isinstance(value, list | tuple):
        return _joined([_calls_of_object(item) for item in value[: MAX_CALLS + 1]])
    return _calls_of_object(value)


def accepted_of(label: Any) -> list[Accepted] | None:
    """Calls as the Berkeley Function-Calling Leaderboard writes them: ``{tool: {argument: [accepted, …]}}`` or a list
    of such; ``None`` for another form. Every argument must hold a list, else they are plain values.
    """
    if isinstance(label, list | tuple):
        groups = [_accepted_group(item) for item in label]
        return None if not groups or None in groups else [call for group in groups for call in group or ()]
    return _accepted_group(label)


def without_fence(value: Any) -> Any:
    """A text without the code fence that stands around all of it; anything else as it is."""
    match = _FENCE.fullmatch(value) if isinstance(value, str) and len(value) <= _MAX_TEXT else None
    return value if match is None else match[1]


def _accepted_group(label: Any) -> list[Accepted] | None:
    if not isinstance(label, dict) or not label:
        return None
    given = [arguments for arguments in label.values() if isinstance(arguments, dict)]
    values = [accepted for arguments in given for accepted in arguments.values()]
    if len(given) < len(label) or not values or not all(isinstance(accepted, list) for accepted in values):
        return None
    return [Accepted(name, arguments, numbered=len(label) > 1) for name, arguments in label.items()]


def _calls_of_text(text: str) -> list[ToolCall] | None:
    text = text.strip()
    if not text or len(text) > _MAX_TEXT:
        return None
    if text[0] in "[{":
        try:
            return _calls_of_json(json.loads(text))
        except (ValueError, RecursionError):
            pass
    return _python_calls(text)


def _calls_of_json(value: Any) -> list[ToolCall] | None:
    return None if isinstance(value, str) else calls_of(value)


def _calls_of_object(value: Any) -> list[ToolCall] | None:
    if not isinstance(value, dict) or not value:
        return None
    if isinstance(value.get("tool_calls"), list):
        return calls_of(value["tool_calls"])
    inner = value.get("function", value.get("function_call", value))
    if isinstance(inner, dict) and isinstance(inner.get("name"), str) and (inner is not value or _is_call(inner)):
        arguments = _arguments(next((inner[key] for key in _ARGUMENTS if key in inner), None))
        return None if arguments is None else [ToolCall(inner["name"], arguments)]
    named = {name: _arguments(given) for name, given in value.items()}
    return _joined([None if given is None else [ToolCall(str(name), given)] for name, given in named.items()])


def _is_call(value: Mapping[str, Any]) -> bool:
    """Whether an object with a name is a call, and not a call of a tool that is called ``name``."""
    return len(value) == 1 or any(key in value for key in _ARGUMENTS)


def _arguments(given: Any) -> Mapping[str, Any] | None:
    if given is None or given == "":
        return {}
    if isinstance(given, str) and len(given) <= _MAX_TEXT:
        try:
            given = json.loads(given)
        except (ValueError, RecursionError):
            return None
    return given if isinstance(given, dict) else None


def _joined(groups: Sequence[list[ToolCall] | None]) -> list[ToolCall] | None:
    if any(group is None for group in groups):
        return None
    return [call for group in groups for call in group or ()]


_LOOSE = str.maketrans("'", '"', " ,./-_*^")  # what BFCL leaves out of texts before it compares them


def _will_do(accepted: Any, found: Any) -> bool:
    """BFCL's comparison: texts without case, spaces and ``,./-_*^``; lists item by item; of an object every field among
    the values accepted for it; else JSON equality.
    """
    if isinstance(accepted, str) and isinstance(found, str):
        return _loose(accepted) == _loose(found)
    if isinstance(accepted, list) and isinstance(found, list):
        return len(accepted) == len(found) and all(map(_will_do, accepted, found))
    if isinstance(accepted, dict) and isinstance(found, dict):
        return Accepted("", {name: _choices(values) for name, values in accepted.items()}).takes(ToolCall("", found))
    return same(accepted, found)


def _choices(values: Any) -> Sequence[Any]:
    return values if isinstance(values, list) else [values]


def _loose(text: str) -> str:
    return text.translate(_LOOSE).lower()


def _python_calls(text: str) -> list[ToolCall] | None:
    if len(text) > _MAX_CODE or "(" not in text:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes that Python does not know, in a model's text
            tree = ast.parse(text, mode="eval").body
        nodes = tree.elts if isinstance(tree, ast.List | ast.Tuple) else [tree]
        return _joined([_python_call(node) for node in nodes[: MAX_CALLS + 1]])
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _python_call(node: ast.expr) -> list[ToolCall] | None:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name | ast.Attribute):
        return None
    names = [keyword.arg for keyword in node.keywords]
    if None in names or len(set(names)) < len(names):
        return None
    arguments = {str(number): _literal(value) for number, value in enumerate(node.args)}
    arguments |= {str(keyword.arg): _literal(keyword.value) for keyword in node.keywords}
    return [ToolCall(ast.unparse(node.func), arguments)]


_WORDS = {"true": True, "false": False, "null": None}


def _literal(node: ast.expr) -> Any:
    if isinstance(node, ast.Constant) and isinstance(node.value, str | int | float | None):
        return node.value
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        return [_literal(item) for item in node.elts]
    if isinstance(node, ast.Dict) and None not in node.keys:
        return {str(_literal(key)): _literal(value) for key, value in zip(node.keys, node.values, strict=True) if key}
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        number = node.operand.value
        return -number if isinstance(number, int | float) and not isinstance(number, bool) else ast.unparse(node)
    if isinstance(node, ast.Name) and node.id in _WORDS:
        return _WORDS[node.id]
    return ast.unparse(node)
