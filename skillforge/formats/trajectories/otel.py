"""OpenTelemetry traces of programs that call models: every trace id is one trace, its spans in order of time.

Each model call repeats the conversation so far, so what was said already is not said again: a message counts as often
as the call that holds it most often.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from skillforge.formats import fields
from skillforge.formats.bodies import api_of, read_call, read_tool, read_turn
from skillforge.formats.parts import NotACall, parts, tool_call
from skillforge.formats.trajectories.building import build, told_cost, tool_result
from skillforge.formats.trajectories.lines import Item, Lines, Quarantined, printable
from skillforge.formats.trajectories.otel_spans import Span, has_spans, nested, spans_of
from skillforge.messages import Message, Part, Reasoning, Text, Tool, ToolCall, ToolResult, Usage
from skillforge.providers.wires import reading
from skillforge.trace import Turn

NAME = "otel"
_MOST_SPANS = 100_000  # of one file: more would fill the memory
_ABOUT = (
    "gen_ai.agent.name",
    "gen_ai.conversation.id",
    "session.id",
    "user.id",
    "gen_ai.provider.name",
    "gen_ai.system",
)
_USAGE = {
    "input": ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt"),
    "output": ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion"),
    "cached": (
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_read_input_tokens",
        "llm.token_count.prompt_details.cache_read",
    ),
    "written": (
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
        "llm.token_count.prompt_details.cache_write",
    ),
    "reasoning": ("gen_ai.usage.reasoning.output_tokens", "llm.token_count.completion_details.reasoning"),
}
_STOPS = {"stop": "stop", "end_turn": "stop", "length": "length", "max_tokens": "length"}
_STOPS |= {"tool_calls": "tool_calls", "tool_use": "tool_calls", "tool_call": "tool_calls"}


def knows(record: Mapping[str, Any]) -> bool:
    return has_spans(record)


def read(lines: Lines) -> Iterator[Item]:
    """A trace for every trace id with a model call; one without is put aside, as are attributes that were cut off."""
    traces: dict[str, list[Span]] = {}
    count = 0
    for line in lines:
        if isinstance(line, Quarantined):
            yield line
            continue
        try:
            for span in spans_of(line):
                count += 1
                if count > _MOST_SPANS:
                    raise NotACall(f"more than {_MOST_SPANS:,} spans in one file")
                for key, text in span.cut.items():
                    reason = f"span {span.name or span.id}: {key} is no whole JSON: it was cut off"
                    yield Quarantined(line.place, printable(reason), printable(text))
                traces.setdefault(span.trace, []).append(span)
        except NotACall as exc:
            yield line.broken(exc)
    for trace_id, spans in traces.items():
        yield from _trace(trace_id, sorted(spans, key=lambda span: span.start))


def _trace(trace_id: str, spans: list[Span]) -> Iterator[Item]:
    told = _telling(spans)
    if not told:
        names = ", ".join(dict.fromkeys(span.name for span in spans))
        many = "1 span" if len(spans) == 1 else f"{len(spans):,} spans"
        yield Quarantined(
            spans[0].line.place, f"the trace {printable(trace_id, 40)} holds no model call ({many})", printable(names)
        )
        return
    talk = _Talk()
    for span in told:
        try:
            talk.add(span)
        except NotACall as exc:
            yield Quarantined(span.line.place, printable(f"span {span.name}: {exc}"), printable(json.dumps(span.told)))
    if not talk.messages:
        return
    about: dict[str, Any] = {}
    for span in spans:
        about |= {key: span.told[key] for key in _ABOUT if key in span.told and key not in about}
    yield build(
        spans[0].line,
        NAME,
        talk.messages,
        case_id=trace_id,
        turns=talk.turns,
        tools=talk.tools.values(),
        latency_s=fields.seconds(spans[0].start, max(span.end for span in spans)),
        error=talk.error,
        extra={**about, "spans": dict(Counter(span.name for span in spans).most_common(50))},
    )


def _telling(spans: list[Span]) -> list[Span]:
    """The spans that tell of model calls and tools. Of calls in one another the innermost counts, or a call that two
    libraries watched would be paid for twice. An agent's span holds the sum of its calls: it counts where none stand.
    """
    parents = {span.id: span.parent for span in spans}
    calls = {span.id for span in spans if span.kind == "llm"}
    outer: set[str] = set()
    for span_id in calls:
        above, steps = parents.get(span_id, ""), 0
        while above and above not in outer and steps < len(spans):
            outer.add(above)
            above, steps = parents.get(above, ""), steps + 1
    inner = [span for span in spans if span.kind == "llm" and (span.id not in outer or not span.id)]
    if inner:
        return [span for span in spans if span.kind == "tool" or span in inner]
    agents = [span for span in spans if span.kind == "agent"]
    return [span for span in spans if span.kind == "tool" or span in agents] if agents else []


class _Talk:
    """The conversation that the calls have in common."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.turns: list[Turn] = []
        self.tools: dict[str, Tool] = {}
        self.error = ""
        self._said: Counter[str] = Counter()
        self._calls: dict[str, list[list[str]]] = {}  # ids of the calls of an answer said, by what it says
        self._same: dict[str, str] = {}  # ids that another call gave to the same tool call
        self._answered: set[str] = set()

    def add(self, span: Span) -> None:
        """Take a span in. Raises ``NotACall``."""
        if span.kind == "tool":
            self._tool(span)
            return
        asked, answers, tools = _said_in(span)
        for tool in tools:
            self.tools.setdefault(tool.name, tool)
        seen: Counter[str] = Counter()
        for message in asked:
            self._say(message, seen)
        self.error = reading.text(span.told.get("exception.message") or span.told.get("error.type")) or self.error
        if not answers:
            return
        for message in answers[:-1]:
            self._say(message, seen)
        self._answer(answers[-1], span, seen)

    def _say(self, message: Message, seen: Counter[str]) -> None:
        """A message of a call's input, unless it was said."""
        key = _key(message)
        seen[key] += 1
        if seen[key] <= self._said[key]:
            known = self._calls.get(key, [])
            if len(known) >= seen[key]:
                self._same.update(zip((call.id for call in message.tool_calls), known[seen[key] - 1], strict=False))
            return
        self._append(message, key)

    def _append(self, message: Message, key: str) -> None:
        content: list[Part] = []
        for part in message.content:
            if isinstance(part, ToolResult):
                call_id = self._same.get(part.id, part.id)
                if call_id and call_id in self._answered:
                    continue
                self._answered.add(call_id)
                part = part.model_copy(update={"id": call_id})
            content.append(part)
        self._said[key] += 1
        self._calls.setdefault(key, []).append([call.id for call in message.tool_calls])
        if content or not message.content:
            self.messages.append(message.model_copy(update={"content": tuple(content)}))

    def _answer(self, message: Message, span: Span, seen: Counter[str]) -> None:
        told = span.told
        reasons = told.get("gen_ai.response.finish_reasons") or told.get("gen_ai.completion.0.finish_reason")
        reason = reading.text(reasons[0] if isinstance(reasons, list) and reasons else reasons)
        self.turns.append(
            Turn(
                message=len(self.messages),
                model=fields.text(told, "gen_ai.response.model", "gen_ai.request.model", "llm.model_name"),
                usage=_usage(told),
                cost=told_cost(fields.first(told, "llm.cost.total", "gen_ai.usage.cost", "gen_ai.cost.total")),
                latency_s=fields.seconds(span.start, span.end),
                stop=_STOPS.get(reason.lower(), reason) or ("tool_calls" if message.tool_calls else ""),
                at=span.start,
            )
        )
        self._append(message, _key(message))

    def _tool(self, span: Span) -> None:
        """A call and its result, as far as the model's calls have not told of them."""
        told = span.told
        name = fields.text(told, "gen_ai.tool.name", "tool.name", "traceloop.entity.name") or span.name
        arguments = fields.first(told, "gen_ai.tool.call.arguments", "input.value", "tool.parameters")
        arguments = fields.unpacked(arguments)
        given = arguments if isinstance(arguments, dict) else {} if arguments is None else {"input": arguments}
        content = fields.first(told, "gen_ai.tool.call.result", "output.value")
        call_id = self._open_call(fields.text(told, "gen_ai.tool.call.id", "tool_call.id"), name, given)
        if not call_id:
            call_id = span.id or f"call-{len(self.messages)}"
            self.messages.append(Message(role="assistant", content=(ToolCall(id=call_id, name=name, arguments=given),)))
        if content is not None and call_id not in self._answered:
            self._answered.add(call_id)
            self.messages.append(tool_result(call_id, content, is_error="error.type" in told))

    def _open_call(self, call_id: str, name: str, given: Mapping[str, Any]) -> str:
        """The call of the model that a tool's span is of; empty where there is none."""
        calls = [call for message in self.messages for call in message.tool_calls]
        if call_id:
            call_id = self._same.get(call_id, call_id)
            return call_id if any(call.id == call_id for call in calls) else ""
        return next((c.id for c in calls if c.name == name and c.arguments == given and c.id not in self._answered), "")


def _said_in(span: Span) -> tuple[list[Message], list[Message], list[Tool]]:
    """(the conversation sent, the answers, the tools) of a model call. Raises ``NotACall``."""
    told = span.told
    if (found := _bodies(told)) is not None:
        return found
    asked: Any = told.get("gen_ai.input.messages")
    answered: Any = told.get("gen_ai.output.messages")
    if asked is None and answered is None:
        asked, answered = nested(told, "gen_ai.prompt"), nested(told, "gen_ai.completion")
    if not asked and not answered:
        asked = [reading.mapping(item).get("message") for item in reading.items(nested(told, "llm.input_messages"))]
        answered = [reading.mapping(item).get("message") for item in reading.items(nested(told, "llm.output_messages"))]
    messages = [_message(item, "user") for item in _listed(asked)]
    system = told.get("gen_ai.system_instructions")
    if system:
        messages.insert(0, _message({"role": "system", "parts": system}, "system"))
    return messages, [_message(item, "assistant") for item in _listed(answered)], _tools(told)


def _bodies(told: Mapping[str, Any]) -> tuple[list[Message], list[Message], list[Tool]] | None:
    """The same from whole request and response bodies, where ``input.value`` and ``output.value`` are such."""
    asked, answered = told.get("input.value"), told.get("output.value")
    if not isinstance(asked, dict) or not (isinstance(asked.get("messages"), list) or "input" in asked):
        return None
    api = api_of(asked, answered)
    if api is None:
        return None
    model = {"model": fields.text(told, "llm.model_name", "gen_ai.request.model") or "unknown"}
    response = answered if isinstance(answered, dict) else None
    try:
        call = read_call(api, {**model, **asked}, response, id="otel", error="" if response else "none")
    except NotACall:
        return None
    system = [Message.of("system", call.system)] if call.system else []
    return [*system, *call.messages], [call.output] if call.output is not None else [], list(call.tools)


def _listed(value: Any) -> list[Any]:
    if isinstance(value, str):
        return [{"content": value}]
    return [value] if isinstance(value, Mapping) else reading.items(value)


def _message(item: Any, otherwise: str) -> Message:
    """A message in the conventions' words (``parts``), in OpenInference's (``contents``), or in the chat API's."""
    told = dict(reading.mapping(item))
    told["role"] = told.get("role") or otherwise
    if isinstance(told.get("contents"), list) and not told.get("content"):
        inner = [reading.mapping(reading.mapping(part).get("message_content")) for part in told["contents"]]
        told["content"] = [dict(part) for part in inner]
    calls = [reading.mapping(call) for call in reading.items(told.get("tool_calls"))]
    told["tool_calls"] = [reading.mapping(call.get("tool_call")) or call for call in calls]
    blocks = told.get("parts")
    if isinstance(blocks, Mapping | str):
        blocks = [blocks]
    if not isinstance(blocks, list):
        return read_turn(told)
    found = [part for number, block in enumerate(blocks) for part in _part(block, number)]
    results = any(isinstance(part, ToolResult) for part in found)
    role = "tool" if results else read_turn({"role": told["role"], "content": ""}).role
    return Message(role=role, content=tuple(found))


def _part(block: Any, number: int) -> Iterator[Part]:
    told = reading.mapping(block)
    kind = told.get("type")
    if kind in ("text", None) and isinstance(told.get("content"), str):
        yield Text(text=told["content"])
    elif kind == "tool_call":
        yield tool_call(number, told.get("id"), told.get("name"), fields.first(told, "arguments") or {})
    elif kind == "tool_call_response":
        yield ToolResult(id=reading.text(told.get("id")), content=fields.first(told, "response", "result", "content"))
    elif kind == "reasoning":
        yield Reasoning(kind="otel", data=dict(told))
    else:
        yield from parts(block)


def _tools(told: Mapping[str, Any]) -> list[Tool]:
    declared = reading.items(told.get("gen_ai.tool.definitions")) or reading.items(
        nested(told, "llm.request.functions")
    )
    for item in reading.items(nested(told, "llm.tools")):
        schema = fields.unpacked(reading.mapping(reading.mapping(item).get("tool")).get("json_schema"))
        declared = [*declared, schema]
    unpacked = (
        {**tool, "parameters": fields.unpacked(tool.get("parameters"))} for tool in map(reading.mapping, declared)
    )
    return [tool for tool in map(read_tool, unpacked) if tool]


def _usage(told: Mapping[str, Any]) -> Usage:
    counts = {name: fields.number(fields.first(told, *keys)) for name, keys in _USAGE.items()}
    whole = {name: None if value is None else reading.count(int(value)) for name, value in counts.items()}
    return Usage(
        input_tokens=whole["input"],
        cached_tokens=whole["cached"],
        written_tokens=whole["written"],
        output_tokens=whole["output"],
        reasoning_tokens=whole["reasoning"],
    )


def _key(message: Message) -> str:
    """What a message says, whatever ids its calls have, and whether a result came as text or as JSON."""
    said: list[Any] = [message.role]
    for part in message.content:
        if isinstance(part, Text):
            said.append(part.text.strip())
        elif isinstance(part, ToolCall):
            said.append([part.name, part.arguments])
        elif isinstance(part, ToolResult):
            said.append(["result", fields.unpacked(part.content)])
    return json.dumps(said, sort_keys=True, ensure_ascii=False)
