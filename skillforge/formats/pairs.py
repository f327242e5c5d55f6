"""Records that hold a request body and its response body side by side, under whatever further keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skillforge.call import Api, Call
from skillforge.formats import fields
from skillforge.formats.bodies import api_of, read_call
from skillforge.formats.parts import NotACall
from skillforge.formats.sse import fold, partial_text
from skillforge.messages import Cost, Message
from skillforge.providers.wires import reading

_APIS: tuple[Api, ...] = ("anthropic", "openai-chat", "openai-responses")


def is_pair(record: Mapping[str, Any]) -> bool:
    """``request`` with a ``response`` or an ``error``: raw pairs, data-flywheel's logs, HTTP archives of our kind."""
    return "request" in record and ("response" in record or "error" in record)


def read_pair(record: Mapping[str, Any], line_id: str) -> Call | None:
    """The call of a pair; ``None`` for one to an endpoint that is no model call. Raises ``NotACall``."""
    asked, url = _body(record.get("request"), "request")
    told = record.get("response")
    streamed = told if isinstance(told, str) else reading.mapping(told).get("body")
    stream = streamed if isinstance(streamed, str) and streamed.lstrip().startswith(("data:", "event:")) else ""
    answer = None if stream or told is None else _body(told, "response")[0]
    if asked.get("input") is not None and "embedding" in f"{url} {asked.get('model')}":
        return None
    api = _named(record) or api_of(asked, answer) or _guessed(stream)
    if api is None:
        raise NotACall("the request is of no known API")
    error = _error(record.get("error"))
    said = ""
    if stream:
        data = stream.encode("utf-8", "replace")
        answer, said = fold(api, data), partial_text(api, data)
        error = error or ("" if answer is not None else "the stream was cut off")
    call = read_call(
        api,
        asked,
        answer,
        id=fields.own_id(fields.first(record, "id", "call_id", "request_id"), line_id),
        server=fields.server(url or fields.first(record, "server", "base_url", "api_base", "url")),
        at=fields.when(fields.first(record, "at", "timestamp", "time", "ts", "created_at", "start_time")),
        latency_s=_latency(record),
        conversation=fields.text(record, "conversation", "conversation_id", "session_id", "thread_id", "trace_id"),
        subject=fields.text(record, "subject", "user_id", "user", "end_user"),
        tags=_tags(record),
        error=error or ("" if answer is not None else "no response was recorded"),
    )
    if said and call.output is None:
        call = call.model_copy(update={"output": Message.of("assistant", said)})
    usd = fields.dollars(fields.first(record, "cost_usd", "cost"))
    return call if usd is None else call.model_copy(update={"cost": Cost(usd=usd, basis="the log")})


def _body(value: Any, what: str) -> tuple[dict[str, Any], str]:
    """A body and its address: it stands alone, or as the ``body`` of a recorded HTTP message; as text or as JSON."""
    outer = fields.unpacked(value)
    if not isinstance(outer, dict):
        raise NotACall(f"the {what} is no object")
    if "body" in outer and "messages" not in outer and "choices" not in outer:
        inner = fields.unpacked(outer["body"])
        if not isinstance(inner, dict):
            raise NotACall(f"the {what}'s body is no object")
        return inner, reading.text(outer.get("url"))
    return outer, ""


def _named(record: Mapping[str, Any]) -> Api | None:
    """The API that the record itself names in our words."""
    return next((api for api in _APIS if record.get("api") == api), None)


def _guessed(stream: str) -> Api | None:
    """The API whose events a stream holds."""
    head = stream[:2000]
    if "chat.completion.chunk" in head:
        return "openai-chat"
    return "anthropic" if "message_start" in head else "openai-responses" if "response.created" in head else None


def _error(value: Any) -> str:
    if isinstance(value, Mapping):
        said = (reading.text(value.get(key)) for key in ("type", "message"))
        return ": ".join(filter(None, said)) or "the call failed"
    return reading.text(value)


def _latency(record: Mapping[str, Any]) -> float | None:
    """Seconds: a key that names milliseconds is in those."""
    told = fields.number(fields.first(record, "latency_s", "latency", "duration_s", "duration"))
    if told is None:
        milliseconds = fields.number(fields.first(record, "latency_ms", "duration_ms"))
        told = None if milliseconds is None else milliseconds / 1000
    return told if told is not None and told >= 0 else None


def _tags(record: Mapping[str, Any]) -> dict[str, str]:
    """The record's tags, with the names that data-flywheel gives to a workload and a client."""
    named = {tag: fields.text(record, key) for tag, key in (("workload", "workload_id"), ("client", "client_id"))}
    return {tag: value for tag, value in named.items() if value} | fields.tags(record.get("tags"))
