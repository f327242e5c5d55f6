from __future__ import annotations

import json
import ssl
import time
from email.utils import formatdate
from typing import Any

import anthropic
import anyio
import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillforge.errors import (
    ContextOverflow,
    InputRefused,
    KeyRejected,
    ProviderError,
    ProviderTimeout,
    RateLimited,
    RequestRejected,
    RetryableError,
    ServerFailure,
    Unreachable,
    UsageError,
)
from skillforge.providers.wires.sdk_errors import retry_after_s, server_error, translated, translating

KEY = "sk-test-0123456789abcdef"
ASKED = httpx2.Request("POST", "http://127.0.0.1:1/v1", headers={"authorization": f"Bearer {KEY}"})


def clean(text: str) -> str:
    return text.replace(KEY, "[key]")


def ours(exc: Exception) -> ProviderError:
    return translated(exc, name="acme:m", clean=clean)


def refusal(sdk: Any, status: int, body: Any, **headers: str) -> ProviderError:
    """What the SDK itself raises for a response, translated."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    response = httpx2.Response(status, content=raw, headers=sent, request=ASKED)
    client = sdk.AsyncOpenAI(api_key="k") if sdk is openai else sdk.AsyncAnthropic(api_key="k")
    return ours(client._make_status_error_from_response(response))


@pytest.fixture(params=[openai, anthropic], ids=["openai", "anthropic"])
def sdk(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (400, "bad field", RequestRejected),
        (400, "This model's maximum context length is 8192 tokens.", ContextOverflow),
        (400, "prompt is too long: 200001 tokens > 199999 maximum", ContextOverflow),
        (400, "Your credit balance is too low to access the API.", KeyRejected),
        (401, "invalid key", KeyRejected),
        (402, "pay", KeyRejected),
        (403, "not here", KeyRejected),
        (403, "m requires moderation. Your input was flagged for violence.", InputRefused),
        (
            400,
            "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
            InputRefused,
        ),
        (404, "no such model", RequestRejected),
        (405, "no", RequestRejected),
        (408, "slow", ServerFailure),
        (409, "again", ServerFailure),
        (413, "large", ContextOverflow),
        (422, "odd", RequestRejected),
        (422, "context window exceeded", ContextOverflow),
        (429, "slow down, see /account/billing", RateLimited),
        (429, "Request too large for m on tokens per min", ContextOverflow),
        (500, "oops", ServerFailure),
        (503, "later", ServerFailure),
        (529, "overloaded", ServerFailure),
    ],
)
def test_a_status_becomes_its_kind(sdk, status, message, kind):
    error = refusal(sdk, status, {"error": {"message": message}}, x_request_id="req_1", request_id="req_1")
    assert type(error) is kind
    assert str(error) == f"acme:m: HTTP {status}: {message} (request req_1)"
    assert not error.maybe_billed or status == 408


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("context_length_exceeded", 400, ContextOverflow),
        ("insufficient_quota", 429, KeyRejected),
        ("billing_hard_limit_reached", 400, KeyRejected),
        ("rate_limit_exceeded", 429, RateLimited),
    ],
)
def test_a_code_says_more_than_its_status(sdk, code, status, kind):
    assert type(refusal(sdk, status, {"error": {"message": "no", "code": code}})) is kind
    assert type(refusal(sdk, status, {"error": {"message": "no", "type": code}})) is kind


@pytest.mark.parametrize(
    "error",
    [
        {"message": "No connected db.", "type": "no_db_connection", "param": None, "code": "400"},  # LiteLLM's proxy
        {"message": "API key not valid. Please pass a valid API key.", "code": 400, "status": "INVALID_ARGUMENT"},
        {"message": "Incorrect API key provided: ab***yz."},
    ],
)
def test_a_refused_key_that_is_called_a_bad_request_is_one(sdk, error):
    told = refusal(sdk, 400, {"error": error})
    assert isinstance(told, KeyRejected)
    assert "keys set acme" in told.hint


def test_a_bad_request_that_quotes_such_words_is_no_refused_key(sdk):
    told = refusal(sdk, 400, {"error": {"message": "bad value 'Incorrect API key, it says' in messages"}})
    assert isinstance(told, RequestRejected)


@pytest.mark.parametrize(
    "message",
    [
        "/chat/completions: Invalid model name passed in model=nope. Call `/v1/models` to view available models.",
        "The model `nope` does not exist or you do not have access to it.",
    ],
)
def test_a_bad_request_for_a_model_that_is_not_there_says_what_to_check(sdk, message):
    told = refusal(sdk, 400, {"error": {"message": message, "type": "invalid_request_error"}})
    assert isinstance(told, RequestRejected)
    assert "acme:m" in told.hint


def test_llama_cpps_overflow_is_one(sdk):
    body = {"error": {"code": 400, "message": "request (12 tokens) exceeds", "type": "exceed_context_size_error"}}
    assert isinstance(refusal(sdk, 400, body), ContextOverflow)


def test_hints_name_the_mending_step(sdk):
    assert "skillforge keys set acme" in refusal(sdk, 401, {}).hint
    assert "acme:m" in refusal(sdk, 404, {}).hint


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": "0.5"}, 0.5),
        ({"retry_after_ms": "250", "retry_after": "7"}, 0.25),
        ({"retry_after_ms": "soon", "retry_after": "7"}, 7.0),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "-1"}, None),
        ({"retry_after": "nan"}, None),
        ({"retry_after": "inf"}, None),
        ({"retry_after": "Fri, 01 Jan 2021 00:00:00 GMT"}, None),
        ({"retry_after": "Fri, 01 Jan 99999 00:00:00 GMT"}, None),
        ({}, None),
    ],
)
def test_the_time_to_wait_is_read_from_headers(sdk, headers, seconds):
    for status in (429, 503):
        error = refusal(sdk, status, {}, **headers)
        assert isinstance(error, RetryableError)
        assert error.retry_after_s == seconds


def test_a_date_to_wait_for_is_seconds_from_now():
    seconds = retry_after_s({"retry-after": formatdate(time.time() + 60, usegmt=True)})
    assert seconds is not None
    assert 55 < seconds <= 60


@given(st.text(max_size=40))
def test_any_time_to_wait_is_a_number_or_none(said):
    seconds = retry_after_s({"retry-after": said, "retry-after-ms": said})
    assert seconds is None or 0 <= seconds < float("inf")


def test_an_echoed_key_is_not_shown(sdk):
    for body in ({"error": {"message": f"wrong key {KEY}", "code": KEY}}, f"wrong {KEY}".encode(), {"detail": [KEY]}):
        assert KEY not in str(refusal(sdk, 401, body, x_request_id=KEY, request_id=KEY))


def test_a_key_at_the_edge_of_a_long_text_is_not_shown_in_part(sdk):
    for filler in (b"x " * 32_760, b"x" * 65_530, b"x" * 290 + b" ", b" " * 65_530):
        shown = str(refusal(sdk, 500, filler + KEY.encode() + b" more"))
        assert "sk-test" not in shown
        assert len(shown) < 400


def test_a_web_page_is_named_not_shown(sdk):
    page = b"<!DOCTYPE html><html><head><title>502 Bad\nGateway</title></head>" + b"<p>x</p>" * 100_000
    assert str(refusal(sdk, 502, page)) == "acme:m: HTTP 502: a web page, '502 Bad\\nGateway' instead of an answer"


def test_control_characters_do_not_reach_the_terminal(sdk):
    shown = str(refusal(sdk, 500, {"error": {"message": "a\x1b[31m\r\nb\u202e\u0000c"}}))
    assert shown == "acme:m: HTTP 500: a [31m b c"


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5) | st.floats(),
        lambda x: (
            st.lists(x, max_size=2)
            | st.dictionaries(st.sampled_from(["error", "message", "code", "type", "detail"]), x, max_size=4)
        ),
    ),
    st.sampled_from([None, 302, 400, 429, 500]),
)
def test_any_body_becomes_one_short_line(body, status):
    shown = str(server_error(body, name="acme:m", clean=clean, status=status))
    assert shown.startswith("acme:m: ")
    assert len(shown) < 400
    assert shown.isprintable()


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("overloaded_error", ServerFailure),
        ("rate_limit_error", RateLimited),
        ("invalid_request_error", RequestRejected),
        ("authentication_error", KeyRejected),
        ("api_error", ServerFailure),
    ],
)
def test_an_error_inside_a_stream_says_its_kind_and_may_be_billed(kind, expected):
    body = {"type": "error", "error": {"type": kind, "message": "m"}}
    response = httpx2.Response(200, request=ASKED)
    client = anthropic.AsyncAnthropic(api_key="k")
    error = ours(client._make_status_error("m", body=body, response=response))
    assert type(error) is expected
    assert error.maybe_billed or not isinstance(error, RetryableError)
    error = ours(openai.APIError("m", ASKED, body=body["error"]))
    assert type(error) is expected


def test_timeouts_may_be_billed_unless_nothing_was_sent(sdk):
    error = ours(sdk.APITimeoutError(ASKED))
    assert isinstance(error, ProviderTimeout)
    assert error.maybe_billed
    for exc in (TimeoutError(), httpx2.ReadTimeout("slow")):
        assert isinstance(ours(exc), ProviderTimeout)
    unsent = sdk.APITimeoutError(ASKED)
    unsent.__cause__ = httpx2.ConnectTimeout("slow")
    assert not ours(unsent).maybe_billed
    unsent.__cause__ = httpx2.ConnectError("slow")
    unsent.__cause__.__cause__ = TimeoutError(110, "Connection timed out")
    assert not ours(unsent).maybe_billed


def test_a_refused_connection_is_not_billed(sdk):
    exc = sdk.APIConnectionError(request=ASKED)
    exc.__cause__ = httpx2.ConnectError("All connection attempts failed")
    error = ours(exc)
    assert type(error) is Unreachable
    assert (error.maybe_billed, "base_url" in error.hint) == (False, True)
    assert "All connection attempts failed" in str(error)


@pytest.mark.parametrize(
    "cause",
    [
        httpx2.ReadError("reset"),
        httpx2.RemoteProtocolError("peer closed connection"),
        ConnectionResetError("reset"),
        anyio.ClosedResourceError(),
        anyio.BrokenResourceError(),
        anyio.EndOfStream(),
        ssl.SSLError("eof"),
        httpx2.StreamClosed(),
        ExceptionGroup("many", [httpx2.ReadError("reset")]),
        httpx2.DecodingError("gzip"),
        json.JSONDecodeError("no", "x", 0),
        RecursionError(),
        RuntimeError("odd"),
    ],
    ids=lambda exc: type(exc).__name__,
)
def test_what_breaks_mid_call_may_be_billed_and_asked_again(cause):
    error = ours(cause)
    assert type(error) is ServerFailure
    assert error.maybe_billed


def test_a_header_that_cannot_be_sent_is_not_shown():
    exc = openai.APIConnectionError(request=ASKED)
    exc.__cause__ = httpx2.LocalProtocolError(f"Illegal header value b'Bearer {KEY}\\n'")
    for found in (exc, UnicodeEncodeError("ascii", f"Bearer {KEY}ä", 30, 31, "no")):
        error = translated(found, name="acme:m", clean=str)
        assert isinstance(error, KeyRejected)
        assert KEY not in str(error)


def test_our_own_errors_go_through_and_causes_do_not_stay():
    own = UsageError("mine")
    with pytest.raises(UsageError) as kept, translating("acme:m", clean):
        raise own
    assert kept.value is own
    with pytest.raises(ServerFailure) as caught, translating("acme:m", clean):
        raise ValueError(f"odd {KEY}")
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert KEY not in str(caught.value)


def test_an_earlier_calls_error_says_nothing_about_this_one():
    now = ValueError("now")
    now.__context__ = RateLimited("earlier")
    assert type(ours(now)) is ServerFailure
