"""What the SDKs of model servers raise, as our own errors.

Both SDKs (Stainless, over httpx2) raise the same shapes under their own class names, so these are told apart by their
attributes and names: no SDK is imported here. Servers' words are hostile: they may be huge, HTML, or echo the key.
"""

from __future__ import annotations

import builtins
import math
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from skillforge.errors import (
    ContextOverflow,
    InputRefused,
    KeyRejected,
    ProviderError,
    ProviderTimeout,
    RateLimited,
    RequestRejected,
    ServerFailure,
    SkillforgeError,
    Unreachable,
)

Clean = Callable[[str], str]  # takes secrets out of a text

SHORTEN = "shorten the input, show fewer examples, or use a model with a longer context"
_MOST_TEXT = 300  # characters of a server's words that are shown
_MOST_READ = 65_536  # characters of a server's words that are looked at

_OVERFLOW = re.compile(
    r"context[_ ]length|exceed_context_size|prompt is too long|context (?:window|limit|size)|request too large"
    r"|request_too_large|string_above_max_length|input token count .{0,40}exceeds",
    re.IGNORECASE,
)
# Not "quota" nor "billing" alone: messages about mere rate limits name both, with a link to the billing page.
_NO_MONEY = re.compile(
    r"insufficient_quota|\bbilling_[a-z_]+|credit balance|insufficient (?:funds|credits?|balance)"
    r"|reached your specified .{0,20}usage limit",
    re.IGNORECASE,
)
# Refused keys that some servers call a bad request: LiteLLM's proxy without a database, xAI, Gemini's OpenAI API.
# At the start of what they say: further on, it may be an input they quote.
_BAD_KEY = re.compile(r"\S* (?:no_db_connection |\S* (?:incorrect api key|api key not valid))", re.IGNORECASE)
_NO_MODEL = re.compile(
    r"model_not_found|(?:invalid|unknown|no such) model|model\W.{0,80}(?:not exist|not found|not supported)",
    re.IGNORECASE,
)
# An input that a filter refuses: at Azure with status 400, at OpenRouter with 403.
_FLAGGED = re.compile(r"\bflagged\b|requires moderation|\bcontent_filter\b|content management policy", re.IGNORECASE)
# An error inside a stream has status 200: its type says what it would have been.
_STATUS_OF_TYPE: Mapping[str, int] = {
    "invalid_request_error": 400,
    "invalid_prompt": 400,
    "authentication_error": 401,
    "invalid_api_key": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "timeout_error": 504,
    "overloaded_error": 529,
}
_REQUESTS_FAULT = re.compile(r"^(?:invalid|image|empty_image|failed_to_download)_|policy|unsupported|residency")
_BILLED_STATUS = frozenset({408, 499, 504, 524})  # a gateway gave up waiting: the model may have answered
_REFUSED = (ConnectionRefusedError, socket.gaierror, ssl.SSLCertVerificationError)


@contextmanager
def translating(name: str, clean: Clean) -> Iterator[None]:
    """Turn whatever an SDK raises in here into a ``ProviderError``; our own errors and cancellations go through.

    The SDK's exception is not kept as the cause: it holds the request, and the request holds the key.
    """
    try:
        yield
    except SkillforgeError:
        raise
    except Exception as exc:
        raise translated(exc, name=name, clean=clean) from None


def translated(exc: Exception, *, name: str, clean: Clean) -> ProviderError:
    """The error of ours that says what ``exc`` means. ``name`` is the model as the user writes it."""
    chain = list(_chain(exc))
    if isinstance(exc, ProviderError):
        return exc
    for link in chain:
        status = getattr(link, "status_code", None)
        if isinstance(status, int) and _is_a(link, "APIStatusError"):
            return _from_response(link, status, name=name, clean=clean)
    for link in chain:
        if _is_a(link, "APIError") and getattr(link, "body", None) is not None and _no_status(link):
            return server_error(link.body, name=name, clean=clean)  # type: ignore[attr-defined]
    return _from_transport(chain, name, clean)


def server_error(
    body: Any,
    *,
    name: str,
    clean: Clean = str,
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
    request_id: str = "",
) -> ProviderError:
    """The error that a server's error ``body`` tells of (parsed JSON or text).

    Without ``status`` the error came inside an answer that had begun well, which may be charged for.
    """
    detail = _detail(body)
    said = _words(detail["message"], clean)
    marks = f"{detail['code']} {detail['type']} {said}"
    inside = status is None
    meant = status if status is not None else _implied_status(detail)
    text = f"{name}: {'it answered with an error' if inside else f'HTTP {status}'}"
    text += f": {said}" if said else ""
    if status is not None and 300 <= status < 400 and (target := _address(headers, clean)):
        text += f", to {target}"
    shown = re.sub(r"[^\w.:-]", "", clean(str(request_id)))[:80]
    text += f" (request {shown})" if shown else ""
    return _classified(text, marks, meant, name, inside=inside, wait=retry_after_s(headers))


def _address(headers: Mapping[str, str] | None, clean: Clean) -> str:
    """Where a redirect leads, without what may hold a secret."""
    try:
        parts = urlsplit(str((headers or {}).get("location", "")))
        shown = f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"
    except ValueError:
        return ""
    return clean(shown)[:200] if parts.hostname else ""


def retry_after_s(headers: Mapping[str, str] | None) -> float | None:
    """Seconds that a server asks to wait (``retry-after-ms``, ``retry-after``); ``None`` for none or nonsense."""
    if not headers:
        return None
    for header, scale in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        seconds = _number(str(headers.get(header, "")), scale)
        if seconds is not None:
            return seconds
    try:
        seconds = parsedate_to_datetime(str(headers.get("retry-after", ""))).timestamp() - time.time()
    except (TypeError, ValueError, OverflowError):
        return None
    return seconds if seconds >= 0 else None


def _classified(text: str, marks: str, status: int, name: str, *, inside: bool, wait: float | None) -> ProviderError:
    provider = name.split(":")[0]
    if 400 <= status < 500 and _NO_MONEY.search(marks):
        return KeyRejected(text, hint=f"the account behind the key of {provider} has no credit left: add some")
    if status in (400, 403) and _FLAGGED.search(marks):
        return InputRefused(text, hint="its moderation refuses this input, not the key")
    if status in (401, 402, 403) or (status == 400 and _BAD_KEY.match(marks)):
        return KeyRejected(text, hint=f"check the key of {provider}, or set another: skillforge keys set {provider}")
    if status == 413 or (status in (400, 422, 429) and _OVERFLOW.search(marks)):
        return ContextOverflow(text, hint=SHORTEN)
    if status == 429:
        return RateLimited(text, hint="wait, or make fewer calls at once", maybe_billed=inside, retry_after_s=wait)
    if status == 404 or (status == 400 and _NO_MODEL.search(marks)):
        return RequestRejected(text, hint=f"check the model's name ({name}) and the server's address")
    if 300 <= status < 400:
        return RequestRejected(text, hint="the server sends calls elsewhere: set base_url to the address it names")
    if 400 <= status < 500 and status not in (408, 409, 499):
        hint = f'what it names may be an option of the model: [models."{name}"] in skillforge.toml'
        return RequestRejected(text, hint=hint)
    billed = inside or status in _BILLED_STATUS
    return ServerFailure(text, hint="try again later", maybe_billed=billed, retry_after_s=wait)


def _from_response(exc: BaseException, status: int, *, name: str, clean: Clean) -> ProviderError:
    response = getattr(exc, "response", None)
    headers = getattr(response, "headers", None) or {}
    request_id = getattr(exc, "request_id", None) or headers.get("request-id") or headers.get("x-request-id") or ""
    body = getattr(exc, "body", None)
    told = None if status < 300 else status  # an error event in a stream that had begun with 200
    return server_error(body, name=name, clean=clean, status=told, headers=headers, request_id=request_id)


def _from_transport(chain: list[BaseException], name: str, clean: Clean) -> ProviderError:
    first = chain[0]
    if any(isinstance(link, UnicodeEncodeError) and link.encoding != "utf-8" for link in chain) or any(
        _is_a(link, "LocalProtocolError") for link in chain
    ):  # its message would show the header
        hint = f"the key of {name.split(':')[0]} or a header holds a character that HTTP does not allow: set it again"
        return KeyRejected(f"{name}: the request's headers cannot be sent", hint=hint)
    if any(_is_a(link, "CredentialsError") for link in chain):
        return KeyRejected(f"{name}: {_words(str(first), clean)}", hint=f"skillforge keys set {name.split(':')[0]}")
    if any(_is_timeout(link) for link in chain):
        unsent = any(_is_a(link, "ConnectTimeout", "ConnectError", "PoolTimeout") for link in chain)
        hint = "allow more time (timeout_s), or ask for fewer output tokens"
        return ProviderTimeout(f"{name}: no answer in time", hint=hint, maybe_billed=not unsent)
    reason = _words(str(chain[-1]), clean) or type(chain[-1]).__name__
    if any(isinstance(link, _REFUSED) or _is_a(link, "ConnectError", "ProxyError") for link in chain):
        hint = "does the server run at that address? check base_url, the network and its certificate"
        return Unreachable(f"{name}: cannot connect: {reason}", hint=hint)
    if any(_is_a(link, "InvalidURL", "UnsupportedProtocol", "TooManyRedirects") for link in chain):
        return RequestRejected(f"{name}: the address cannot be called: {reason}", hint="check base_url")
    if any(isinstance(link, UnicodeEncodeError | TypeError) for link in chain):
        return RequestRejected(f"{name}: the request cannot be sent: {reason}")
    if any(_is_connection(link) for link in chain):
        return ServerFailure(f"{name}: the connection broke mid-call: {reason}", maybe_billed=True)
    if any(isinstance(link, ValueError | RecursionError) or _is_a(link, "DecodingError") for link in chain):
        return ServerFailure(f"{name}: the answer cannot be read: {reason}", maybe_billed=True)
    return ServerFailure(f"{name}: the call failed: {type(first).__name__}: {reason}", maybe_billed=True)


def _chain(exc: BaseException) -> Iterator[BaseException]:
    """``exc`` and what led to it, outermost first; of a group, its first error. An error of ours is another call's."""
    seen: set[int] = set()
    link: BaseException | None = exc
    while link is not None and id(link) not in seen and not isinstance(link, SkillforgeError):
        seen.add(id(link))
        yield link
        if isinstance(link, BaseExceptionGroup):
            link = link.exceptions[0]
        else:
            link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def _is_a(exc: BaseException, *names: str) -> bool:
    return any(base.__name__ in names for base in type(exc).__mro__)


def _no_status(exc: BaseException) -> bool:
    return not isinstance(getattr(exc, "status_code", None), int)


def _is_timeout(exc: BaseException) -> bool:
    return isinstance(exc, builtins.TimeoutError) or _is_a(exc, "APITimeoutError", "TimeoutException")


def _is_connection(exc: BaseException) -> bool:
    return isinstance(exc, OSError | EOFError) or _is_a(
        exc,
        "APIConnectionError",
        "TransportError",
        "StreamError",
        "ClosedResourceError",
        "BrokenResourceError",
        "EndOfStream",
    )


def _detail(body: Any) -> dict[str, str]:
    """The message, code and type in an error body, which servers nest and name in many ways."""
    inner = body.get("error") if isinstance(body, Mapping) and body.get("error") else body
    if not isinstance(inner, Mapping):
        return {"message": _scalar(inner), "code": "", "type": ""}
    message = next((text for key in ("message", "detail", "error", "msg") if (text := _scalar(inner.get(key)))), "")
    return {"message": message, "code": _scalar(inner.get("code")), "type": _scalar(inner.get("type"))}


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value[: 4 * _MOST_READ].decode("utf-8", "replace")
    if value is None:
        return ""
    try:
        return repr(value)  # e.g. FastAPI's list of problems
    except RecursionError:
        return ""


def _implied_status(detail: Mapping[str, str]) -> int:
    for mark in (detail["code"], detail["type"]):
        if re.fullmatch(r"[45]\d\d", mark):
            return int(mark)
        if mark in _STATUS_OF_TYPE:
            return _STATUS_OF_TYPE[mark]
        if _OVERFLOW.search(mark) or _REQUESTS_FAULT.search(mark):
            return 400
    return 500


def _words(text: str, clean: Clean) -> str:
    """A server's words as one short line without secrets, control characters or a page's HTML."""
    if re.match(r"\s*<(?:!doctype|html|\?xml|head)", text[:_MOST_READ], re.IGNORECASE):
        title = re.search(r"<title[^>]{0,200}>([^<]{1,300})<", text[:_MOST_READ], re.IGNORECASE)
        text = f"a web page{f', {title[1].strip()!r}' if title else ''} instead of an answer"
    elif len(text) > _MOST_READ:
        text = text[:_MOST_READ].rpartition(" ")[0]  # not a cut word: half a secret is not recognised
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    line = clean(line)
    return line if len(line) <= _MOST_TEXT else line[: _MOST_TEXT - 1] + "…"


def _number(text: str, scale: float) -> float | None:
    try:
        seconds = float(text) / scale
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
