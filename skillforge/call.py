"""A call: one recorded request to a model and its answer, whatever program made it. The raw material of a scan."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from skillforge.messages import Cost, Message, Tool, Usage, Value

Api = Literal["anthropic", "openai-chat", "openai-responses"]


class Call(Value):
    """One model call as somebody's program made it.

    ``model`` is the name that was asked for at ``server`` (its base address, empty where unknown), ``resolved`` what
    the server called it. ``messages`` is the conversation as sent, ``system`` stands apart from it. ``params`` holds
    every other key of the request, as sent. ``output`` is the assistant's turn, ``None`` where there was none (then
    ``error`` says why). ``cost`` is what the call cost with its cache hits, ``list_usd`` the same tokens at the list
    price without a cache; ``None`` is unknown. ``at`` is UTC, ISO 8601, empty where unknown; ``latency_s`` seconds.
    ``conversation`` groups calls that belong together, ``subject`` is whom the call is about (for ``purge``).
    """

    id: str
    api: Api
    model: str
    server: str = ""
    resolved: str = ""
    system: str = ""
    messages: tuple[Message, ...] = ()
    tools: tuple[Tool, ...] = ()
    output_schema: dict[str, Any] | None = None
    params: dict[str, Any] = Field(default_factory=dict)
    output: Message | None = None
    stop: str = ""
    usage: Usage = Usage()
    cost: Cost = Cost()
    list_usd: float | None = None
    latency_s: float | None = None
    at: str = ""
    conversation: str = ""
    subject: str = ""
    tags: dict[str, str] = Field(default_factory=dict)
    error: str = ""

    @property
    def text(self) -> str:
        """The answer's text; empty without one."""
        return "" if self.output is None else self.output.text
