"""Pydantic's complaints as ours: field pointers, plain words, a did-you-mean for unknown keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import get_origin

from pydantic import BaseModel, ValidationError

from skillforge.errors import Problem
from skillforge.suggest import did_you_mean

Where = Callable[[tuple[str | int, ...]], tuple[int, int] | None]

_WORDS = {
    "missing": "is required",
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "bool_type": "must be true or false",
    "dict_type": "must be a mapping",
    "tuple_type": "must be a list",
}


def validation_problems(error: ValidationError, model: type[BaseModel], where: Where | None = None) -> list[Problem]:
    """One ``Problem`` for every complaint, with line and column when ``where`` knows them."""
    problems: dict[tuple[str, str], Problem] = {}
    for item in error.errors(include_url=False):
        location = tuple(part for part in item["loc"] if not _is_union_tag(part))
        place = where(location) if where else None
        field = pointer(location)
        message, hint = _words(item["type"], str(item["msg"]), item["input"], item.get("ctx", {}))
        if item["type"] == "extra_forbidden":
            message, hint = "unknown key", _did_you_mean(model, location)
        line, column = place or (None, None)
        problems.setdefault((field, message), Problem(message, field=field, line=line, column=column, hint=hint))
    return list(problems.values())


def pointer(location: tuple[str | int, ...]) -> str:
    """``("checks", 1, "type")`` as ``checks[1].type``."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _is_union_tag(part: str | int) -> bool:
    # pydantic names the branch of a union in the path: not a place in the file
    return isinstance(part, str) and (part.startswith(("literal[", "dict[", "function-", "tuple[")))


def _words(kind: str, message: str, value: object, context: Mapping[str, object]) -> tuple[str, str]:
    if kind == "string_pattern_mismatch":
        return f"{_shown(value)} has the wrong form", f"it must match {context.get('pattern')}"
    if kind == "literal_error":
        return f"{_shown(value)} is not allowed: {message.removeprefix('Input should be ')}", ""
    if kind == "value_error":  # one of ours, said in a validator
        return message.removeprefix("Value error, "), ""
    return _WORDS.get(kind, message[:1].lower() + message[1:]), ""


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"


def _did_you_mean(model: type[BaseModel], location: tuple[str | int, ...]) -> str:
    return did_you_mean(str(location[-1]), _field_names(model, location[:-1]), what="known keys")


def _field_names(model: type[BaseModel], parents: tuple[str | int, ...]) -> list[str]:
    current: type[BaseModel] | None = model
    names = iter(parents)
    for part in names:
        if current is None or isinstance(part, int):
            continue
        info = current.model_fields.get(part)
        current = _inner_model(info.annotation) if info else None
        if info is not None and get_origin(info.annotation) is dict:
            next(names, None)  # a key of the caller's own: it says nothing of the model
    if current is None:
        return []
    return [info.alias or name for name, info in current.model_fields.items()]


def _inner_model(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        if found := _inner_model(inner):
            return found
    return None
