"""The parts that skills and their steps are made of: examples, checks, limits."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from skillforge.messages import Value

OnFail = Literal["repair", "escalate", "warn"]
Select = Literal["all", "first", "nearest", "grouped"]


class Example(Value):
    """An input/output pair shown in the prompt. Never an eval case."""

    id: str
    input: dict[str, Any]
    output: Any


class Examples(Value):
    """The examples and which of them a prompt shows: all, the first ``k``, or the ``k`` nearest to the input.

    ``nearest`` shows the most similar last; ``grouped`` shows those of one answer side by side, the most frequent last.

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


class Decoding(Value):
    """How a model is asked to write its answer; the defaults suit most models.

    ``format``: ``schema`` holds the answer to the contract while it is written, ``spans`` also every text under an
    ``in-input`` check to the words of its input, ``json`` asks for any JSON object, ``free`` for text that is read as
    JSON. Whatever it is, the answer is validated. ``keys`` is the order in which the fields are written, in examples
    too (empty: that of the contract). ``effort`` and ``thinking_tokens`` bound what a reasoning model thinks,
    ``temperature`` is sampling's; unset, they are the provider's own.
    """

    format: Literal["schema", "spans", "json", "free"] = "schema"
    keys: tuple[str, ...] = ()
    effort: Literal["none", "minimal", "low", "medium", "high"] | None = None
    thinking_tokens: int | None = Field(default=None, ge=0)
    temperature: float | None = Field(default=None, ge=0, le=2)


class Limits(Value):
    """``input_tokens``: a longer request is a named outcome that escalates. ``output_tokens``: sent with every call."""

    input_tokens: int = Field(default=8000, ge=1)
    output_tokens: int = Field(default=1024, ge=1)
