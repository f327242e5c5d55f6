"""What a tool loop may take, and what it has taken."""

from __future__ import annotations

import math
from typing import Literal

import anyio
from pydantic import Field

from skillforge.canonical import compact
from skillforge.errors import UsageError
from skillforge.messages import Completion, Request, Text, Usage, Value
from skillforge.providers.base import Provider
from skillforge.tokens import CHARACTERS_PER_TOKEN

Spent = Literal["tokens", "dollars", "time"]

_SOME = Usage(input_tokens=1_000_000, output_tokens=1_000_000)


class LoopLimits(Value):
    """What one loop may take. ``turns`` are answers that may call tools; ``tokens`` count everything sent and generated
    over all turns, ``usd`` is US dollars, ``seconds`` by the clock. ``None`` is no limit.

    A turn is begun only where it fits whole, its answer as long as the request allows.
    """

    turns: int = Field(default=20, ge=1, le=500)
    tokens: int | None = Field(default=None, ge=1)
    usd: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    seconds: float | None = Field(default=None, gt=0, allow_inf_nan=False)

    def told(self) -> str:
        """What bounds a loop, in words."""
        bounds = [f"{self.turns} turns and one for the answer"]
        bounds += [f"{self.tokens:,} tokens"] if self.tokens is not None else []
        bounds += [f"${self.usd:g}"] if self.usd is not None else []
        bounds += [f"{self.seconds:g} s"] if self.seconds is not None else []
        return ", ".join(bounds)


class Meter:
    """Counts what a loop takes against its limits. The clock runs from the start.

    Raises ``UsageError`` where dollars are limited and the model has no known price.
    """

    def __init__(self, limits: LoopLimits, provider: Provider) -> None:
        if limits.usd is not None and provider.price(_SOME).usd is None:
            raise UsageError(
                f"no price is known for {provider.name}, so no limit in dollars can hold",
                hint="give its price in skillforge.toml, or limit turns and tokens",
            )
        self._limits = limits
        self._provider = provider
        self._tokens = 0
        self._usd = 0.0
        self.deadline = math.inf if limits.seconds is None else anyio.current_time() + limits.seconds

    def add(self, request: Request, completion: Completion) -> None:
        """Book a turn. What the provider does not say is estimated: an unknown figure must not lift a limit."""
        usage = completion.usage
        sent = _sent_tokens(request) if usage.input_tokens is None else usage.input_tokens
        made = usage.output_tokens
        if made is None:
            made = _tokens(compact(completion.message.model_dump(mode="python")))
        self._tokens += sent + made
        usd = completion.cost.usd
        if usd is None:
            usd = self._provider.price(Usage(input_tokens=sent, output_tokens=made)).usd
        self._usd += usd or 0.0

    def spent_before(self, request: Request) -> Spent | None:
        """Which limit the turn that asks ``request`` could pass; ``None`` where it fits."""
        limits = self._limits
        if anyio.current_time() >= self.deadline:
            return "time"
        sent, made = _sent_tokens(request), request.max_output_tokens
        if limits.tokens is not None and self._tokens + sent + made > limits.tokens:
            return "tokens"
        if limits.usd is not None:
            usd = self._provider.price(Usage(input_tokens=sent, output_tokens=made)).usd or 0.0
            if self._usd + usd > limits.usd:
                return "dollars"
        return None


def _sent_tokens(request: Request) -> int:
    """About how many input tokens a request is, its tools and tool results included."""
    shape = [request.output_schema, [[tool.name, tool.description, tool.parameters] for tool in request.tools]]
    parts = [
        part.text if isinstance(part, Text) else compact(part.model_dump(mode="python"))
        for message in request.messages
        for part in message.content
    ]
    return sum(map(_tokens, parts)) + _tokens(compact(shape))


def _tokens(text: str) -> int:
    return len(text) // CHARACTERS_PER_TOKEN + 1
