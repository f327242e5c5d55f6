"""The wire format of OpenAI's Responses API, both ways: a request as its body, a response as a completion."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from skillforge.canonical import compact
from skillforge.errors import ServerFailure
from skillforge.messages import (
    Completion,
    Message,
    Part,
    Reasoning,
    Request,
    StopReason,
    Text,
    TokenLogprob,
    ToolCall,
    ToolResult,
    Usage,
)
from skillforge.providers.wires import reading
from skillforge.providers.wires.chat_request import result_text, text_only
from skillforge.providers.wires.sdk_errors import Clean, server_error
from skillforge.providers.wires.strict_schema import is_strict, loosened, typed
from skillforge.providers.wires.wire import Address, Dialect, options_for, schema_in_prompt

KIND = "openai-responses"  # of the reasoning parts that this wire gives and takes back

STOPS: Mapping[str, StopReason] = {"max_output_tokens": "length", "content_filter": "content_filter"}
_TERMINAL = frozenset({"response.completed", "response.incomplete", "response.failed"})
_AS_IT_IS: Clean = str


def responses_body(request: Request, address: Address, dialect: Dialect, *, stream: bool) -> dict[str, Any]:
    """The body for ``request``, in what ``dialect`` says that the server takes.

    Nothing is stored at the provider: inputs are the users' data, and no later call refers to an earlier one. Reasoning
    comes back encrypted instead, where tools make it worth handing on. Raises ``RequestRejected`` for a part that
    cannot be sent as text.
    """
    options = options_for(address, request)
    native = dialect.schema and options.structured != "prompt"
    request = request if native else schema_in_prompt(request)
    system = request.messages[:1] if request.messages[0].role == "system" else ()
    body: dict[str, Any] = {"model": address.model}
    if system:
        body["instructions"] = system[0].text
    body["input"] = [item for message in request.messages[len(system) :] for item in _items(message)]
    _number_answers(body["input"])
    body["max_output_tokens"] = request.max_output_tokens + (options.thinking_tokens or 0)
    body["store"] = False
    temperature = options.temperature if request.temperature is None else request.temperature
    if dialect.temperature and temperature is not None:
        body["temperature"] = temperature
    if dialect.effort and options.effort is not None:
        body["reasoning"] = {"effort": options.effort}
    if request.output_schema is not None:
        schema = typed(request.output_schema)
        if strict := is_strict(loosened(schema)):
            schema = loosened(schema)
        told = {"type": "json_schema", "name": "output", "schema": schema, "strict": strict}
        body["text"] = {"format": told}
    elif request.any_json and native:
        body["text"] = {"format": {"type": "json_object"}}
    return body | _tools(request) | _include(request, dialect) | ({"stream": True} if stream else {})


def completion_of_response(response: Any, *, name: str, latency_s: float, clean: Clean = _AS_IT_IS) -> Completion:
    """The completion that a response object holds. ``name`` is the model as the user writes it, for errors.

    Raises a ``ProviderError``: of the error's own kind for a failed response, ``ServerFailure`` for one that is not
    finished or says nothing about it.
    """
    answer = reading.mapping(response)
    stop = _stop(answer, name=name, clean=clean)
    parts: list[Part] = []
    logprobs: list[TokenLogprob] = []
    refused = False
    for number, item in enumerate(reading.items(answer.get("output"))):
        for part in _parts(number, reading.mapping(item), logprobs):
            refused = refused or part is None
            parts += [part] if part is not None else []
    message = Message(role="assistant", content=tuple(parts))
    if stop == "stop":
        stop = "refusal" if refused else "tool_calls" if message.tool_calls else "stop"
    return Completion(
        message=message,
        stop=stop,
        model=clean(reading.text(answer.get("model"))[:200]) or name,
        usage=usage_of(reading.mapping(answer.get("usage"))),
        latency_s=latency_s,
        logprobs=tuple(logprobs) or None,
    )


def cut_at(limit: int, completion: Completion) -> Completion:
    """The completion, with the stop reason that its count of tokens tells of.

    llama.cpp's server calls every answer completed, also one that it cut off at ``limit`` tokens.
    """
    at_limit = completion.stop == "stop" and (completion.usage.output_tokens or 0) >= limit
    return completion.model_copy(update={"stop": "length"}) if at_limit else completion


def final_response(event: Any, *, name: str, clean: Clean = _AS_IT_IS) -> Any:
    """The whole response that a stream's last event holds; ``None`` for every other event.

    Raises a ``ProviderError`` for an error event.
    """
    told = reading.mapping(event)
    kind = reading.text(told.get("type"))
    if kind == "error" or (told.get("error") and not kind):
        raise server_error(told, name=name, clean=clean)
    return told.get("response") if kind in _TERMINAL else None


def _items(message: Message) -> Iterator[dict[str, Any]]:
    """One message as input items: calls, results and reasoning stand on their own there, in the order they came."""
    text_only(message)
    said = ""
    for part in message.content:
        if isinstance(part, Text):
            said += part.text
            continue
        if said:
            yield _message(message, said)
            said = ""
        if isinstance(part, ToolCall):
            arguments = compact(part.arguments)
            yield {"type": "function_call", "call_id": part.id, "name": part.name, "arguments": arguments}
        elif isinstance(part, ToolResult):
            yield {"type": "function_call_output", "call_id": part.id, "output": result_text(part)}
        elif isinstance(part, Reasoning) and part.kind == KIND:
            yield dict(part.data)
    if said or not message.content:
        yield _message(message, said)


def _message(message: Message, text: str) -> dict[str, Any]:
    if message.role == "assistant":
        content = [{"type": "output_text", "text": text, "annotations": []}]
        return {"type": "message", "role": "assistant", "status": "completed", "content": content}
    role = "user" if message.role == "tool" else message.role
    return {"type": "message", "role": role, "content": [{"type": "input_text", "text": text}]}


def _number_answers(sent: list[dict[str, Any]]) -> None:
    """Give every earlier answer an id: the API's own type asks for one, and vLLM refuses answers without.

    It only has to begin with ``msg``: with nothing stored, no id refers to anything.
    """
    for number, item in enumerate(sent):
        if item.get("role") == "assistant":
            item["id"] = f"msg_{number}"


def _tools(request: Request) -> dict[str, Any]:
    tools = [
        {
            "type": "function",
            "name": tool.name,
            "description": tool.description,
            "parameters": tool.parameters,
            "strict": is_strict(tool.parameters),  # unsaid, it would be true
        }
        for tool in request.tools
    ]
    choice = {"tool_choice": "none"} if request.tool_choice == "none" else {}
    return {"tools": tools, **choice} if tools else {}


def _include(request: Request, dialect: Dialect) -> dict[str, Any]:
    include = []
    more: dict[str, Any] = {}
    if dialect.logprobs and request.logprobs:
        include.append("message.output_text.logprobs")
        more["top_logprobs"] = dialect.top_logprobs
    if request.tools and dialect.effort:  # a server that knows no reasoning may refuse to hand it out
        include.append("reasoning.encrypted_content")
    return {"include": include, **more} if include else {}


def _stop(answer: Mapping[str, Any], *, name: str, clean: Clean) -> StopReason:
    status = answer.get("status")
    if answer.get("error"):
        raise server_error(answer, name=name, clean=clean)
    reason = reading.mapping(answer.get("incomplete_details")).get("reason")
    if status == "completed":
        return "stop"
    if status == "incomplete" and isinstance(reason, str) and reason in STOPS:
        return STOPS[reason]
    if status == "failed":
        raise ServerFailure(f"{name}: the answer failed, and the server says no more", maybe_billed=True)
    shown = clean(repr(status)[:50]) + (f", {clean(repr(reason)[:50])}" if reason else "")
    raise ServerFailure(f"{name}: the answer is not whole (status {shown})", hint="try again", maybe_billed=True)


def _parts(number: int, item: Mapping[str, Any], logprobs: list[TokenLogprob]) -> Iterator[Part | None]:
    """The parts of one output item, and ``None`` beside the text of a refusal. Kinds we never ask for are left out."""
    kind = item.get("type")
    if kind == "reasoning":
        yield from _reasoning(item)
    elif kind == "function_call":
        call_id = reading.text(item.get("call_id")) or reading.text(item.get("id"))
        name, arguments = reading.text(item.get("name")), reading.text(item.get("arguments"))
        yield reading.tool_call(number, call_id, name, arguments)
    elif kind == "message":
        for content in map(reading.mapping, reading.items(item.get("content"))):
            refusal = reading.text(content.get("refusal")) if content.get("type") == "refusal" else ""
            if content.get("type") == "refusal":
                yield None
            text = refusal or reading.text(content.get("text"))
            if text:
                yield Text(text=text)
            logprobs += reading.token_logprobs(content.get("logprobs"))


def _reasoning(item: Mapping[str, Any]) -> Iterator[Part]:
    """Reasoning that can be handed back: nothing is stored, so only its encrypted form means anything later.

    Without ``status``, which the API gives and does not take.
    """
    if isinstance(item.get("encrypted_content"), str) and isinstance(item.get("id"), str):
        keys = ("id", "type", "summary", "content", "encrypted_content")
        data = {key: item[key] for key in keys if item.get(key) is not None}
        yield Reasoning(kind=KIND, data={"summary": [], **data})


def usage_of(usage: Mapping[str, Any]) -> Usage:
    return reading.usage_of(
        usage.get("input_tokens"),
        usage.get("output_tokens"),
        usage.get("total_tokens"),
        reading.mapping(usage.get("input_tokens_details")),
        reading.mapping(usage.get("output_tokens_details")),
    )
