"""From an exchange to the call it was, if it is to be kept. Runs on the recorder's thread."""

from __future__ import annotations

import hashlib
import json
import random
import re
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from skillforge.call import Call
from skillforge.capture.exchange import MAX_BODY, Exchange, Mask
from skillforge.messages import Cost, Message

TOO_LONG = f"longer than {MAX_BODY // 1_048_576} MiB: not kept"

_KNOWN_RESPONSES = 20_000
_DECODED = 4_096  # bytes that are decompressed at once, so that little data cannot become much
_CONVERSATION_KEYS = ("conversation_id", "session_id", "thread_id")
_KIND = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")

Pricer = Callable[[Call], Call]


class Reader:
    """Remembers which conversation a response of OpenAI's responses API belongs to: a follow-up names only that."""

    def __init__(self, price: Pricer) -> None:
        self._price = price
        self._conversations: OrderedDict[str, str] = OrderedDict()

    def read(self, exchange: Exchange) -> Call | None:
        """The call; ``None`` where its share or its mask leaves it out. Raises ``ValueError`` for unreadable bodies."""
        request = _request(exchange)
        response, text, error = _answer(exchange)
        conversation = self._conversation(exchange, request, response)
        if not _in_share(exchange.policy.share, conversation):
            return None
        call = _call(exchange, request, response, conversation=conversation, error=error)
        if text and call.output is None:
            call = call.model_copy(update={"output": Message.of("assistant", text)})
        if exchange.status >= 400:  # refused: no provider charges for that
            call = call.model_copy(update={"cost": Cost(usd=0.0, basis="refused"), "list_usd": 0.0})
        else:
            call = self._price(call)
        return call if exchange.policy.mask is None else _sound(_masked(exchange.policy.mask, call))

    def _conversation(self, exchange: Exchange, request: Mapping[str, Any], response: Mapping[str, Any] | None) -> str:
        """What the program says; else what the request says; of a chain of responses the id of the first."""
        found = exchange.labels.conversation or _named(request)
        if exchange.api != "openai-responses":
            return found
        before = _text(request.get("previous_response_id"))
        own = _text((response or {}).get("id"))
        found = found or self._conversations.get(before, before) or own
        if own:
            self._conversations[own] = found
            if len(self._conversations) > _KNOWN_RESPONSES:
                self._conversations.popitem(last=False)
        return found


def _call(
    exchange: Exchange,
    request: Mapping[str, Any],
    response: Mapping[str, Any] | None,
    *,
    conversation: str,
    error: str,
) -> Call:
    from skillforge.formats.bodies import read_call

    if exchange.request is None:
        model = _text((response or {}).get("model")) or "unknown"
        request = {"model": model, "input" if exchange.api == "openai-responses" else "messages": []}
        response, error = None, error or f"the request is {TOO_LONG}"
    at = datetime.fromtimestamp(exchange.started_at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return read_call(
        exchange.api,
        request,
        response,
        id=uuid.uuid4().hex,
        server=exchange.server,
        at=at,
        latency_s=round(exchange.latency_s, 6),
        conversation=conversation,
        subject=exchange.labels.subject,
        tags=exchange.labels.tags,
        error=error,
    )


def _masked(mask: Mask, call: Call) -> Any:
    """What the mask returns. What it says when it raises may quote the call: only its type is told."""
    try:
        return mask(call)
    except BaseException as exc:  # also one that wants to exit
        raise ValueError(f"mask raised {type(exc).__name__}") from None


def _sound(masked: Any) -> Call | None:
    """What a mask made of a call: one that cannot be stored would take those beside it along."""
    from skillforge.formats.parts import sound

    if masked is None:
        return None
    if not isinstance(masked, Call):
        raise ValueError(f"the mask returned {type(masked).__name__}, not a Call or None")
    try:
        return Call.model_validate(sound(masked.model_dump(warnings=False)))
    except ValidationError as exc:  # its words would quote the call
        place = ".".join(map(str, exc.errors(include_input=False)[0]["loc"]))
        raise ValueError(f"the mask made a call that cannot be: {place}") from None


def _request(exchange: Exchange) -> Mapping[str, Any]:
    return {} if exchange.request is None else _object(exchange.request)


def _answer(exchange: Exchange) -> tuple[Mapping[str, Any] | None, str, str]:
    """The response's body where it is whole, what text came where it is not, and what is wrong."""
    from skillforge.formats.sse import fold, partial_text

    if exchange.overlong:
        return None, "", f"the answer is {TOO_LONG}"
    data = _decoded(exchange)
    if exchange.status >= 400:
        return None, "", f"HTTP {exchange.status}{_kind_of_error(data)}"
    if data.lstrip()[:1] == b"{":
        try:
            return _object(data), "", ""
        except ValueError:
            return None, "", exchange.error or "the answer is no JSON"
    if (body := fold(exchange.api, data)) is not None:
        return body, "", ""  # read to the event that ends it: what the reader did then is no error
    return None, partial_text(exchange.api, data), exchange.error or "the answer was cut off"


def _decoded(exchange: Exchange) -> bytes:
    """The answer without its content encoding, up to the bound: a small body may decompress to a huge one."""
    data = b"".join(exchange.chunks)
    if not data or exchange.encoding in ("", "identity"):
        return data
    import httpx2

    pieces = (data[at : at + _DECODED] for at in range(0, len(data), _DECODED))
    found, size = [], 0
    response = httpx2.Response(200, headers={"content-encoding": exchange.encoding}, content=pieces)
    try:
        for chunk in response.iter_bytes():
            found.append(chunk)
            size += len(chunk)
            if size > MAX_BODY:
                raise ValueError(f"the answer is {TOO_LONG}")
    except httpx2.DecodingError:  # cut in the middle
        pass
    return b"".join(found)


def _kind_of_error(data: bytes) -> str:
    """An error's type or code. Not its words: they may quote the request, or the key."""
    try:
        error = _object(data).get("error")
    except ValueError:
        return ""
    told = error if isinstance(error, Mapping) else {}
    named = (_text(told.get(key)) for key in ("type", "code"))
    return next((f" {name}" for name in named if _KIND.fullmatch(name)), "")


def _object(data: bytes) -> Mapping[str, Any]:
    try:
        body = json.loads(data)
    except RecursionError:
        raise ValueError("a body is nested too deeply") from None
    if not isinstance(body, Mapping):
        raise ValueError("a body is no object")
    return body


def _named(request: Mapping[str, Any]) -> str:
    """The conversation that a request names: OpenAI's ``conversation``, or an id in its ``metadata``."""
    told = request.get("conversation")
    if isinstance(told, Mapping):
        told = told.get("id")
    metadata = request.get("metadata")
    found = metadata if isinstance(metadata, Mapping) else {}
    return _text(told) or next(filter(None, (_text(found.get(key)) for key in _CONVERSATION_KEYS)), "")


def _in_share(share: float, conversation: str) -> bool:
    """Whether a call is kept: all calls of a conversation are, or none; in every process the same."""
    if share >= 1:
        return True
    if not conversation:
        return random.random() < share
    digest = hashlib.sha256(conversation.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
