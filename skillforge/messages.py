"""What every provider speaks: messages with content parts, a request, a completion, usage and cost."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Role = Literal["system", "user", "assistant", "tool"]
StopReason = Literal["stop", "length", "tool_calls", "refusal", "content_filter"]


class Value(BaseModel):
    """Base of all value objects: frozen, unknown keys are an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Text(Value):
    type: Literal["text"] = "text"
    text: str


class Media(Value):
    """An image or document part. Part of the format from the start; no provider executes it yet."""

    type: Literal["image", "document"]
    media_type: str
    data: str = ""  # base64
    url: str = ""


class ToolCall(Value):
    type: Literal["tool_call"] = "tool_call"
    id: str
    name: str
    arguments: dict[str, Any]


class ToolResult(Value):
    type: Literal["tool_result"] = "tool_result"
    id: str
    content: Any
    is_error: bool = False


class Reasoning(Value):
    """What a model thought before it answered, in its provider's own form (often encrypted).

    It is handed back unchanged in the same conversation, where providers ask for it, and means nothing elsewhere.
    ``kind`` is the wire it came over (``anthropic``, ``openai-responses``).
    """

    type: Literal["reasoning"] = "reasoning"
    kind: str
    data: dict[str, Any]


Part = Annotated[Text | Media | ToolCall | ToolResult | Reasoning, Field(discriminator="type")]


class Message(Value):
    """One turn. ``text`` joins its text parts; ``tool_calls`` lists what it asks for."""

    role: Role
    content: tuple[Part, ...]

    @classmethod
    def of(cls, role: Role, text: str) -> Message:
        return cls(role=role, content=(Text(text=text),))

    @property
    def text(self) -> str:
        return "".join([part.text for part in self.content if isinstance(part, Text)])

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        return tuple(part for part in self.content if isinstance(part, ToolCall))


class Tool(Value):
    """A tool a model may call: ``parameters`` is a JSON Schema object.

    ``effect``: whether a call changes the world. ``idempotency_key`` names the parameter, if it has one, that makes a
    repeated call the same call: it is filled in here and never shown to a model.
    """

    name: str
    description: str = ""
    parameters: dict[str, Any] = Field(default_factory=lambda: {"type": "object", "properties": {}})
    effect: Literal["read", "write"] = "read"
    idempotency_key: str = ""


class RequestKey(Value):
    """Which question a request asks, whatever its wording: recordings match on it.

    ``role`` is what the model is asked to do (``solve``, ``author``, ``run``, …), ``task`` the task sentence,
    ``input`` the JSON input it is asked about.
    """

    role: str
    task: str
    input: Any


class Request(Value):
    """One model call. Unset optional fields leave the provider's own default.

    ``output_schema`` asks for one JSON object of that schema, in the provider's own way; the answer is validated by the
    caller whatever the provider promised. ``any_json`` asks for any JSON object, where the provider has such a mode.
    ``effort`` and ``thinking_tokens`` go over the model's own settings.

    ``tool_choice`` of ``none``: the tools are told, because the conversation
    speaks of them, and none may be called. ``fixed`` is how many leading messages are the same for every input:
    providers are told to cache them. ``timeout_s`` bounds one try in seconds.
    """

    messages: tuple[Message, ...]
    key: RequestKey
    output_schema: dict[str, Any] | None = None
    any_json: bool = False
    effort: str | None = None
    thinking_tokens: int | None = None
    tools: tuple[Tool, ...] = ()
    tool_choice: Literal["auto", "none"] = "auto"
    max_output_tokens: int = 1024
    temperature: float | None = None
    logprobs: bool = False
    fixed: int = 0
    timeout_s: float = 600.0


class Usage(Value):
    """Tokens of one call. ``None`` is unknown, never zero.

    ``input_tokens`` counts everything sent; of these, ``cached_tokens`` were read from the provider's prompt cache and
    ``written_tokens`` were written to it. ``output_tokens`` counts everything generated; of these,
    ``reasoning_tokens`` were thought and not shown.
    """

    input_tokens: int | None = None
    cached_tokens: int | None = None
    written_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    estimated: bool = False

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            input_tokens=_plus(self.input_tokens, other.input_tokens),
            cached_tokens=_plus(self.cached_tokens, other.cached_tokens),
            written_tokens=_plus(self.written_tokens, other.written_tokens),
            output_tokens=_plus(self.output_tokens, other.output_tokens),
            reasoning_tokens=_plus(self.reasoning_tokens, other.reasoning_tokens),
            estimated=self.estimated or other.estimated,
        )


class Cost(Value):
    """US dollars of one or more calls. ``usd`` of ``None`` is unknown; ``basis`` names the price used."""

    usd: float | None = None
    estimated: bool = False
    basis: str = ""

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            usd=None if self.usd is None or other.usd is None else self.usd + other.usd,
            estimated=self.estimated or other.estimated,
            basis=self.basis or other.basis,
        )


class TokenLogprob(Value):
    """One token of an answer with its natural log probability.

    ``top`` are the likeliest tokens in its place with theirs, mostly the token itself among them; empty where they are
    not told. Under a grammar llama.cpp tells both as they were before the grammar.
    """

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


class Completion(Value):
    """A model's answer. ``model`` is what the provider resolved; ``latency_s`` is seconds, ``None`` if unknown.

    ``calls`` is how many requests it took, those that were refused or failed included.
    """

    message: Message
    stop: StopReason
    model: str
    usage: Usage = Usage()
    cost: Cost = Cost()
    latency_s: float | None = None
    logprobs: tuple[TokenLogprob, ...] | None = None
    calls: int = 1

    @property
    def text(self) -> str:
        return self.message.text


def _plus(left: int | None, right: int | None) -> int | None:
    return None if left is None or right is None else left + right
