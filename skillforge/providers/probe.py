"""What a model can do, found out by asking it: behind ``skillforge models test``."""

from __future__ import annotations

import json
import time

from skillforge.errors import ProviderError
from skillforge.messages import Completion, Message, Request, RequestKey, Value
from skillforge.providers.base import Provider

_ANSWER_TOKENS = 256  # three short answers, and a little room for a model that thinks unasked
_SCHEMA = {
    "type": "object",
    "properties": {"colour": {"type": "string", "enum": ["red", "green", "blue"]}, "warm": {"type": "boolean"}},
    "required": ["colour", "warm"],
    "additionalProperties": False,
}


class ModelProbe(Value):
    """What one model did. Seconds and tokens per second; ``None`` is unknown.

    ``load_s`` is what the first call took beyond its own latency. ``tokens_per_s`` is output tokens over the whole
    latency of the first answer. ``json_ok``: gave an object of a small schema when asked for one. ``notes`` says why
    something failed.
    """

    provider: str
    model: str
    reply: str
    latency_s: float | None
    load_s: float | None
    tokens_per_s: float | None
    json_ok: bool
    logprobs: bool
    notes: tuple[str, ...] = ()


async def probe(provider: Provider) -> ModelProbe:
    """Ask three short questions. Raises ``ProviderError`` when not even the first is answered."""
    started = time.monotonic()
    first = await provider.complete(_request("Say hello in one short sentence."))
    wall = time.monotonic() - started
    notes: list[str] = []
    shaped = await _try(provider, _request("Is red a warm colour?", schema=True), "JSON", notes)
    if shaped is not None and not _fits(shaped.text):
        notes.append(f"JSON: the answer does not fit the schema: {shaped.text[:80]!r}")
    with_logprobs = await _try(provider, _request("Name a colour.", logprobs=True), "logprobs", notes)
    return ModelProbe(
        provider=provider.name,
        model=first.model,
        reply=first.text,
        latency_s=first.latency_s,
        load_s=None if first.latency_s is None else max(0.0, wall - first.latency_s),
        tokens_per_s=_speed(first),
        json_ok=shaped is not None and _fits(shaped.text),
        logprobs=with_logprobs is not None and bool(with_logprobs.logprobs),
        notes=tuple(notes),
    )


def _request(question: str, *, schema: bool = False, logprobs: bool = False) -> Request:
    return Request(
        messages=(Message.of("system", "You answer briefly."), Message.of("user", question)),
        key=RequestKey(role="probe", task="probe the model", input={"question": question}),
        output_schema=_SCHEMA if schema else None,
        max_output_tokens=_ANSWER_TOKENS,
        logprobs=logprobs,
        timeout_s=120,
    )


async def _try(provider: Provider, request: Request, what: str, notes: list[str]) -> Completion | None:
    try:
        return await provider.complete(request)
    except ProviderError as exc:
        notes.append(f"{what}: {exc}")
        return None


def _fits(text: str) -> bool:
    import jsonschema

    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return bool(jsonschema.Draft202012Validator(_SCHEMA).is_valid(value))


def _speed(completion: Completion) -> float | None:
    tokens = completion.usage.output_tokens
    return tokens / completion.latency_s if tokens is not None and completion.latency_s else None
