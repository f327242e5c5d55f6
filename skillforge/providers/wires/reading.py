"""Reading what a server sent: every value may be missing, of a wrong type, or not even text."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from skillforge.canonical import compact
from skillforge.errors import RequestRejected
from skillforge.messages import Part, Text, TokenLogprob, ToolCall, Usage

MOST_TOP = 200  # alternatives of a token that are read


def parsed(text: str | bytes) -> Any:
    """A JSON value. Raises ``ValueError`` for anything else, NaN and infinities too."""
    try:
        return json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("JSON nested too deep") from None


def refuse_page(headers: Mapping[str, str], name: str) -> None:
    """Raise ``RequestRejected`` where a server answers with a page for people: it is no model's address."""
    if headers.get("content-type", "").lower().startswith(("text/html", "application/xhtml")):
        raise RequestRejected(
            f"{name}: a web page instead of an answer", hint="check base_url: its path leads to no model"
        )


def mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def text(value: Any) -> str:
    """A text; half a surrogate pair, which no file or database can hold, becomes ``?``."""
    if not isinstance(value, str):
        return ""
    return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")


def count(value: Any) -> int | None:
    """A number of tokens, or ``None`` for what is none: unknown is not zero."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53 else None


def usage_of(
    input_tokens: Any, output_tokens: Any, total_tokens: Any, read: Mapping[str, Any], thought: Mapping[str, Any]
) -> Usage:
    """Usage from an API that counts cached tokens in its input.

    Some servers leave reasoning out of the output and have it in the total only: it is charged like output.
    """
    sent, made, total = count(input_tokens), count(output_tokens), count(total_tokens)
    if sent is not None and made is not None and total is not None:
        made = max(made, total - sent)
    return Usage(
        input_tokens=sent,
        cached_tokens=_within(count(read.get("cached_tokens")), sent),
        written_tokens=_within(count(read.get("cache_write_tokens")), sent),
        output_tokens=made,
        reasoning_tokens=_within(count(thought.get("reasoning_tokens")), made),
    )


def tool_call(number: int, call_id: str, name: str, arguments: str) -> Part:
    """A call, or the text of one that nobody can make: then it is what the model said."""
    try:
        value = parsed(arguments or "{}")
        compact(value).encode()
    except (ValueError, RecursionError):
        value = None
    if not name or not isinstance(value, dict):
        return Text(text=f"{name}{arguments}")
    return ToolCall(id=call_id or f"call-{number}", name=name, arguments=value)


def token_logprobs(found: Any) -> Iterator[TokenLogprob]:
    """The tokens that have a finite log probability, each with the alternatives that have one."""
    for item in items(found):
        if (said := _token(item)) is not None:
            top = tuple(other for each in items(item.get("top_logprobs"))[:MOST_TOP] if (other := _token(each)))
            yield TokenLogprob(token=said[0], logprob=said[1], top=top)


def _token(item: Any) -> tuple[str, float] | None:
    logprob = mapping(item).get("logprob")
    if not isinstance(logprob, int | float) or isinstance(logprob, bool) or not _finite(logprob):
        return None
    return text(item.get("token")), float(logprob)


def _within(part: int | None, whole: int | None) -> int | None:
    """A part larger than its whole is no count of anything."""
    return None if part is None or (whole is not None and part > whole) else part


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON value")
