"""LiteLLM's ``StandardLoggingPayload``, as its proxy and its callbacks log it.

Fields: https://docs.litellm.ai/docs/proxy/logging_spec.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skillforge.call import Call
from skillforge.formats import fields
from skillforge.formats.bodies import api_of, read_call
from skillforge.messages import Cost, Usage
from skillforge.providers.wires import reading

_MARKS = frozenset({"call_type", "model_parameters", "response_cost", "model_map_information"})
_CALLS = ("completion", "responses", "anthropic_messages", "generate_content")
_SERVERS = {"openai": "https://api.openai.com/v1", "anthropic": "https://api.anthropic.com"}


def is_litellm(record: Mapping[str, Any]) -> bool:
    inner = _inner(record)
    return "messages" in inner and not _MARKS.isdisjoint(inner)


def read_litellm(record: Mapping[str, Any], line_id: str) -> Call | None:
    """The call of a payload; ``None`` for embeddings, images and what else is no model call. Raises ``NotACall``."""
    payload = _inner(record)
    kind = reading.text(payload.get("call_type"))
    if kind and not any(part in kind for part in _CALLS):
        return None
    response = _response(payload)
    request = {**reading.mapping(payload.get("model_parameters")), "model": _model(payload)}
    sent = _messages(payload.get("messages"))
    responses = "responses" in kind or reading.mapping(response).get("object") == "response"
    request |= {"input": sent} if responses else {"messages": sent}
    start, end = fields.when(payload.get("startTime")), fields.when(payload.get("endTime"))
    call = read_call(
        api_of(request, response) or "openai-chat",
        request,
        response,
        id=fields.own_id(payload.get("id"), line_id),
        server=_server(payload),
        at=start,
        latency_s=fields.seconds(start, end),
        conversation=fields.text(payload, "trace_id"),
        subject=fields.text(payload, "end_user"),
        tags=_tags(payload),
        error=_error(payload) if response is None else "",
    )
    return call.model_copy(update={"usage": _usage(payload, call.usage), "cost": _cost(payload)})


def _inner(record: Mapping[str, Any]) -> Mapping[str, Any]:
    return reading.mapping(record.get("standard_logging_object")) or record


def _model(payload: Mapping[str, Any]) -> str:
    """The model without the provider that LiteLLM writes before it."""
    provider = fields.text(payload, "custom_llm_provider")
    return fields.text(payload, "model", "model_group").removeprefix(f"{provider}/")


def _messages(sent: Any) -> Any:
    """The conversation: a list, one text, or what else a callback was given."""
    sent = fields.unpacked(sent)
    if isinstance(sent, Mapping):
        sent = sent.get("messages", [sent])
    return [{"role": "user", "content": sent}] if isinstance(sent, str) else [] if sent is None else sent


def _response(payload: Mapping[str, Any]) -> Any:
    """The response body; ``None`` for a failure. A bare text is what the model said."""
    told = fields.unpacked(payload.get("response"))
    if payload.get("status") == "failure" or told in (None, {}, ""):
        return None
    if isinstance(told, str):
        return {"choices": [{"message": {"role": "assistant", "content": told}}]}
    return told


def _error(payload: Mapping[str, Any]) -> str:
    told = reading.mapping(payload.get("error_information"))
    said = [fields.text(told, "error_class"), fields.text(told, "error_message") or fields.text(payload, "error_str")]
    return ": ".join(filter(None, said)) or "the call failed"


def _server(payload: Mapping[str, Any]) -> str:
    told = fields.first(payload, "api_base") or reading.mapping(payload.get("hidden_params")).get("api_base")
    return fields.server(told) or _SERVERS.get(fields.text(payload, "custom_llm_provider"), "")


def _tags(payload: Mapping[str, Any]) -> dict[str, str]:
    metadata = reading.mapping(payload.get("metadata"))
    names = (("team", "user_api_key_team_alias"), ("key", "user_api_key_alias"))
    named = {tag: found for tag, key in names if (found := fields.text(metadata, key))}
    return named | fields.tags(payload.get("request_tags"))


def _usage(payload: Mapping[str, Any], told: Usage) -> Usage:
    """The response's own counts, else those of the payload, which knows no cache."""
    if told.input_tokens is not None and told.output_tokens is not None:
        return told
    sent, made = reading.count(payload.get("prompt_tokens")), reading.count(payload.get("completion_tokens"))
    if not sent and not made:  # zeros where it was not counted
        return told
    return Usage(input_tokens=sent, output_tokens=made)


def _cost(payload: Mapping[str, Any]) -> Cost:
    """What LiteLLM says it cost. Zero is no price known, unless its own cache answered."""
    usd = fields.dollars(payload.get("response_cost"))
    if usd is None or (usd == 0 and payload.get("cache_hit") is not True):
        return Cost()
    return Cost(usd=usd, basis="litellm")
