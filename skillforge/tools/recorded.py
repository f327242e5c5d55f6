"""Tools that answer from a recording: what was called before is answered as before, and nothing else is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from skillforge.canonical import canonical_json, compact, digest
from skillforge.errors import Problem, SkillFileError, UnknownToolCall, UsageError
from skillforge.fields import Where, validation_problems
from skillforge.jsonl import read_jsonl
from skillforge.messages import Tool, ToolCall, ToolResult, Value
from skillforge.suggest import did_you_mean
from skillforge.tools.base import ToolOutcome
from skillforge.tools.plain import from_text, one_line
from skillforge.trace import Trace

CleanValue = Callable[[Any], Any]

RECORD_IT = "record it: the same command with --tools or --mcp and --record-tools FILE"
_SHOWN = 200  # characters of arguments in a message
_ANY = {"type": "object"}  # of a tool whose parameters nobody recorded


class RecordedCall(Value):
    """One call of a tool, and what it gave."""

    tool: str = Field(min_length=1)
    arguments: dict[str, Any] = Field(default_factory=dict)
    content: Any = None
    is_error: bool = False


class RecordedTools:
    """Answers calls from a recording. A call is known by its tool and its arguments, whatever their order, without the
    idempotency key; of the same call made several times, the answers come in their order and the last one repeats.

    ``tools`` describe them; one that is only called is described by its name. ``clean`` is what took the secrets out of
    the recording (``Redactor.value``): a call that holds them finds its answer. ``name`` is what messages call it.
    Raises ``UnknownToolCall`` for a call that nobody recorded.
    """

    def __init__(
        self,
        calls: Iterable[RecordedCall],
        tools: Sequence[Tool] = (),
        *,
        clean: CleanValue | None = None,
        name: str = "",
    ) -> None:
        self._calls = tuple(calls)
        self._clean = clean
        self._name = name
        self._named = f" {name}" if name else ""
        known = {tool.name for tool in tools}
        called = dict.fromkeys(call.tool for call in self._calls if call.tool not in known)
        self._tools = (*tools, *(Tool(name=name, parameters=_ANY) for name in called))
        self._keys = {tool.name: tool.idempotency_key for tool in self._tools}
        self._answers: dict[tuple[str, bytes], list[RecordedCall]] = defaultdict(list)
        for call in self._calls:
            self._answers[self._key(call.tool, call.arguments)].append(call)
        self._given: dict[tuple[str, bytes], int] = defaultdict(int)

    @property
    def tools(self) -> tuple[Tool, ...]:
        return self._tools

    @property
    def identity(self) -> str:
        return f"recorded {digest([call.model_dump() for call in self._calls])}"

    def knowing(self, declared: Sequence[Tool]) -> RecordedTools:
        """The same recording from its start, with only these tools."""
        names = {tool.name for tool in declared}
        calls = (call for call in self._calls if call.tool in names)
        return RecordedTools(calls, declared, clean=self._clean, name=self._name)

    async def call(self, name: str, arguments: dict[str, Any]) -> ToolOutcome:
        if name not in self._keys:
            raise UsageError(f"there is no tool {name!r}", hint=did_you_mean(name, self._keys))
        key = self._key(name, arguments)
        answers = self._answers.get(key)
        if not answers:
            shown = one_line(compact(self._matched(name, arguments)), _SHOWN)
            same = [call for call in self._calls if call.tool == name]
            others = f"{len(same)} other call{'' if len(same) == 1 else 's'}"
            near = f", only {others} of {name}" if same else f" and none of {name} at all"
            message = f"the recording{self._named} holds no call {name}({shown}){near}"
            raise UnknownToolCall(message, hint=RECORD_IT)
        answer = answers[min(self._given[key], len(answers) - 1)]
        self._given[key] += 1
        return ToolOutcome(content=answer.content, is_error=answer.is_error)

    async def aclose(self) -> None:
        """Nothing is held."""

    def _key(self, name: str, arguments: dict[str, Any]) -> tuple[str, bytes]:
        matched = self._matched(name, arguments)
        try:
            return name, canonical_json(matched)
        except ValueError:  # no recording holds what JSON cannot
            return name, repr(matched).encode("utf-8", "replace")

    def _matched(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments as they are compared."""
        left = {field: value for field, value in arguments.items() if field != (self._keys.get(name) or None)}
        return dict(self._clean(left)) if self._clean else left


def calls_of_trace(trace: Trace) -> tuple[RecordedCall, ...]:
    """Every call of a trace that was answered, in the order of the answers. A result that is the text of a JSON object
    or list is that object or list.
    """
    asked: dict[str, ToolCall] = {}
    found = []
    for message in trace.messages:
        for part in message.content:
            if isinstance(part, ToolCall):
                asked[part.id] = part
            elif isinstance(part, ToolResult) and (call := asked.pop(part.id, None)) is not None:
                content = from_text(part.content) if isinstance(part.content, str) else part.content
                found.append(
                    RecordedCall(tool=call.name, arguments=call.arguments, content=content, is_error=part.is_error)
                )
    return tuple(found)


def read_calls(path: Path) -> tuple[RecordedCall, ...]:
    """The calls of a recording. Raises ``NotFound`` and ``SkillFileError``, which names the line."""
    return _read(path)[0]


def read_recording(path: Path, *, clean: CleanValue | None = None) -> RecordedTools:
    """A recording in the tools' place, as ``RecordingTools`` writes it or as lines of calls. Raises like
    ``read_calls``.
    """
    calls, tools = _read(path)
    return RecordedTools(calls, tools, clean=clean, name=path.name)


def _read(path: Path) -> tuple[tuple[RecordedCall, ...], tuple[Tool, ...]]:
    calls: list[RecordedCall] = []
    tools: dict[str, Tool] = {}
    for number, line in read_jsonl(path):
        model = Tool if set(line) == {"declared"} else RecordedCall
        try:
            value = model.model_validate(line["declared"] if model is Tool else line)
        except ValidationError as exc:
            problems = validation_problems(exc, model, _at(number))
            raise SkillFileError(
                str(path), problems, hint='a line: {"tool": …, "arguments": {…}, "content": …}'
            ) from exc
        if isinstance(value, Tool):
            tools.setdefault(value.name, value)
        elif isinstance(value, RecordedCall):
            calls.append(value)
    if not calls and not tools:
        raise SkillFileError(str(path), [Problem("it holds no calls", line=1)], hint="record some first")
    return tuple(calls), tuple(tools.values())


def _at(line: int) -> Where:
    return lambda _: (line, 1)
