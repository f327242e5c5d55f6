"""One step of a workflow: a call of a tool, a small prompt, a bounded tool loop, or a reason to escalate."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from skillforge.messages import Value
from skillforge.skillparts import Check, Examples, Limits

STEP_ID_PATTERN = r"^[a-z][a-z0-9_]{0,63}$"

StepKind = Literal["tool", "prompt", "agent", "escalate"]
OnError = Literal["escalate", "continue"]


class Agent(Value):
    """A bounded tool loop: which tools it may call, and in how many turns it must have answered."""

    tools: tuple[str, ...]
    max_turns: int = Field(default=6, ge=1, le=50)


class Step(Value):
    """What is done, when, and with what. Exactly one of ``tool``, ``prompt`` alone, ``agent`` (with its ``prompt``) and
    ``escalate`` says what kind of step it is.

    ``args`` are literals and references (``skillforge.references``); data moves by reference, never through a string.
    ``when`` is a condition: a step whose condition is false is skipped, its value is ``None``. ``each`` names a list:
    the step runs once for every element, which is ``item`` in its condition, references and prompt, and its value is
    the list of their values (``None`` where the condition was false for that element). ``prompt`` is a template over
    input fields, ``steps`` and ``item``; ``instructions`` stand after the skill's own in its system message. ``output``
    is ``text`` or field -> JSON Schema; the ``input`` of an example holds what its prompt shows: input fields,
    ``steps``, ``item``. ``retry`` is how often a failed tool call is tried again; a call that writes only where its
    tool takes an idempotency key. A tool that goes on failing escalates the run, or with ``on_error: continue`` gives
    the value ``{"error": why}``.
    """

    id: str = Field(pattern=STEP_ID_PATTERN)
    when: dict[str, Any] | None = None
    each: dict[str, Any] | None = None
    tool: str | None = None
    args: dict[str, Any] = Field(default_factory=dict)
    agent: Agent | None = None
    instructions: str = ""
    prompt: str = ""
    output: Literal["text"] | dict[str, dict[str, Any]] = "text"
    examples: Examples = Examples()
    checks: tuple[Check, ...] = ()
    limits: Limits = Limits()
    retry: int = Field(default=1, ge=0, le=5)
    on_error: OnError = "escalate"
    escalate: str = ""

    @property
    def kind(self) -> StepKind:
        if self.tool is not None:
            return "tool"
        if self.agent is not None:
            return "agent"
        return "escalate" if self.escalate else "prompt"

    def output_schema(self) -> dict[str, Any] | None:
        """JSON Schema of what a prompt or an agent answers, ``None`` for plain text."""
        if self.output == "text":
            return None
        return {
            "type": "object",
            "properties": self.output,
            "required": list(self.output),
            "additionalProperties": False,
        }
