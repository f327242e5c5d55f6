"""A recorded request and its response, in the words of one of three APIs, as a ``Call``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from skillforge.call import Api, Call
from skillforge.formats.fields import when
from skillforge.formats.parts import NotACall, block_parts, parts, result, sound, tool_call, turn
from skillforge.messages import Message, Part, Reasoning, Role, Text, Tool, ToolResult, Usage
from skillforge.providers.wires import chat_response, messages_format, reading, responses_format

_MOST_NAME = 200  # characters of a model's name
_MOST_ERROR = 2_000  # characters of an error's words that are kept
_ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "model": "assistant",
    "tool": "tool",
    "function": "tool",
}


def read_call(
    api: Api,
    request: Mapping[str, Any],
    response: Mapping[str, Any] | None,
    *,
    id: str,
    server: str = "",
    at: str = "",
    latency_s: float | None = None,
    conversation: str = "",
    subject: str = "",
    tags: Mapping[str, str] | None = None,
    error: str = "",
) -> Call:
    """The call that a request body and its response body tell of.

    ``params`` keeps every key of the request that has no place of its own, as sent. Media keep their type, never their
    bytes. A response that is an error gives a call without output. ``conversation`` and ``subject``, where not given,
    are those that the request names (``conversation``, ``user``, ``metadata.user_id``). Raises ``NotACall`` (a
    ``ValueError``) for bodies of a wrong shape; parts of a kind nobody knows are no error.
    """
    try:
        asked = _READERS[api].request(_object(sound(request), "the request"))
        told = None if response is None else _object(sound(response), "the response")
        answer = _Answer(error=error) if told is None else _answer(api, told, error)
        model = _name(asked.model) or answer.model
        if not model:
            raise NotACall("no model is named")
        return Call(
            id=id,
            api=api,
            model=model,
            server=server,
            resolved=answer.model,
            system=asked.system,
            messages=tuple(asked.messages),
            tools=tuple(asked.tools),
            output_schema=asked.output_schema,
            params=asked.params,
            output=answer.message,
            stop=answer.stop,
            usage=answer.usage,
            latency_s=latency_s,
            at=at or (when(told.get("created") or told.get("created_at")) if told else ""),
            conversation=reading.text(conversation) or _conversation(asked.params),
            subject=reading.text(subject) or _subject(asked.params),
            tags=sound(tags or {}),
            error=answer.error if answer.message is None else error,
        )
    except RecursionError:
        raise NotACall("nested too deeply") from None


def api_of(request: Any, response: Any = None) -> Api | None:
    """Which API a pair of bodies is of, ``None`` where neither tells."""
    asked, told = reading.mapping(request), reading.mapping(response)
    if told.get("object") == "response" or ("input" in asked and "messages" not in asked):
        return "openai-responses"
    if isinstance(told.get("choices"), list):
        return "openai-chat"
    if told.get("type") == "message":
        return "anthropic"
    if not isinstance(asked.get("messages"), list):
        return None
    tools = [reading.mapping(tool) for tool in reading.items(asked.get("tools"))]
    marks = ("system", "anthropic_version", "output_config", "stop_sequences", "thinking")
    if any(key in asked for key in marks) or any("input_schema" in tool for tool in tools):
        return "anthropic"
    only_chat = ("response_format", "max_completion_tokens", "stream_options", "n", "seed", "logprobs", "functions")
    chat = any(key in asked for key in only_chat) or any("function" in tool for tool in tools)
    named = reading.text(asked.get("model")).rpartition("/")[2].startswith("claude")
    return "anthropic" if named and not chat else "openai-chat"


@dataclass
class _Asked:
    """A request, read."""

    model: Any
    system: str
    messages: list[Message]
    tools: list[Tool]
    output_schema: dict[str, Any] | None
    params: dict[str, Any]


@dataclass
class _Answer:
    """A response, read. Without a message ``error`` says why."""

    message: Message | None = None
    stop: str = ""
    model: str = ""
    usage: Usage = field(default_factory=Usage)
    error: str = ""


@dataclass(frozen=True)
class _Reader:
    request: Callable[[dict[str, Any]], _Asked]
    response: Callable[[Mapping[str, Any]], _Answer]


# requests


def _messages_request(body: dict[str, Any]) -> _Asked:
    system = _joined(parts(body.pop("system", None)))
    schema, body = _taken(body, "output_config", "format")
    return _asked(body, system, read_turns(body.pop("messages", None)), schema)


def _chat_request(body: dict[str, Any]) -> _Asked:
    schema = None
    form = reading.mapping(body.get("response_format"))
    inner = reading.mapping(form.get("json_schema")).get("schema")
    if form.get("type") == "json_schema" and isinstance(inner, dict):
        schema = inner
        del body["response_format"]
    body["tools"] = [*reading.items(body.pop("tools", None)), *reading.items(body.pop("functions", None))]
    return _asked(body, "", read_turns(body.pop("messages", None)), schema)


def _responses_request(body: dict[str, Any]) -> _Asked:
    instructions, sent = body.pop("instructions", None), body.pop("input", None)
    system = _joined(parts(instructions))
    schema, body = _taken(body, "text", "format")
    items = [{"role": "user", "content": sent}] if isinstance(sent, str) else _list(sent, "input")
    return _asked(body, system, item_turns(items), schema)


def _asked(body: dict[str, Any], system: str, messages: list[Message], schema: dict[str, Any] | None) -> _Asked:
    """The system messages that lead the conversation join the system text; later ones keep their place."""
    leading = 0
    while leading < len(messages) and messages[leading].role == "system":
        leading += 1
    texts = [system, *(message.text for message in messages[:leading])]
    model, tools = (
        body.pop("model", None),
        [tool for told in reading.items(body.pop("tools", None)) if (tool := read_tool(told))],
    )
    return _Asked(model, "\n\n".join(text for text in texts if text), messages[leading:], tools, schema, body)


def _taken(body: dict[str, Any], key: str, inner: str) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """The JSON Schema below ``key`` and ``inner``, and the body without it."""
    holder = reading.mapping(body.get(key))
    form = reading.mapping(holder.get(inner))
    schema = form.get("schema")
    if form.get("type") != "json_schema" or not isinstance(schema, dict):
        return None, body
    rest = {name: value for name, value in holder.items() if name != inner}
    return schema, {**{name: value for name, value in body.items() if name != key}, **({key: rest} if rest else {})}


def read_turns(messages: Any) -> list[Message]:
    """A list of messages. Raises ``NotACall``."""
    return [read_turn(_object(message, "a message")) for message in _list(messages, "messages")]


def read_turn(message: Mapping[str, Any]) -> Message:
    """One message of the chat or the messages API. Raises ``NotACall``."""
    role = _role(message)
    if role == "tool":
        content = message.get("content")
        found = [part for part in parts(content) if isinstance(part, ToolResult)] if isinstance(content, list) else []
        return Message(role="tool", content=tuple(found) or (_tool_message(message),))
    return turn(role, _said(message))


def _tool_message(message: Mapping[str, Any]) -> Part:
    return result(message.get("tool_call_id") or message.get("name"), message.get("content"))


def _said(message: Mapping[str, Any]) -> list[Part]:
    """What a message says: its reasoning, its content, its refusal and its calls."""
    found: list[Part] = []
    thought = message.get("reasoning_content") or message.get("reasoning")
    if isinstance(thought, str) and thought:
        found.append(Reasoning(kind="openai-chat", data={"reasoning_content": thought}))
    found += parts(message.get("content"))
    found += parts(reading.text(message.get("refusal")))
    calls = reading.items(message.get("tool_calls"))
    if isinstance(message.get("function_call"), Mapping) and not calls:
        calls = [{"function": message["function_call"]}]
    for number, call in enumerate(map(reading.mapping, calls)):
        function = reading.mapping(call.get("function")) or reading.mapping(call.get("custom")) or call
        arguments = next((function[key] for key in ("arguments", "args", "input") if function.get(key) is not None), "")
        found.append(tool_call(number, call.get("id"), function.get("name"), arguments))
    return found


def item_turns(items: list[Any]) -> list[Message]:
    """Input items as turns. What the model made (reasoning, a message, calls) is one turn, as are results in a row."""
    turns: list[tuple[Role, list[Part]]] = []
    for number, item in enumerate(items):
        if isinstance(item, str):
            item = {"role": "user", "content": item}
        told = _object(item, "an input item")
        kind = reading.text(told.get("type")) or "message"
        if kind == "item_reference":
            continue
        found: list[Part]
        if kind == "message" or "role" in told:
            message = read_turn(told)
            role, found = message.role, list(message.content)
        else:
            found = list(block_parts(told, number))
            role = "tool" if kind.endswith("_output") else "assistant"
        if turns and turns[-1][0] == role and role in ("assistant", "tool"):
            turns[-1][1].extend(found)
        else:
            turns.append((role, found))
    return [turn(role, found) for role, found in turns]


def _role(message: Mapping[str, Any]) -> Role:
    role = message.get("role")
    found = _ROLES.get(role.lower()) if isinstance(role, str) else None
    if found is None:
        raise NotACall(f"a message has the role {str(role)[:40]!r}")
    return found


def read_tool(told: Any) -> Tool | None:
    """A tool, in any API's words. One that the provider runs itself has no parameters."""
    outer = reading.mapping(told)
    inner = reading.mapping(outer.get("function")) or reading.mapping(outer.get("custom")) or outer
    name = reading.text(inner.get("name")) or reading.text(outer.get("type"))
    given = (inner.get(key) for key in ("parameters", "input_schema"))
    schema = next((value for value in given if isinstance(value, dict)), {})
    if not name:
        return None
    return Tool(name=name, description=reading.text(inner.get("description")), parameters=schema)


# responses


def _answer(api: Api, body: Mapping[str, Any], error: str) -> _Answer:
    failed = body.get("error")
    if failed or body.get("type") == "error":
        return _Answer(
            error=error or _words(failed), model=_name(body.get("model")), usage=_READERS[api].response(body).usage
        )
    answer = _READERS[api].response(body)
    if answer.message is not None and not answer.message.content and not answer.stop:
        return _Answer(error=error or "the response holds no answer", model=answer.model, usage=answer.usage)
    return answer


def _messages_response(body: Mapping[str, Any]) -> _Answer:
    return _Answer(
        message=Message(role="assistant", content=tuple(parts(body.get("content")))),
        stop=_stop(messages_format.STOPS, body.get("stop_reason")),
        model=_name(body.get("model")),
        usage=messages_format.usage_of(body.get("usage")),
    )


def _chat_response(body: Mapping[str, Any]) -> _Answer:
    choice = next(map(reading.mapping, reading.items(body.get("choices"))), {})
    said = reading.mapping(choice.get("message")) or {"content": choice.get("text")}
    message = Message(role="assistant", content=tuple(_said(said)))
    stop = _stop(chat_response.STOPS, choice.get("finish_reason"))
    if stop in ("stop", "tool_calls"):
        stop = "tool_calls" if message.tool_calls else "stop"
    usage = reading.mapping(body.get("usage"))
    counted = chat_response.usage_of(usage)
    if counted.written_tokens is None:  # LiteLLM's place for what Anthropic wrote to its cache
        written = reading.count(usage.get("cache_creation_input_tokens"))
        counted = counted.model_copy(update={"written_tokens": written})
    refused = bool(reading.text(said.get("refusal")))
    return _Answer(message, "refusal" if refused else stop, _name(body.get("model")), counted)


def _responses_response(body: Mapping[str, Any]) -> _Answer:
    found: list[Part] = []
    refused = False
    for number, item in enumerate(map(reading.mapping, reading.items(body.get("output")))):
        if item.get("type") == "message":
            blocks = reading.items(item.get("content"))
            refused = refused or any(reading.mapping(block).get("type") == "refusal" for block in blocks)
            found += parts(item.get("content"))
        else:
            found += block_parts(item, number)
    message = Message(role="assistant", content=tuple(found))
    stop = _stop(responses_format.STOPS, reading.mapping(body.get("incomplete_details")).get("reason"))
    if body.get("status") == "completed":
        stop = "refusal" if refused else "tool_calls" if message.tool_calls else "stop"
    usage = responses_format.usage_of(reading.mapping(body.get("usage")))
    return _Answer(message, stop, _name(body.get("model")), usage)


def _stop(words: Mapping[str, Any], reason: Any) -> str:
    return words.get(reason, "") if isinstance(reason, str) else ""


def _words(error: Any) -> str:
    """What an error says, on one line: its type and its message."""
    told = reading.mapping(error)
    said = [reading.text(told.get(key)) for key in ("type", "message")] if told else [reading.text(error)]
    return (": ".join(filter(None, said)) or "the call failed")[:_MOST_ERROR]


# what both need


def _joined(found: list[Part]) -> str:
    return "\n\n".join(part.text for part in found if isinstance(part, Text))


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise NotACall(f"{what} is no object")
    return dict(value)


def _list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise NotACall(f"{what} is no list")
    return value


def _name(value: Any) -> str:
    return reading.text(value)[:_MOST_NAME]


def _conversation(params: Mapping[str, Any]) -> str:
    told = params.get("conversation")
    return reading.text(told if isinstance(told, str) else reading.mapping(told).get("id"))


def _subject(params: Mapping[str, Any]) -> str:
    named = (
        params.get("user"),
        params.get("safety_identifier"),
        reading.mapping(params.get("metadata")).get("user_id"),
    )
    return next(filter(None, map(reading.text, named)), "")


_READERS: Mapping[Api, _Reader] = {
    "anthropic": _Reader(_messages_request, _messages_response),
    "openai-chat": _Reader(_chat_request, _chat_response),
    "openai-responses": _Reader(_responses_request, _responses_response),
}
