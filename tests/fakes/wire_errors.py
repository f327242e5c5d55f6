"""Errors in the shape of each API, and the lists of models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.fakes.wire_answers import CREATED, Api, sse

ANTHROPIC_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
OPENAI_ERRORS = {401: "invalid_api_key", 404: "not_found", 429: "rate_limit_exceeded", 503: "service_unavailable"}


def error_body(anthropic: bool, status: int, message: str, number: int) -> dict[str, Any]:
    """An error in the shape of the API that is asked."""
    if anthropic:
        kind = ANTHROPIC_ERRORS.get(status, "api_error")
        return {"type": "error", "error": {"type": kind, "message": message}, "request_id": f"req_{number}"}
    kind = "server_error" if status >= 500 else "requests" if status == 429 else "invalid_request_error"
    return {"error": {"message": message, "type": kind, "param": None, "code": OPENAI_ERRORS.get(status)}}


def error_event(api: Api, message: str, number: int) -> bytes:
    """An error in the middle of a stream."""
    if api == "messages":
        return sse("error", error_body(True, 529, message, number))
    if api == "chat":
        return sse("", error_body(False, 500, message, number))
    data = {"type": "error", "code": "server_error", "message": message, "param": None, "sequence_number": 99}
    return sse("error", data)


def models_body(anthropic: bool, models: Sequence[str]) -> dict[str, Any]:
    if not anthropic:
        rows = [{"id": name, "object": "model", "created": CREATED, "owned_by": "fake"} for name in models]
        return {"object": "list", "data": rows}
    rows = [
        {"type": "model", "id": name, "display_name": name, "created_at": "2026-01-01T00:00:00Z", "lifecycle": "active"}
        for name in models
    ]
    ends = {"first_id": models[0], "last_id": models[-1]} if models else {"first_id": None, "last_id": None}
    return {"data": rows, "has_more": False, **ends}
