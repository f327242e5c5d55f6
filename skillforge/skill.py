"""The skill: what a strong model wrote down so that a cheap one can do the task. Values only."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from skillforge.canonical import digest
from skillforge.messages import Tool, Value
from skillforge.skillparts import Check as Check
from skillforge.skillparts import Decoding as Decoding
from skillforge.skillparts import Example as Example
from skillforge.skillparts import Examples as Examples
from skillforge.skillparts import Limits as Limits
from skillforge.skillparts import OnFail as OnFail
from skillforge.skillparts import Select as Select
from skillforge.step import Step

NAME_PATTERN = r"^[a-z0-9]+(-[a-z0-9]+)*$"
SCHEMA_ID = "skillforge/v1"

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
    "tools",
    "steps",
    "result",
    "decoding",
    "repair",
)


class Skill(Value):
    """Contract, instructions, prompt, examples, checks. ``input`` and ``output`` map a field to its JSON Schema.

    ``output`` is the string ``"text"`` or a field map. ``task`` is the sentence the teacher was given.

    ``decoding`` is how a model is asked to write the answer, ``repair`` how it is asked to mend a wrong one (empty: the
    frame's own words). Variants set both for one student. ``keep`` are sentences of the instructions that no optimiser
    may delete; like licence and metadata they are no part of the identity.

    With ``steps`` it is a workflow: they answer instead of ``prompt``, ``instructions`` stand before those of every
    step that asks a model, ``tools`` are what they call (bound by the caller), and ``result`` is made of references
    (default: the value of the last step).
    """

    schema_id: Literal["skillforge/v1"] = Field(default="skillforge/v1", alias="schema")
    name: str = Field(pattern=NAME_PATTERN, max_length=64)
    description: str = Field(min_length=1, max_length=1024)
    license: str = ""
    metadata: dict[str, str] = Field(default_factory=dict)
    task: str = ""
    input: dict[str, dict[str, Any]]
    output: Literal["text"] | dict[str, dict[str, Any]]
    instructions: str = ""
    prompt: str = ""
    examples: Examples = Examples()
    checks: tuple[Check, ...] = ()
    limits: Limits = Limits()
    suite: str | None = None
    tools: tuple[Tool, ...] = ()
    steps: tuple[Step, ...] = ()
    result: Any = None
    decoding: Decoding = Decoding()
    repair: str = ""
    keep: tuple[str, ...] = ()

    @property
    def is_workflow(self) -> bool:
        return bool(self.steps)

    def tool(self, name: str) -> Tool | None:
        """The tool of that name, as the file describes it."""
        return next((tool for tool in self.tools if tool.name == name), None)

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
        body = self.model_dump(by_alias=True, exclude_defaults=True, exclude={"license", "metadata", "keep"})
        body["schema"] = SCHEMA_ID
        if not self.steps:  # no defaults of these where a model answers by them
            body |= {"instructions": self.instructions, "prompt": self.prompt}
        if "examples" in body:
            body["examples"].pop("file", None)
            if not body["examples"]:
                del body["examples"]
        # Key order is semantic in a contract: constrained decoding and examples follow it, so it is hashed as a list.
        body["input"] = [[name, _ordered_schema(schema)] for name, schema in self.input.items()]
        if self.output != "text":
            body["output"] = [[name, _ordered_schema(schema)] for name, schema in self.output.items()]
        if self.tools:
            body["tools"] = [_ordered_schema(tool) for tool in body["tools"]]
        if self.steps:
            body["steps"] = [_step_identity(step) for step in body["steps"]]
        return {key: body[key] for key in IDENTITY_KEYS if key in body}

    def digest(self) -> str:
        """``sha256:<64 hex>`` of the identity (RFC 8785)."""
        return digest(self.identity())


def _step_identity(step: dict[str, Any]) -> dict[str, Any]:
    """A step as it is hashed: the order of its output's fields counts, as in the skill's own contract."""
    if isinstance(step.get("output"), dict):
        step = {**step, "output": [[name, _ordered_schema(schema)] for name, schema in step["output"].items()]}
    return step


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
