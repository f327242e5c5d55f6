"""One HTTP call to a model server, and how a server's refusal changes the next one.

A wire knows one API and its SDK. It does not retry, wait, price or store: ``Remote`` does that for all of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from skillforge.canonical import compact
from skillforge.endpoints import Kind, ModelOptions
from skillforge.messages import Completion, Message, Request

STREAM_ABOVE = 8_192  # output tokens: a longer answer may outlast the timeouts between here and the server


@dataclass(frozen=True)
class Address:
    """Where a wire calls: ``name`` as the user writes the model, ``model`` as the server knows it.

    ``options.thinking_tokens`` is settled here: a wire adds it to every request's output limit. ``route`` names the
    headers by which a gateway may choose another model; empty where there are none.
    """

    name: str
    kind: Kind
    base_url: str
    model: str
    options: ModelOptions
    route: str = ""


THINKING_TOKENS = 4_096  # room for models that think unasked: without it a short limit is spent before the answer


def options_for(address: Address, request: Request) -> ModelOptions:
    """The model's options with what this request asks for instead. A model that is made to think gets room for it."""
    room = request.thinking_tokens
    if room is None and request.effort not in (None, "none") and not address.options.thinking_tokens:
        room = THINKING_TOKENS
    asked = {"effort": request.effort, "thinking_tokens": room}
    update = {name: value for name, value in asked.items() if value is not None}
    return address.options.model_copy(update=update) if update else address.options


@dataclass(frozen=True)
class Dialect:
    """What one server turned out to take: starts with everything, loses what the server refuses by name."""

    schema: bool = True  # an output schema in the API's own way; else it stands in the prompt
    limit_key: str = "max_tokens"  # of chat completions; newer models want max_completion_tokens
    temperature: bool = True
    logprobs: bool = True
    top_logprobs: int = 20  # alternatives of a token; 20 is the most that OpenAI gives, some servers give 5
    effort: bool = True


class Wire(Protocol):
    """One API. ``call`` makes exactly one HTTP request, whatever comes back."""

    async def call(self, request: Request, dialect: Dialect) -> Completion:
        """The answer, without its cost. Raises a ``ProviderError`` whose class says whether to ask again."""
        ...

    async def aclose(self) -> None: ...


def adapted(dialect: Dialect, refusal: str) -> Dialect | None:
    """The dialect without what a refusal (the message of a ``RequestRejected``) complains about.

    ``None`` when it names nothing that can be left out: then the request itself is wrong.
    """
    for pattern, changes in _REFUSALS.items():
        if re.search(pattern, refusal, re.IGNORECASE):
            changed = replace(dialect, **changes)
            if changed != dialect:
                return changed
    return None


def schema_in_prompt(request: Request) -> Request:
    """The request with its output schema said in the system message, for servers that take none."""
    if request.output_schema is None:
        return request
    contract = "The answer's contract, as JSON Schema: " + compact(request.output_schema)
    first, rest = request.messages[0], request.messages[1:]
    if first.role == "system":
        messages = (Message.of("system", f"{first.text}\n{contract}"), *rest)
    else:
        messages = (Message.of("system", contract), first, *rest)
    return request.model_copy(update={"messages": messages, "output_schema": None})


_REFUSALS: Mapping[str, Mapping[str, Any]] = {
    r"max_completion_tokens": {"limit_key": "max_completion_tokens"},
    r"response_format|json_schema|text\.format|output_config\.format|output_format|structured output|schema": {
        "schema": False
    },
    r"temperature": {"temperature": False},
    r"top_logprobs\D*\b1?\d\b": {"top_logprobs": 5},  # it says how many it gives
    r"logprobs": {"logprobs": False},
    r"effort|reasoning|thinking": {"effort": False},
}
