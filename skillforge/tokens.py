"""How many tokens a request may be, without a tokenizer: an estimate for limits, a bound for money."""

from __future__ import annotations

from skillforge.canonical import compact
from skillforge.messages import Message, Request, Text

CHARACTERS_PER_TOKEN = 4  # the usual rule of thumb for English
_FRAMING = 16  # special tokens around one message
_HIDDEN = 2_000  # the provider's own words about tools or an output schema


def estimate_tokens(request: Request) -> int:
    """About four characters a token: no tokenizer is loaded for a limit that only has to catch runaway inputs."""
    return sum([len(message.text) for message in request.messages]) // CHARACTERS_PER_TOKEN + 1


def bound_tokens(request: Request) -> int:
    """More input tokens than the request can be: byte-level tokenizers never make a token of less than one byte."""
    sent = sum(_message_bytes(message) + _FRAMING for message in request.messages)
    shape = [request.output_schema, [tool.model_dump() for tool in request.tools]]
    return sent + (_bytes(compact(shape)) + _HIDDEN if request.output_schema or request.tools else 0)


def _message_bytes(message: Message) -> int:
    return sum(_bytes(part.text if isinstance(part, Text) else compact(part.model_dump())) for part in message.content)


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "backslashreplace"))
