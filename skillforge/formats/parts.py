"""Content of a recorded message, in any API's words, as our parts.

Content blocks of the three APIs have different names for the same things, and gateways mix them, so one table reads
them all. What a block is not known by leaves a trace of its kind, so that nobody takes the message for its text alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal

from skillforge.messages import Media, Message, Part, Reasoning, Role, Text, ToolCall, ToolResult
from skillforge.providers.wires import reading

MAX_DEPTH = 100  # of JSON in JSON: what is deeper cannot be stored, and nobody sends it


class NotACall(ValueError):
    """A record that cannot be read as a model call: a needed value is missing or of a wrong type."""


def sound(value: Any, depth: int = 0) -> Any:
    """``value`` without lone surrogates and infinities, which nothing can store. Raises ``NotACall``: too deep."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if depth > MAX_DEPTH:
        raise NotACall(f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, Mapping):
        return {sound(str(key)): sound(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [sound(inner, depth + 1) for inner in value]
    return value


def parts(content: Any) -> list[Part]:
    """The parts of a message's ``content``: a text, a list of blocks, or nothing. Raises ``NotACall`` otherwise."""
    if content is None or content == "":
        return []
    if isinstance(content, str):
        return [Text(text=content)]
    if isinstance(content, Mapping):
        content = [content]
    if not isinstance(content, list):
        raise NotACall(f"a message's content is {_kind(content)}")
    return [part for number, block in enumerate(content) for part in block_parts(block, number)]


def block_parts(block: Any, number: int) -> Iterator[Part]:
    """The parts of one content block, mostly one. ``number`` names a tool call without an id."""
    if isinstance(block, str):
        yield from parts(block)
        return
    if not isinstance(block, Mapping):
        raise NotACall(f"a content block is {_kind(block)}")
    kind = reading.text(block.get("type")) or ("text" if isinstance(block.get("text"), str) else "unknown")
    read = _BLOCKS.get(kind)
    if read is not None:
        yield from read(block, number)
    elif kind.endswith(("_tool_use", "_tool_call")):  # tools that the provider runs itself
        yield from _tool_use(block, number)
    elif kind.endswith("_tool_result"):
        yield from _tool_result(block, number)
    else:
        yield Media(type="document", media_type=f"x-{kind}"[:80])


def tool_call(number: int, call_id: Any, name: Any, arguments: Any) -> Part:
    """A call from a name and arguments, as JSON text or as an object; the text of one that nobody can make."""
    told = reading.text(name)
    if isinstance(arguments, Mapping) and told:
        return ToolCall(id=reading.text(call_id) or f"call-{number}", name=told, arguments=dict(arguments))
    part = reading.tool_call(number, reading.text(call_id), told, reading.text(arguments))
    if isinstance(part, ToolCall):
        sound(part.arguments)  # it was text before: nobody looked how deep it is
    return part


def result(call_id: Any, content: Any, *, is_error: bool = False) -> ToolResult:
    """A tool's result: text where it is nothing but text, else its blocks without the bytes of media."""
    if isinstance(content, list):
        found = parts(content)
        texts = [part.text for part in found if isinstance(part, Text)]
        plain = len(texts) == len(found)
        content = "".join(texts) if plain else [part.model_dump(exclude_defaults=True) for part in found]
    return ToolResult(id=reading.text(call_id), content=content, is_error=is_error)


def turn(role: Role, found: Iterable[Part]) -> Message:
    """A message of the parts; with a tool's results in it, it is the tool's."""
    content = tuple(found)
    if role == "user" and any(isinstance(part, ToolResult) for part in content):
        role = "tool"
    return Message(role=role, content=content)


def _text(block: Mapping[str, Any], number: int) -> Iterator[Part]:
    said = block.get("text")
    if isinstance(said, Mapping):  # {"value": …, "annotations": …}
        said = said.get("value")
    yield from parts(reading.text(said))


def _refusal(block: Mapping[str, Any], number: int) -> Iterator[Part]:
    yield from parts(reading.text(block.get("refusal")))


def _media(block: Mapping[str, Any], number: int) -> Iterator[Part]:
    """An image or a document: where it lies and what it is, never its bytes."""
    source = reading.mapping(block.get("source"))
    told = reading.text(block.get("type"))
    kind: Literal["image", "document"] = "image" if "image" in told else "document"
    image = block.get("image_url")
    url = reading.text(image if isinstance(image, str) else reading.mapping(image).get("url"))
    url = url or reading.text(source.get("url")) or reading.text(block.get("file_url"))
    media_type = reading.text(source.get("media_type"))
    if url.startswith("data:"):
        media_type, url = url[5:].split(";", 1)[0].split(",", 1)[0], ""
    name = source.get("file_id") or block.get("file_id") or reading.mapping(block.get("file")).get("file_id")
    yield Media(type=kind, media_type=(media_type or f"{kind}/*")[:100], url=url or reading.text(name))


def _audio(block: Mapping[str, Any], number: int) -> Iterator[Part]:
    form = reading.text(reading.mapping(block.get("input_audio")).get("format"))
    yield Media(type="document", media_type=f"audio/{form or '*'}"[:100])


def _tool_use(block: Mapping[str, Any], number: int) -> Iterator[Part]:
    arguments = block.get("input")
    yield tool_call(number, block.get("id"), block.get("name"), {} if arguments is None else arguments)


def _function_call(block: Mapping[str, Any], number: int) -> Iterator[Part]:
    arguments = block.get("arguments", block.get("input"))  # a custom tool takes a text, not an object
    yield tool_call(number, block.get("call_id") or block.get("id"), block.get("name"), arguments)


def _tool_result(block: Mapping[str, Any], number: int) -> Iterator[Part]:
    call_id = block.get("tool_use_id") or block.get("tool_call_id")
    yield result(call_id, block.get("content"), is_error=block.get("is_error") is True)


def _call_output(block: Mapping[str, Any], number: int) -> Iterator[Part]:
    yield result(block.get("call_id"), block.get("output"))


def _thinking(block: Mapping[str, Any], number: int) -> Iterator[Part]:
    yield Reasoning(kind="anthropic", data=dict(block))


def _reasoning(block: Mapping[str, Any], number: int) -> Iterator[Part]:
    yield Reasoning(kind="openai-responses", data=dict(block))


def _kind(value: Any) -> str:
    return {dict: "an object", list: "a list", str: "a text", type(None): "null"}.get(type(value), "a number")


_BLOCKS: Mapping[str, Callable[[Mapping[str, Any], int], Iterator[Part]]] = {
    **dict.fromkeys(("text", "input_text", "output_text", "summary_text"), _text),
    "refusal": _refusal,
    **dict.fromkeys(("image", "image_url", "input_image", "document", "file", "input_file"), _media),
    "input_audio": _audio,
    "tool_use": _tool_use,
    **dict.fromkeys(("function_call", "custom_tool_call"), _function_call),
    "tool_result": _tool_result,
    **dict.fromkeys(("function_call_output", "custom_tool_call_output"), _call_output),
    **dict.fromkeys(("thinking", "redacted_thinking"), _thinking),
    "reasoning": _reasoning,
}
