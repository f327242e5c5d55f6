"""The skill: what a strong model wrote down so that a cheap one can do the task. Values only."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from skillforge.canonical import digest
from skillforge.messages import Value

NAME_PATTERN = r"^[a-z0-9]+(-[a-z0-9]+)*$"
SCHEMA_ID = "skillforge/v1"

OnFail = Literal["repair", "escalate", "warn"]
Select = Literal["all", "first", "nearest"]

# What counts for identity. A fixed list: a field added later, left at its default, changes no old digest.
IDENTITY_KEYS = (
    "schema",
    "name",
    "description",
    "task",
    "input",
    "output",
    "instructions",
    "prompt",
    "examples",
    "checks",
    "limits",
    "suite",
)


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


class Skill(Value):
    """Contract, instructions, prompt, examples, checks. ``input`` and ``output`` map a field to its JSON Schema.

    ``output`` is the string ``"text"`` or a field map. ``task`` is the sentence the teacher was given.
    """

    schema_id: Literal["skillforge/v1"] = Field(default="skillforge/v1", alias="schema")
    name: str = Field(pattern=NAME_PATTERN, max_length=64)
    description: str = Field(min_length=1, max_length=1024)
    license: str = ""
    metadata: dict[str, str] = Field(default_factory=dict)
    task: str = ""
    input: dict[str, dict[str, Any]]
    output: Literal["text"] | dict[str, dict[str, Any]]
    instructions: str
    prompt: str
    examples: Examples = Examples()
    checks: tuple[Check, ...] = ()
    limits: Limits = Limits()
    suite: str | None = None

    @property
    def task_sentence(self) -> str:
        """What the task is, in one sentence: ``task``, or the description where the file has none."""
        return self.task or self.description

    def input_schema(self) -> dict[str, Any]:
        """JSON Schema of the whole input object; a field with a ``default`` is optional, nothing else is accepted."""
        required = [name for name, schema in self.input.items() if "default" not in schema]
        return _object(self.input, required)

    def output_schema(self) -> dict[str, Any] | None:
        """JSON Schema of the output object in contract order, or ``None`` for plain text."""
        return None if self.output == "text" else _object(self.output, list(self.output))

    def identity(self) -> dict[str, Any]:
        """What the digest is taken over: the identity keys that differ from their defaults, plus the required ones."""
        # not pydantic's JSON mode: it turns NaN into null, where the canonical form refuses it
        body = self.model_dump(by_alias=True, exclude_defaults=True, exclude={"license", "metadata"})
        body["schema"] = SCHEMA_ID
        if "examples" in body:
            body["examples"].pop("file", None)
            if not body["examples"]:
                del body["examples"]
        # Key order is semantic in a contract: constrained decoding and examples follow it, so it is hashed as a list.
        body["input"] = [[name, _ordered_schema(schema)] for name, schema in self.input.items()]
        if self.output != "text":
            body["output"] = [[name, _ordered_schema(schema)] for name, schema in self.output.items()]
        return {key: body[key] for key in IDENTITY_KEYS if key in body}

    def digest(self) -> str:
        """``sha256:<64 hex>`` of the identity (RFC 8785)."""
        return digest(self.identity())


def _ordered_schema(schema: Any) -> Any:
    """A schema with every ``properties`` map as a list of pairs: the order of fields is part of what it says."""
    if isinstance(schema, list | tuple):
        return [_ordered_schema(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: [[name, _ordered_schema(inner)] for name, inner in value.items()]
        if key == "properties" and isinstance(value, dict)
        else _ordered_schema(value)
        for key, value in schema.items()
    }


def _object(fields: dict[str, dict[str, Any]], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": fields, "required": required, "additionalProperties": False}
