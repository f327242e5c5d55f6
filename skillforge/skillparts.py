"""The parts that skills and their steps are made of: examples, checks, limits."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from skillforge.messages import Value

OnFail = Literal["repair", "escalate", "warn"]
Select = Literal["all", "first", "nearest"]


class Example(Value):
    """An input/output pair shown in the prompt. Never an eval case."""

    id: str
    input: dict[str, Any]
    output: Any


class Examples(Value):
    """The examples and which of them a prompt shows: all, the first ``k``, or the ``k`` nearest to the input.

    ``file`` is where they were read from (relative to the skill), not part of the identity: their content is.
    """

    items: tuple[Example, ...] = ()
    select: Select = "all"
    k: int = Field(default=6, ge=1, le=64)
    file: str | None = None


class Check(Value):
    """A deterministic assertion on one output, as written in a skill. ``skillforge.checks`` runs it.

    ``path`` is a JSON pointer into the output, ``of`` names an input field (``in-input``), ``value`` is the operand,
    ``threshold`` the bound of ``levenshtein``, ``name`` the callable of ``custom``. A ``not-`` prefix negates.
    """

    type: str
    value: Any = None
    path: str | None = None
    of: str | None = None
    name: str | None = None
    threshold: float | None = None
    weight: float = Field(default=1.0, ge=0)
    on_fail: OnFail = "repair"


class Limits(Value):
    """``input_tokens``: a longer request is a named outcome that escalates. ``output_tokens``: sent with every call."""

    input_tokens: int = Field(default=8000, ge=1)
    output_tokens: int = Field(default=1024, ge=1)
