"""What one API of one server does, asked through our own providers: the same questions for every server."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import anyio
import jsonschema

from skillforge.config import Settings
from skillforge.endpoints import Endpoint, Kind
from skillforge.errors import ProviderError
from skillforge.messages import Completion, Message, Request, RequestKey, Tool
from skillforge.providers.limiter import LimiterPool
from skillforge.providers.network import Network
from skillforge.providers.resolve import resolve_provider
from skillforge.providers.wires.wire import STREAM_ABOVE
from skillforge.redact import Redactor

KEY_VARIABLE = "LAB_KEY"
SCHEMA = {
    "type": "object",
    "properties": {"colour": {"type": "string", "enum": ["red", "green", "blue"]}, "warm": {"type": "boolean"}},
    "required": ["colour", "warm"],
    "additionalProperties": False,
}
SPEED_TOKENS = 128
TRIES = 3  # of a schema: a model may hit one by chance


@dataclass(frozen=True)
class Target:
    """One API: ``label`` heads its column."""

    label: str
    kind: Kind
    url: str
    key: str
    model: str


def look(target: Target) -> dict[str, str]:
    """What the API does, by question, in a few words each."""
    found: dict[str, str] = {}
    for question, answer in QUESTIONS.items():
        try:
            found[question] = answer(target)
        except ProviderError as exc:
            found[question] = f"{type(exc).__name__}: {exc}"[:150]
    return found


def ask(target: Target, *requests: Request) -> list[Completion]:
    settings = Settings(
        endpoints={"lab": Endpoint(kind=target.kind, base_url=target.url, api_key_env=KEY_VARIABLE, timeout_s=120)}
    )
    env = {KEY_VARIABLE: target.key}
    provider = resolve_provider(f"lab:{target.model}", Network(settings, env, Redactor(env), LimiterPool()))

    async def main() -> list[Completion]:
        try:
            return [await provider.complete(request) for request in requests]
        finally:
            await provider.aclose()

    return anyio.run(main)


def asking(*turns: str, **more: Any) -> Request:
    """``turns`` alternate between user and assistant."""
    said = [Message.of("assistant" if number % 2 else "user", text) for number, text in enumerate(turns)]
    key = RequestKey(role="probe", task="look at an API", input={})
    return Request(messages=(Message.of("system", "You are terse."), *said), key=key, **more)


def brief(**more: Any) -> Request:
    return asking("Say: red", "red", "Say: green", "green", "Say: blue", **{"max_output_tokens": 64, **more})


LONG = "Tell a very long story about a king and his seven daughters."


def _text(target: Target) -> str:
    [done] = ask(target, brief())
    return f"{done.text.strip()[:20]!r} from {done.model[:24]}"


def _usage(target: Target) -> str:
    first, again = ask(target, brief(), brief())
    told = f"{first.usage.input_tokens} in, {first.usage.output_tokens} out"
    return f"{told}; again: {again.usage.cached_tokens} of {again.usage.input_tokens} cached"


def _stops(target: Target) -> str:
    ended, cut = ask(target, brief(), asking(LONG, max_output_tokens=6))
    return f"{ended.stop}; cut at 6 tokens: {cut.stop} ({cut.usage.output_tokens} out)"


def _schema(target: Target) -> str:
    asked = [asking(LONG, output_schema=SCHEMA, max_output_tokens=96)] * TRIES
    done = ask(target, *asked)
    fits = sum(_fits(each.text) for each in done)
    refused = "refused, then said in the prompt; " if done[0].calls > 1 else ""
    return f"{refused}{'honoured' if fits == TRIES else 'ignored'}: {fits} of {TRIES} fit"


def _logprobs(target: Target) -> str:
    [done] = ask(target, brief(logprobs=True))
    if done.logprobs:
        return f"yes, {len(done.logprobs)} tokens"
    return "refused, then asked without" if done.calls > 1 else "none"


def _tools(target: Target) -> str:
    tool = Tool(name="look_up", description="Looks a colour up.", parameters=SCHEMA)
    [done] = ask(target, asking("Look up red.", tools=(tool,), max_output_tokens=48))
    return "called" if done.message.tool_calls else "dropped: plain text"


def _streamed(target: Target) -> str:
    [done] = ask(target, brief(max_output_tokens=STREAM_ABOVE + 1))
    return f"{done.text.strip()[:20]!r}, {done.stop}, {done.usage.input_tokens} in, {done.usage.output_tokens} out"


def _overflow(target: Target) -> str:
    return _failure(target, asking("word " * 9000))


def _wrong_key(target: Target) -> str:
    return _failure(Target(target.label, target.kind, target.url, "nobody-gave-this-key-out", target.model), brief())


def _unknown_model(target: Target) -> str:
    return _failure(Target(target.label, target.kind, target.url, target.key, "no-such-model"), brief())


def _speed(target: Target) -> str:
    [done] = ask(target, asking(LONG, max_output_tokens=SPEED_TOKENS))
    return f"{(done.usage.output_tokens or 0) / (done.latency_s or 1):.0f} ({done.usage.output_tokens} tokens)"


def _failure(target: Target, request: Request) -> str:
    started = time.perf_counter()
    try:
        [done] = ask(target, request)
    except ProviderError as exc:
        seconds = time.perf_counter() - started
        calls = "" if exc.calls == 1 else f", {exc.calls} calls, {seconds:.1f} s"
        return f"{type(exc).__name__}{calls}{'' if exc.hint else ', no hint'}"
    return f"answered by {done.model[:24]}"


def _fits(text: str) -> bool:
    try:
        return bool(jsonschema.Draft202012Validator(SCHEMA).is_valid(json.loads(text)))
    except ValueError:
        return False


QUESTIONS: dict[str, Callable[[Target], str]] = {
    "text": _text,
    "usage": _usage,
    "stop reason": _stops,
    "JSON schema": _schema,
    "logprobs": _logprobs,
    "tools": _tools,
    f"limit of {STREAM_ABOVE + 1}: streamed": _streamed,
    "prompt too long": _overflow,
    "wrong key": _wrong_key,
    "unknown model": _unknown_model,
    "tokens/s": _speed,
}
