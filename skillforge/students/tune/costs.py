"""What a call would cost in production: at the list price, with the provider's prompt cache.

The leading messages that are the same for every input (``Request.fixed``) are read from the cache: fixed examples fill
it, the nearest ones break it after the instructions. Prefixes below ``CACHE_FROM`` tokens are not cached by OpenAI
(prompts of 1,024 tokens or more) nor by most models of Anthropic (1,024, some 2,048 or 4,096): they are priced whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from skillforge.canonical import compact
from skillforge.case import Case
from skillforge.engine.frame import complete_input, student_request
from skillforge.messages import Request, Usage
from skillforge.providers.base import Provider
from skillforge.skill import Skill
from skillforge.tokens import CHARACTERS_PER_TOKEN, estimate_tokens

CACHE_FROM = 1024  # tokens
_SHOWN = 8  # cases a forecast looks at
_MILLION = Usage(input_tokens=1_000_000, output_tokens=1_000_000)


def request_of(skill: Skill, given: Mapping[str, Any]) -> Request:
    """The request as production would send it. Raises ``InvalidInput``."""
    return student_request(skill, complete_input(skill, given), given, role="run")


def is_free(provider: Provider) -> bool:
    return provider.price(_MILLION).usd == 0


def cached_usd(provider: Provider, request: Request, usage: Usage) -> float | None:
    """US dollars of one call with this usage, its fixed beginning read from the cache; ``None`` where unknown."""
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    everything = estimate_tokens(request)
    fixed = estimate_tokens(request.model_copy(update={"messages": request.messages[: request.fixed]}))
    cached = min(usage.input_tokens, usage.input_tokens * fixed // everything) if request.fixed else 0
    told = usage.model_copy(update={"cached_tokens": cached if cached >= CACHE_FROM else 0, "written_tokens": 0})
    return provider.price(told).usd


def forecast(provider: Provider, skill: Skill, cases: Sequence[Case]) -> tuple[float | None, float | None]:
    """(US dollars, tokens) of a mean call, from the lengths of a few cases: nothing is asked."""
    dollars: list[float | None] = []
    tokens: list[int] = []
    for case in cases[:_SHOWN]:
        request = request_of(skill, case.input)
        written = len(compact(case.expected)) // CHARACTERS_PER_TOKEN + 1
        usage = Usage(input_tokens=estimate_tokens(request), output_tokens=written)
        dollars.append(cached_usd(provider, request, usage))
        tokens.append(estimate_tokens(request) + written)
    if not tokens:
        return None, None
    known = [usd for usd in dollars if usd is not None]
    return (sum(known) / len(known) if len(known) == len(dollars) else None), sum(tokens) / len(tokens)
