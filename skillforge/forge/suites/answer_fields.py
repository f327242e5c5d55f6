"""What a person who labels a case is asked, field by field, and how what they type is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from skillforge.canonical import canonical_json
from skillforge.contract import Validator
from skillforge.errors import InvalidInput
from skillforge.jsonl import strict_json

TEXT = ""  # the one field of an answer that is a text

Kind = Literal["choice", "text", "json"]


@dataclass(frozen=True)
class Field:
    """One thing asked for. ``choices`` are the values of a ``choice``; ``required``: the metric cannot do without."""

    name: str
    schema: Mapping[str, Any]
    kind: Kind
    choices: tuple[Any, ...]
    required: bool

    @cached_property
    def _validator(self) -> Validator:
        return Validator(dict(self.schema))

    def read(self, text: str) -> Any:
        """What was typed as a value: text as it stands, or as a JSON string; every other type as JSON.

        Raises ``InvalidInput`` for what the contract refuses.
        """
        value: Any = text
        if self.kind == "json" or (text[:1] == '"' and text[-1:] == '"'):
            try:
                value = strict_json(text)
            except ValueError as exc:
                if self.kind == "json":
                    raise InvalidInput(f"not JSON: {exc}", hint='such as 3, true, ["a", "b"], or "a text"') from exc
        try:
            canonical_json(value)
        except ValueError as exc:
            raise InvalidInput(str(exc), hint="numbers up to 2**53, valid text") from exc
        if problems := self._validator.problems(value):
            raise InvalidInput("; ".join(problems[:3]))
        return value


def answer_fields(output: Any, metric: str) -> Iterator[Field]:
    """The fields of a contract's output in its order; those that the suite's metric compares are required."""
    if not isinstance(output, Mapping):
        yield Field(TEXT, {"type": "string", "minLength": 1}, "text", (), True)
        return
    needed = metric.split("/")[1].replace("~1", "/").replace("~0", "~") if metric.startswith("/") else ""
    for name, schema in output.items():
        yield _field(name, schema, metric == "exact" or name == needed)


def _field(name: str, schema: Mapping[str, Any], required: bool) -> Field:
    kinds = schema.get("type")
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return Field(name, schema, "choice", tuple(schema["enum"]), required)
    if kinds == "boolean":
        return Field(name, schema, "choice", (True, False), required)
    return Field(name, schema, "text" if kinds == "string" else "json", (), required)
