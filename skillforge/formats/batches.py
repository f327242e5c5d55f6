"""Batches of both providers: the requests stand in one file, what came of them in others, in any order.

OpenAI: an input file, an output file and an error file; Anthropic: requests and results. ``custom_id`` joins them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skillforge.call import Api, Call
from skillforge.formats import fields
from skillforge.formats.bodies import read_call
from skillforge.formats.parts import NotACall
from skillforge.providers.wires import reading

_URLS: Mapping[str, Api] = {"/chat/completions": "openai-chat", "/responses": "openai-responses"}


def is_request(record: Mapping[str, Any]) -> bool:
    return isinstance(record.get("custom_id"), str) and ("body" in record or "params" in record)


def is_answer(record: Mapping[str, Any]) -> bool:
    return isinstance(record.get("custom_id"), str) and ("response" in record or "result" in record)


def is_call(request: Mapping[str, Any]) -> bool:
    """Whether a batch's request asks a model for an answer: embeddings and moderations do not."""
    return "params" in request or _api(request) is not None


def read_batch(request: Mapping[str, Any], answer: Mapping[str, Any], line_id: str) -> Call:
    """The call that a request and what came of it make up. Raises ``NotACall``.

    Both providers sell batches at half the price: ``service_tier`` says so, as it does in Anthropic's own usage.
    """
    asked = request.get("params", request.get("body"))
    if not isinstance(asked, Mapping):
        raise NotACall("the batch request is no object")
    body, error = _anthropic(answer) if "result" in answer else _openai(answer)
    return read_call(
        "anthropic" if "params" in request else _api(request) or "openai-chat",
        {**asked, "service_tier": "batch"},
        body,
        id=fields.own_id(answer.get("id"), line_id),
        error=error,
    )


def _api(request: Mapping[str, Any]) -> Api | None:
    """The API of an OpenAI batch, whose requests name it; Azure's leave out the version."""
    return _URLS.get(reading.text(request.get("url")).removeprefix("/v1"))


def _openai(answer: Mapping[str, Any]) -> tuple[dict[str, Any] | None, str]:
    """The response body, or why there is none: of the whole line, or of the HTTP call inside."""
    told = reading.mapping(answer.get("response"))
    body = told.get("body")
    failed = reading.mapping(answer.get("error"))
    if failed or not isinstance(body, dict):
        said = [fields.text(failed, "code"), fields.text(failed, "message")]
        return None, ": ".join(filter(None, said)) or f"HTTP {told.get('status_code', 'without a body')}"
    return body, ""


def _anthropic(answer: Mapping[str, Any]) -> tuple[dict[str, Any] | None, str]:
    result = reading.mapping(answer.get("result"))
    message = result.get("message")
    if result.get("type") == "succeeded" and isinstance(message, dict):
        return message, ""
    outer = reading.mapping(result.get("error"))
    inner = reading.mapping(outer.get("error")) or outer
    said = [fields.text(result, "type") or "no result", fields.text(inner, "type"), fields.text(inner, "message")]
    return None, ": ".join(filter(None, said))
