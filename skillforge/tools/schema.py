"""A function as a tool: its schema from the type hints, its description from the docstring."""

from __future__ import annotations

import functools
import inspect
import re
import typing
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.errors import PydanticUserError
from pydantic.json_schema import GenerateJsonSchema

from skillforge.errors import UsageError
from skillforge.fields import pointer
from skillforge.messages import Tool
from skillforge.tools.mark import Mark, mark_of
from skillforge.tools.plain import to_json

# what both Anthropic and OpenAI take as a tool's name
TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_SHOWN = 5  # wrong arguments named at once


class Signature:
    """A function's parameters as a schema, and what checks arguments against it.

    Raises ``UsageError`` for what no schema can describe: ``*args``, ``**kwargs``, positional-only parameters, types
    that are not data, hints that name nothing.
    """

    def __init__(self, function: Callable[..., Any], name: str = "") -> None:
        mark = mark_of(function)
        self._name = name or mark.name or _own_name(function)
        if not TOOL_NAME.match(self._name):
            hint = 'letters, digits, _ and -, at most 64: @tool(name="…") or tools={"name": function}'
            raise UsageError(f"{self._name!r} cannot be a tool's name", hint=hint)
        described = _Docstring.of(function)
        self._fields: dict[str, str] = {}  # the model's field -> the parameter: any name is fine as an alias
        self._model = self._arguments(function, described.parameters)
        self.tool = self._tool(mark, described.text)

    def checked(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """What the function is called with; a default of its own is left to it. Raises ``ValueError``, in one line.

        Strict: text is no number and ``"false"`` is not false. Dates, decimals and the like come as text, as JSON has
        no form of them.
        """
        import json

        try:
            given = self._model.model_validate_json(json.dumps(arguments), strict=True)
        except ValidationError as exc:
            raise ValueError(self._told(exc)) from None
        return {self._fields[field]: getattr(given, field) for field in given.model_fields_set}

    def _arguments(self, function: Callable[..., Any], texts: dict[str, str]) -> type[BaseModel]:
        hints = self._hints(function)
        fields: dict[str, Any] = {}
        for parameter in self._parameters(function):
            if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
                raise UsageError(f"the tool {self._name} takes {parameter}", hint="name every parameter")
            default = ... if parameter.default is parameter.empty else parameter.default
            field = f"argument{len(fields)}"
            self._fields[field] = parameter.name
            hint = hints.get(parameter.name, Any)
            if parameter.name in texts:  # else the hint may say it
                hint = Annotated[hint, Field(description=texts[parameter.name])]
            fields[field] = (hint, Field(default, alias=parameter.name))
        try:
            # protected_namespaces: names that begin with model_ are as good as others
            config = ConfigDict(extra="forbid", arbitrary_types_allowed=False, protected_namespaces=())
            return create_model("Arguments", __config__=config, **fields)
        except PydanticUserError as exc:
            raise self._no_schema(exc) from exc

    def _parameters(self, function: Callable[..., Any]) -> list[inspect.Parameter]:
        try:
            return list(inspect.signature(function).parameters.values())
        except (TypeError, ValueError) as exc:  # some of what is built in says nothing of itself
            raise self._no_schema(exc) from exc

    def _hints(self, function: Any) -> dict[str, Any]:
        try:
            return typing.get_type_hints(_hinted(function), include_extras=True)
        except Exception as exc:  # a hint is any expression of the module: it may raise anything
            raise self._no_schema(exc) from exc

    def _tool(self, mark: Mark, description: str) -> Tool:
        try:
            schema = self._model.model_json_schema(by_alias=True, schema_generator=_Untitled)
        except PydanticUserError as exc:
            raise self._no_schema(exc) from exc
        if mark.idempotency_key and mark.idempotency_key not in self._fields.values():
            message = f"the tool {self._name} has no parameter {mark.idempotency_key!r}"
            raise UsageError(message, hint="idempotency_key names one of the function's parameters")
        schema = to_json({key: value for key, value in schema.items() if key != "title"})  # a default may be infinite
        return Tool(
            name=self._name,
            description=description,
            parameters={"type": "object", "properties": {}, **schema},
            effect=mark.effect,
            idempotency_key=mark.idempotency_key,
        )

    def _told(self, error: ValidationError) -> str:
        complaints = error.errors(include_url=False, include_input=False)
        told = []
        for item in complaints[:_SHOWN]:
            place = pointer(item["loc"]) or "arguments"
            message = {"missing": "is required", "extra_forbidden": "is no parameter of this tool"}.get(item["type"])
            told.append(f"{place} {message}" if message else f"{place}: {item['msg']}")
        more = len(complaints) - _SHOWN
        return f"wrong arguments: {'; '.join(told)}" + (f"; and {more} more" if more > 0 else "")

    def _no_schema(self, error: Exception) -> UsageError:
        why = " ".join(str(error).split())[:200]
        hint = "use types that JSON can hold: str, int, float, bool, list, dict, Literal, dataclasses, pydantic models"
        return UsageError(f"the tool {self._name} cannot be described: {why}", hint=hint)


class _Untitled(GenerateJsonSchema):
    """Without the titles pydantic makes of field names: they say nothing, and every call of a model pays for them."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012 - as pydantic declares it

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


class _Docstring(typing.NamedTuple):
    text: str
    parameters: dict[str, str]

    @classmethod
    def of(cls, function: Any) -> _Docstring:
        """The description, and what it says of each parameter (Google, numpy, Sphinx or Epydoc style)."""
        from docstring_parser import ParseError, parse

        source = inspect.getdoc(_documented(function)) or ""
        try:
            found = parse(source)
        except ParseError:
            return cls(source, {})
        text = "\n\n".join(part for part in (found.short_description, found.long_description) if part)
        described = {item.arg_name.lstrip("*"): item.description or "" for item in found.params}
        return cls(text or source, {name: " ".join(said.split()) for name, said in described.items() if said})


def _own_name(function: Any) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    return str(getattr(function, "__name__", type(function).__name__))


def _documented(function: Any) -> Any:
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _hinted(function: Any) -> Any:
    """Where the type hints of a callable stand."""
    function = inspect.unwrap(_documented(function))
    return function if inspect.isroutine(function) else type(function).__call__
