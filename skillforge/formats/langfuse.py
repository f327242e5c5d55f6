"""Langfuse observations: its blob storage export, its API's pages and its UI's export.

Fields: https://langfuse.com/docs/api-and-data-platform/features/blob-storage-export-fields. The exports write
``snake_case``, the API ``camelCase``; inputs and outputs are JSON or JSON in a text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from skillforge.call import Call
from skillforge.formats import fields
from skillforge.formats.bodies import api_of, read_call
from skillforge.messages import Cost, Usage
from skillforge.providers.wires import reading

_TYPES = frozenset(
    "SPAN GENERATION EVENT AGENT TOOL CHAIN RETRIEVER EVALUATOR EMBEDDING GUARDRAIL".split()  # noqa: SIM905
)
_ITEMS = frozenset({"message", "function_call", "reasoning", "custom_tool_call"})  # of the Responses API


def is_observation(record: Mapping[str, Any]) -> bool:
    return record.get("type") in _TYPES and ("traceId" in record or "trace_id" in record)


def read_observation(record: Mapping[str, Any], line_id: str) -> Call | None:
    """The call of a generation; ``None`` for every other observation. Raises ``NotACall``."""
    if record.get("type") != "GENERATION":
        return None
    told = _snake(record)
    response = _response(told.get("output"))
    request = _request(told)
    if reading.mapping(response).get("object") == "response" and "input" not in request:
        request["input"] = request.pop("messages")
    start, end = fields.when(told.get("start_time")), fields.when(told.get("end_time"))
    failed = told.get("level") == "ERROR" or response is None
    call = read_call(
        api_of(request, response) or "openai-chat",
        request,
        response,
        id=fields.own_id(told.get("id"), line_id),
        at=start,
        latency_s=fields.seconds(start, end),
        conversation=fields.text(told, "session_id", "trace_id"),
        subject=fields.text(told, "user_id"),
        tags=_tags(told),
        error=(fields.text(told, "status_message") or "no output was recorded") if failed else "",
    )
    usage = _usage(reading.mapping(fields.first(told, "usage_details", "usage")))
    if call.usage.input_tokens is None or call.usage.output_tokens is None:
        call = call.model_copy(update={"usage": usage})
    return call.model_copy(update={"cost": _cost(told)})


def _snake(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record with the keys of the blob export."""
    return {"".join(f"_{c.lower()}" if c.isupper() else c for c in str(key)): value for key, value in record.items()}


def _request(told: Mapping[str, Any]) -> dict[str, Any]:
    params = fields.unpacked(told.get("model_parameters"))
    request: dict[str, Any] = {str(key): _plain(value) for key, value in reading.mapping(params).items()}
    request["model"] = fields.text(told, "provided_model_name", "model")
    sent = fields.unpacked(told.get("input"))
    if isinstance(sent, Mapping) and ("messages" in sent or "input" in sent):
        request |= {key: value for key, value in sent.items() if key != "model" or not request["model"]}
        if isinstance(request.get("messages"), str):
            request["messages"] = [{"role": "user", "content": request["messages"]}]
    elif isinstance(sent, Mapping) and "role" not in sent:  # an input of the program's own making
        request["messages"] = [{"role": "user", "content": json.dumps(sent, ensure_ascii=False)}]
    elif isinstance(sent, list) and all(isinstance(item, Mapping) for item in sent):
        request["messages"] = sent
    elif isinstance(sent, Mapping):
        request["messages"] = [sent]
    else:
        said = sent if isinstance(sent, str) else json.dumps(sent, ensure_ascii=False)
        request["messages"] = [{"role": "user", "content": said}] if sent not in (None, "") else []
    tools = _tools(told.get("tool_definitions"))
    return request | ({"tools": tools} if tools and "tools" not in request else {})


def _tools(told: Any) -> list[dict[str, Any]]:
    """Tool definitions by name, each an object or JSON in a text."""
    found = ((str(name), fields.unpacked(value)) for name, value in reading.mapping(fields.unpacked(told)).items())
    return [{"type": "function", "name": name, **reading.mapping(value)} for name, value in found]


def _plain(value: Any) -> Any:
    """A parameter as it was: older SDKs wrote numbers as texts."""
    if isinstance(value, str):
        try:
            return reading.parsed(value)
        except ValueError:
            return value
    return value


def _response(output: Any) -> dict[str, Any] | None:
    """A response body around whatever stands for the answer: a body, a message, a list of either, a text."""
    told = fields.unpacked(output)
    if told in (None, "", {}, []):
        return None
    if isinstance(told, list) and isinstance(told[0], Mapping):
        if "message" in told[0]:
            return {"choices": told}
        if all(reading.mapping(item).get("type") in _ITEMS for item in told):
            return {"object": "response", "output": told}
        told = told[0]
    if isinstance(told, Mapping):
        if "choices" in told or told.get("type") == "message" or told.get("object") == "response":
            return dict(told)
        if "role" in told or "tool_calls" in told:
            return {"choices": [{"message": {"role": "assistant", **told}}]}
        completion = told.get("completion")
        if isinstance(completion, str) and len(told) == 1:
            return {"choices": [{"message": {"content": completion}}]}
    said = output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)
    return {"choices": [{"message": {"role": "assistant", "content": said}}]}


def _tags(told: Mapping[str, Any]) -> dict[str, str]:
    names = (("name", "name"), ("environment", "environment"), ("prompt", "prompt_name"), ("trace", "trace_name"))
    named = {tag: found for tag, key in names if (found := fields.text(told, key))}
    return named | fields.tags(told.get("tags"))


def _usage(counts: Mapping[str, Any]) -> Usage:
    """Token counts by category.

    Langfuse takes cached tokens out of ``input`` and reasoning out of ``output``, some SDKs leave them in: where
    ``input`` and ``output`` make up ``total``, they are in.
    """
    sent, made = _count(counts, "input", "prompt_tokens"), _count(counts, "output", "completion_tokens")
    total = _count(counts, "total", "total_tokens")
    cached = _count(counts, "input_cached_tokens", "cache_read_input_tokens", "input_cache_read", "input_cached")
    written = _count(counts, "cache_creation_input_tokens", "input_cache_creation", "input_cache_write")
    thought = _count(counts, "output_reasoning_tokens", "reasoning_tokens", "output_reasoning")
    if sent is None or made is None:
        return Usage(input_tokens=sent, output_tokens=made)
    if total is None or sent + made < total:
        sent, made = sent + (cached or 0) + (written or 0), made + (thought or 0)
    return Usage(
        input_tokens=sent, cached_tokens=cached, written_tokens=written, output_tokens=made, reasoning_tokens=thought
    )


def _count(counts: Mapping[str, Any], *names: str) -> int | None:
    found = fields.number(fields.first(counts, *names))
    return None if found is None else reading.count(int(found))


def _cost(told: Mapping[str, Any]) -> Cost:
    details = reading.mapping(told.get("cost_details"))
    usd = fields.dollars(fields.first(told, "total_cost", "calculated_total_cost") or details.get("total"))
    return Cost(usd=usd, basis="langfuse") if usd else Cost()  # zero is no price known
