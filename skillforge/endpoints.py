"""What ``skillforge.toml`` may say about models: where a server listens, how a model is asked, what it costs."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from skillforge.messages import Value

Kind = Literal["anthropic", "openai-chat", "openai-responses"]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")

# prefixes of model names that have a meaning of their own: an endpoint cannot take them
PUBLIC_PREFIXES = frozenset({"anthropic", "openai"})
RESERVED = PUBLIC_PREFIXES | {"local", "scripted", "replay", "encoder", "recorded"}


class Price(Value):
    """US dollars per million tokens. What a cached or a written input token costs is ``input`` where it is not said."""

    input: float = Field(ge=0, le=1_000_000)
    output: float = Field(ge=0, le=1_000_000)
    cached: float | None = Field(default=None, ge=0, le=1_000_000)
    written: float | None = Field(default=None, ge=0, le=1_000_000)


class ModelOptions(Value):
    """How a model is asked. What is unset is the provider's own default.

    ``thinking_tokens`` is the room given to reasoning on top of a request's output limit. ``structured`` says how an
    output schema is asked for: in the provider's own way, or in the prompt. ``tools``: whether the model can call
    tools; ``false`` has it write its calls as JSON, for servers and models that cannot. ``concurrency`` is the most
    calls at once, ``timeout_s`` the seconds one try may take.
    """

    effort: Effort | None = None
    temperature: float | None = Field(default=None, ge=0, le=2)
    thinking_tokens: int | None = Field(default=None, ge=0, le=1_000_000)
    structured: Literal["native", "prompt"] | None = None
    tools: bool | None = None
    concurrency: int | None = Field(default=None, ge=1, le=1024)
    timeout_s: float | None = Field(default=None, gt=0, le=86_400)
    price: Price | None = None

    def over(self, base: ModelOptions) -> ModelOptions:
        """These options, completed by those of ``base``."""
        known = {name: getattr(base, name) for name in ModelOptions.model_fields}
        return ModelOptions(**{**known, **self.model_dump(exclude_none=True, include=set(ModelOptions.model_fields))})


class Endpoint(ModelOptions):
    """A server of one of three kinds. Its options are the defaults of its models.

    ``api_key_env`` names the environment variable (or stored key) with its key; a server without one needs none.
    ``headers`` are sent as they are, ``header_env`` maps a header to the variable with its value.
    """

    kind: Kind
    base_url: str
    api_key_env: str = ""
    headers: dict[str, str] = Field(default_factory=dict)
    header_env: dict[str, str] = Field(default_factory=dict)

    @field_validator("base_url")
    @classmethod
    def _plain_url(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must be an http:// or https:// address")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("must hold no user, password or query: keys go to api_key_env or header_env")
        return url.rstrip("/")

    @field_validator("api_key_env")
    @classmethod
    def _variable(cls, name: str) -> str:
        """A name, which messages show: not the key itself, pasted in its place."""
        if name and not _VARIABLE.fullmatch(name):
            raise ValueError("must be the name of an environment variable, such as MY_API_KEY, not its value")
        return name

    @field_validator("header_env")
    @classmethod
    def _variables(cls, names: dict[str, str]) -> dict[str, str]:
        if not all(_VARIABLE.fullmatch(name) for name in names.values()):
            raise ValueError("must map headers to names of environment variables, such as MY_API_KEY, not to values")
        return names
