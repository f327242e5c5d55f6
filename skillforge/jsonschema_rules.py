"""jsonschema's validator with the keywords replaced that backtrack, take more than linear time, or speak unclearly.

Imported lazily by ``skillforge.contract``, which decides which schemas come here at all.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from fractions import Fraction
from functools import cache
from math import isfinite
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend
from referencing import Registry

from skillforge.canonical import canonical_json
from skillforge.errors import UsageError
from skillforge.regex import compile_regex

MAX_REFERENCES = 10_000


class TooManyReferences(UsageError):
    """One validation followed more references than any honest contract needs."""


_references_left: ContextVar[int] = ContextVar("references_left", default=MAX_REFERENCES)


@contextmanager
def reference_budget() -> Iterator[None]:
    """One validation's allowance. Recursive schemas can multiply on deep values, and only through references."""
    token = _references_left.set(MAX_REFERENCES)
    try:
        yield
    finally:
        _references_left.reset(token)


def compile_schema(schema: Any) -> Any:
    """A validator with an empty registry: a reference that is not in the schema has nowhere to come from."""
    return _validator_class()(schema, registry=Registry())


@cache
def metaschema() -> Any:
    """The validator of schemas themselves; jsonschema adds the specifications that ship with it to any registry."""
    return Draft202012Validator(Draft202012Validator.META_SCHEMA, registry=Registry())


@cache
def _validator_class() -> Any:
    return extend(  # type: ignore[no-untyped-call]
        Draft202012Validator,
        {
            "$ref": _ref,
            "additionalProperties": _additional_properties,
            "multipleOf": _multiple_of,
            "pattern": _pattern,
            "patternProperties": _pattern_properties,
            "required": _required,
            "uniqueItems": _unique_items,
        },
    )


def _ref(validator: Any, ref: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    left = _references_left.get() - 1
    if left < 0:
        raise TooManyReferences(f"cannot be checked: more than {MAX_REFERENCES:,} references followed")
    _references_left.set(left)
    yield from Draft202012Validator.VALIDATORS["$ref"](validator, ref, instance, schema) or ()


def _matches(pattern: str, text: str) -> bool:
    try:
        return compile_regex(pattern).search(text) is not None
    except UnicodeEncodeError:  # half a character: no pattern can mean it
        return False


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if validator.is_type(instance, "string") and not _matches(pattern, instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _pattern_properties(validator: Any, patterns: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not validator.is_type(instance, "object"):
        return
    for pattern, inner in patterns.items():
        for name, value in instance.items():
            if _matches(pattern, name):
                yield from validator.descend(value, inner, path=name, schema_path=pattern)


def _additional_properties(validator: Any, inner: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not validator.is_type(instance, "object"):
        return
    known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    for name, value in instance.items():
        if name in known or any(_matches(pattern, name) for pattern in patterns):
            continue
        if inner is False:
            yield ValidationError("not a field of this contract", path=(name,))
        else:
            yield from validator.descend(value, inner, path=name)


def _required(validator: Any, names: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if validator.is_type(instance, "object"):
        for name in names:
            if name not in instance:
                yield ValidationError("missing", path=(name,))


def _multiple_of(validator: Any, divisor: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    # Exact on the decimal digits: in binary floating point 19.99 is no multiple of 0.01.
    if not validator.is_type(instance, "number"):
        return
    if not isfinite(instance) or _exact(instance) % _exact(divisor):
        yield ValidationError(f"{instance!r} is not a multiple of {divisor!r}")


def _exact(number: int | float) -> Fraction:
    return Fraction(number) if isinstance(number, int) else Fraction(repr(number))


def _unique_items(validator: Any, wanted: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    # jsonschema compares every pair; canonical JSON makes it one pass (1 and 1.0 are equal there, 1 and true are not)
    if wanted and validator.is_type(instance, "array") and len({_identity(item) for item in instance}) < len(instance):
        yield ValidationError(f"{instance!r} has non-unique elements")


def _identity(value: Any) -> bytes:
    try:
        return canonical_json(value)
    except ValueError:  # what RFC 8785 cannot hold, such as an integer beyond 2**53
        return json.dumps(value, sort_keys=True).encode()
