"""Spans of OpenTelemetry files, in whichever JSON they were written, and the model calls that their attributes tell of.

Attributes come in three dialects: OpenTelemetry's GenAI conventions (``gen_ai.input.messages`` as JSON), their older
form (``gen_ai.prompt.0.content``), and OpenInference (``llm.input_messages.0.message.content``, ``input.value``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from skillforge.formats.fields import unpacked, when
from skillforge.formats.parts import sound
from skillforge.formats.trajectories.lines import Line
from skillforge.providers.wires import reading

_LLM_OPERATIONS = frozenset({"chat", "text_completion", "generate_content", "completion", "message"})
_JSON = (  # attributes that hold JSON as a text
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.system_instructions",
    "gen_ai.tool.definitions",
    "gen_ai.tool.call.arguments",
    "gen_ai.tool.call.result",
    "input.value",
    "output.value",
)


@dataclass(slots=True)
class Span:
    """One span. ``told`` holds its attributes: JSON texts unpacked; ``cut`` names those that are no whole JSON."""

    line: Line
    trace: str
    id: str
    parent: str
    name: str
    start: str
    end: str
    told: dict[str, Any]
    cut: dict[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """``llm``, ``agent``, ``tool``, or nothing for any other span."""
        operation = reading.text(self.told.get("gen_ai.operation.name")).lower()
        named = reading.text(self.told.get("openinference.span.kind")).lower()
        legacy = reading.text(self.told.get("llm.request.type")).lower()
        if operation in _LLM_OPERATIONS or named == "llm" or legacy in ("chat", "completion"):
            return "llm"
        if operation == "execute_tool" or named == "tool" or self.told.get("traceloop.span.kind") == "tool":
            return "tool"
        if operation == "invoke_agent" or named == "agent":
            return "agent"
        if any(key.startswith(("gen_ai.prompt.", "gen_ai.completion.", "llm.input_messages.")) for key in self.told):
            return "llm"
        return "llm" if "gen_ai.output.messages" in self.told and not operation else ""


def has_spans(record: Mapping[str, Any]) -> bool:
    """An OTLP document, or one span as an exporter writes it to a file."""
    if isinstance(record.get("resourceSpans"), list) or isinstance(record.get("resource_spans"), list):
        return True
    context = reading.mapping(record.get("context"))
    return "attributes" in record and bool(_trace_id(record, context))


def spans_of(line: Line) -> Iterator[Span]:
    """Every span of a record. Raises ``NotACall``."""
    value = line.value
    resources = value.get("resourceSpans", value.get("resource_spans"))
    if not isinstance(resources, list):
        yield _span(line, value)
        return
    for resource in map(reading.mapping, resources):
        names = ("scopeSpans", "scope_spans", "instrumentationLibrarySpans")
        scopes = next((resource[name] for name in names if resource.get(name)), None)
        for scope in map(reading.mapping, reading.items(scopes)):
            for span in map(reading.mapping, reading.items(scope.get("spans"))):
                yield _span(line, span)


def nested(told: Mapping[str, Any], prefix: str) -> Any:
    """The attributes below ``prefix`` as one JSON value: numbers in their names count the items of lists."""
    tree: dict[str, Any] = {}
    for key, value in told.items():
        if not key.startswith(f"{prefix}."):
            continue
        place = tree
        *way, last = key[len(prefix) + 1 :].split(".")
        for step in way[:20]:
            if not isinstance(place.get(step), dict):
                place[step] = {}
            place = place[step]
        place.setdefault(last, value)
    return _listed(tree)


def _listed(tree: Any) -> Any:
    if not isinstance(tree, dict):
        return tree
    if tree and all(key.isdecimal() and len(key) <= 6 for key in tree):
        return [_listed(tree[key]) for key in sorted(tree, key=int)]
    return {key: _listed(value) for key, value in tree.items()}


def _span(line: Line, span: Mapping[str, Any]) -> Span:
    context = reading.mapping(span.get("context"))
    told: dict[str, Any] = {}
    for event in map(reading.mapping, reading.items(span.get("events"))):
        told.update({key: value for key, value in _attributes(event.get("attributes")) if key.startswith("gen_ai.")})
    told.update(_attributes(span.get("attributes")))
    found = Span(
        line=line,
        trace=_trace_id(span, context),
        id=reading.text(span.get("spanId") or span.get("span_id") or context.get("span_id") or context.get("spanId")),
        parent=reading.text(span.get("parentSpanId") or span.get("parent_span_id") or span.get("parent_id")),
        name=reading.text(span.get("name")),
        start=_time(span, "start"),
        end=_time(span, "end"),
        told=told,
    )
    _unpack(found)
    return found


def _unpack(span: Span) -> None:
    """JSON in texts as values. What begins like JSON and is none was cut off: it is taken out and noted."""
    for key in _JSON:
        value = span.told.get(key)
        if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "["):
            continue
        parsed = unpacked(value)
        if isinstance(parsed, str):
            if key.startswith("gen_ai.") or _meant_json(span.told, key):
                span.cut[key] = value
                del span.told[key]
        else:
            span.told[key] = sound(parsed)


def _meant_json(told: Mapping[str, Any], key: str) -> bool:
    kind = reading.text(told.get(key.replace(".value", ".mime_type")))
    return kind == "application/json"


def _attributes(value: Any) -> Iterator[tuple[str, Any]]:
    """Attributes as pairs: an object, or OTLP's list of ``{key, value: {stringValue: …}}``."""
    if isinstance(value, Mapping):
        yield from ((str(key), inner) for key, inner in value.items())
    for item in reading.items(value):
        told = reading.mapping(item)
        if isinstance(told.get("key"), str):
            yield told["key"], _any_value(told.get("value"))


def _any_value(value: Any, depth: int = 0) -> Any:
    """OTLP's AnyValue; its integers are texts (proto3 JSON)."""
    told = reading.mapping(value)
    if not told or depth > 50:
        return value if not isinstance(value, Mapping) else None
    kind, inner = next(iter(told.items()))
    if kind in ("intValue", "int_value"):
        return int(inner) if isinstance(inner, str) and re.fullmatch(r"-?\d{1,18}", inner) else inner
    if kind in ("arrayValue", "array_value"):
        return [_any_value(item, depth + 1) for item in reading.items(reading.mapping(inner).get("values"))]
    if kind in ("kvlistValue", "kvlist_value"):
        pairs = map(reading.mapping, reading.items(reading.mapping(inner).get("values")))
        return {reading.text(pair.get("key")): _any_value(pair.get("value"), depth + 1) for pair in pairs}
    return inner


def _trace_id(span: Mapping[str, Any], context: Mapping[str, Any]) -> str:
    return reading.text(
        span.get("traceId") or span.get("trace_id") or context.get("trace_id") or context.get("traceId")
    )


def _time(span: Mapping[str, Any], which: str) -> str:
    names = (f"{which}TimeUnixNano", f"{which}_time_unix_nano", f"{which}_time", f"{which}Time")
    return when(next((span[name] for name in names if span.get(name)), None))
