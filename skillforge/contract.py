"""JSON Schema (Draft 2020-12) for contracts: checked before use, validated in linear time, nothing is ever fetched.

Only the keywords below are known; a schema never leaves its own document, and its patterns are RE2's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from skillforge.errors import Problem, UsageError
from skillforge.fields import pointer as field_name
from skillforge.plainfit import plain_fit
from skillforge.regex import compile_regex
from skillforge.suggest import did_you_mean

__all__ = ["Validator", "compile_regex", "schema_problems"]

Place = tuple[str | int, ...]

MAX_DEPTH = 32
MAX_SUBSCHEMAS = 1_000
MAX_PROBLEMS = 50
_SHOWN = 80

TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")
_ONE_SCHEMA = frozenset({"additionalProperties", "contains", "else", "if", "items", "not", "propertyNames", "then"})
_LIST_OF_SCHEMAS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_MAP_OF_SCHEMAS = frozenset({"$defs", "definitions", "dependentSchemas", "patternProperties", "properties"})
_NUMBERS = frozenset({"exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum", "multipleOf"})
_SIZES = frozenset(
    {"maxContains", "maxItems", "maxLength", "maxProperties", "minContains", "minItems", "minLength", "minProperties"}
)
_VALUES = frozenset({"$ref", "const", "dependentRequired", "enum", "pattern", "required", "type", "uniqueItems"})
_NOTES = frozenset({"$comment", "default", "deprecated", "description", "examples", "readOnly", "title", "writeOnly"})
_UNASSERTED = frozenset({"contentEncoding", "contentMediaType", "format"})
KEYWORDS = _ONE_SCHEMA | _LIST_OF_SCHEMAS | _MAP_OF_SCHEMAS | _NUMBERS | _SIZES | _VALUES | _NOTES | _UNASSERTED
# Applied to the same value: a cycle through these alone would never end.
_IN_PLACE = frozenset({"allOf", "anyOf", "dependentSchemas", "else", "if", "not", "oneOf", "then"})
_REFUSED = {
    "$schema": "remove it: contracts are always Draft 2020-12",
    "$id": "remove it: a contract is one document",
    "$anchor": 'refer by place, such as "#/$defs/name"',
    "$dynamicAnchor": 'refer by place, such as "#/$defs/name"',
    "$dynamicRef": 'use $ref with a place, such as "#/$defs/name"',
    "$recursiveRef": 'use $ref with a place, such as "#/$defs/name"',
    "$vocabulary": "remove it",
    "unevaluatedProperties": "use additionalProperties",
    "unevaluatedItems": "use items",
}


def schema_problems(schema: Any) -> list[Problem]:
    """All that is wrong with a schema; ``Problem.field`` is a JSON pointer inside it (``""`` is the schema itself)."""
    if (wrong := _not_json(schema)) is not None:
        return [wrong]
    schemas = dict(islice(_walk(schema), MAX_SUBSCHEMAS + 1))
    if len(schemas) > MAX_SUBSCHEMAS:
        return [Problem(f"more than {MAX_SUBSCHEMAS:,} subschemas", hint="simplify the contract")]
    index = _Index(schemas, {_pointer(place): place for place in schemas})
    odd_lists = [problem for place, found in schemas.items() for problem in _name_list_problems(place, found)]
    problems = [problem for place, found in schemas.items() for problem in _own_problems(place, found, index)]
    problems += odd_lists + _cycle_problems(index)
    if odd_lists:
        return problems  # the metaschema would compare every pair of what stands in them
    named = [problem.field for problem in problems]
    for problem in _metaschema_problems(schema):
        # ours says it better when both see the same thing
        if not any(field == problem.field or field.startswith(problem.field + "/") for field in named):
            problems.append(problem)
    return problems


class Validator:
    """A compiled schema. Raises ``UsageError`` that lists every problem of a schema that cannot be used."""

    __slots__ = ("_fits", "_validator")

    def __init__(self, schema: Any) -> None:
        if problems := schema_problems(schema):
            raise UsageError("\n".join(problem.describe("schema") for problem in problems))
        from skillforge.jsonschema_rules import compile_schema

        self._validator = compile_schema(schema)
        self._fits = plain_fit(schema)

    def problems(self, value: Any) -> list[str]:
        """What is wrong with ``value``, one line each with its place (``queue: missing``), sorted; ``[]`` if it fits.

        At most ``MAX_PROBLEMS`` are listed. ``format`` is not asserted, a boolean is no integer.
        """
        if self._fits is not None and self._fits(value):
            return []
        from skillforge.jsonschema_rules import TooManyReferences, reference_budget

        with reference_budget():
            try:
                errors = list(islice(self._validator.iter_errors(value), MAX_PROBLEMS))
                return sorted({_sentence(error) for error in errors})
            except RecursionError:
                return ["nested too deep to be checked"]
            except TooManyReferences as exc:
                return [str(exc)]


@dataclass(frozen=True, slots=True)
class _Index:
    """Every subschema of a document by its place, and every place by its JSON pointer."""

    schemas: dict[Place, Any]
    places: dict[str, Place] = field(repr=False)

    def target(self, ref: str) -> Place | None:
        """The place of the subschema that a local reference names (RFC 6901 in a URI fragment)."""
        from urllib.parse import unquote

        return self.places.get(unquote(ref[1:])) if ref.startswith("#") else None


def _not_json(schema: Any) -> Problem | None:
    """The first thing in ``schema`` that is no JSON or lies too deep."""
    pending: list[tuple[Place, Any]] = [((), schema)]
    while pending:
        place, item = pending.pop()
        if len(place) > MAX_DEPTH:
            return Problem(f"nested deeper than {MAX_DEPTH} levels", field=_pointer(place[:MAX_DEPTH]))
        if isinstance(item, dict):
            for key, inner in item.items():
                if not isinstance(key, str):
                    return Problem(f"the key {key!r} is not text", field=_pointer(place))
                pending.append(((*place, key), inner))
        elif isinstance(item, list):
            pending.extend(((*place, index), inner) for index, inner in enumerate(item))
        elif not (item is None or isinstance(item, str | int | float)):
            return Problem(f"not JSON: {type(item).__name__}", field=_pointer(place))
    return None


def _walk(schema: Any) -> Iterator[tuple[Place, Any]]:
    """Every subschema with its place, parents first. Data (``default``, ``enum``, …) holds no schemas."""
    pending: list[tuple[Place, Any]] = [((), schema)]
    while pending:
        place, item = pending.pop()
        yield place, item
        if isinstance(item, dict):
            pending.extend(reversed([(place + inner, child) for inner, child in _inner_schemas(item)]))


def _inner_schemas(schema: dict[str, Any]) -> Iterator[tuple[Place, Any]]:
    for keyword, value in schema.items():
        if keyword in _ONE_SCHEMA:
            yield (keyword,), value
        elif keyword in _LIST_OF_SCHEMAS and isinstance(value, list):
            yield from (((keyword, index), inner) for index, inner in enumerate(value))
        elif keyword in _MAP_OF_SCHEMAS and isinstance(value, dict):
            yield from (((keyword, name), inner) for name, inner in value.items())


def _own_problems(place: Place, schema: Any, index: _Index) -> Iterator[Problem]:
    """What is wrong with one subschema, apart from what lies in it."""
    if not isinstance(schema, dict):
        if not isinstance(schema, bool):
            yield Problem("a schema is a mapping, such as {type: string}", field=_pointer(place))
        return
    for keyword in schema:
        if keyword in _REFUSED:
            yield Problem(f"{keyword} is not allowed", field=_pointer((*place, keyword)), hint=_REFUSED[keyword])
        elif keyword not in KEYWORDS:
            hint = did_you_mean(keyword, KEYWORDS)
            yield Problem(f"unknown keyword {keyword!r}", field=_pointer((*place, keyword)), hint=hint)
    yield from _type_problems(place, schema.get("type", []))
    if "$ref" in schema:
        yield from _ref_problems((*place, "$ref"), schema["$ref"], index)
    patterns = schema.get("patternProperties")
    candidates: list[tuple[Place, Any]] = [(("pattern",), schema.get("pattern"))]
    candidates += [(("patternProperties", key), key) for key in patterns] if isinstance(patterns, dict) else []
    for inner, pattern in candidates:
        try:
            if isinstance(pattern, str):
                compile_regex(pattern)
        except UsageError as exc:
            yield Problem(str(exc), field=_pointer(place + inner), hint=exc.hint)


def _type_problems(place: Place, types: Any) -> Iterator[Problem]:
    for name in types if isinstance(types, list) else [types]:
        if isinstance(name, str) and name not in TYPES:
            hint = did_you_mean(name, TYPES, what="types")
            yield Problem(f"unknown type {name!r}", field=_pointer((*place, "type")), hint=hint)


def _ref_problems(place: Place, ref: Any, index: _Index) -> Iterator[Problem]:
    if not isinstance(ref, str):
        return  # the metaschema says so
    if not ref.startswith("#"):
        hint = 'a contract is one document: copy what it needs under "$defs" and refer to "#/$defs/name"'
        yield Problem(f"{ref[:_SHOWN]!r} points outside this schema", field=_pointer(place), hint=hint)
    elif index.target(ref) is None:
        hint = 'write "#/$defs/name"; only schemas can be referred to'
        yield Problem(f"{ref[:_SHOWN]!r} is not a schema in this document", field=_pointer(place), hint=hint)


def _name_list_problems(place: Place, schema: Any) -> Iterator[Problem]:
    if not isinstance(schema, dict):
        return
    lists: list[tuple[Place, Any]] = [((keyword,), schema.get(keyword)) for keyword in ("required", "type")]
    dependent = schema.get("dependentRequired")
    if isinstance(dependent, dict):
        lists += [(("dependentRequired", name), names) for name, names in dependent.items()]
    for inner, names in lists:
        if isinstance(names, list) and not all(isinstance(name, str) for name in names):
            yield Problem("must be a list of names", field=_pointer(place + inner))


def _cycle_problems(index: _Index) -> list[Problem]:
    """References that lead in a circle without going into the value: they would never end."""
    following = {place: _in_place(place, schema, index) for place, schema in index.schemas.items()}
    # Kahn's algorithm, backwards: take away what leads nowhere; what stays lies on a circle or leads into one
    while ended := [place for place, targets in following.items() if not any(t in following for t in targets)]:
        for place in ended:
            del following[place]
    return [
        Problem("this reference leads in a circle", field=_pointer((*place, "$ref")))
        for place in following
        if isinstance(index.schemas[place], dict) and "$ref" in index.schemas[place]
    ]


def _in_place(place: Place, schema: Any, index: _Index) -> list[Place]:
    """The subschemas that are applied to the same value as ``schema``."""
    if not isinstance(schema, dict):
        return []
    targets = [place + inner for inner, _ in _inner_schemas(schema) if inner[0] in _IN_PLACE]
    target = index.target(schema["$ref"]) if isinstance(schema.get("$ref"), str) else None
    return targets if target is None else [*targets, target]


def _metaschema_problems(schema: Any) -> list[Problem]:
    from skillforge.jsonschema_rules import TooManyReferences, metaschema, reference_budget

    with reference_budget():
        try:
            errors = list(islice(metaschema().iter_errors(schema), MAX_PROBLEMS))
        except (RecursionError, TooManyReferences):
            return [Problem("too deep or too large to be checked", hint="simplify the contract")]
    found: dict[tuple[str, str], Problem] = {}
    for error in errors:
        field = _pointer(tuple(error.absolute_path))
        found.setdefault((field, _message(error)), Problem(_message(error), field=field))
    return list(found.values())


def _sentence(error: Any) -> str:
    place = field_name(tuple(error.absolute_path))
    return f"{place}: {_message(error)}" if place else _message(error)


def _message(error: Any) -> str:
    """jsonschema's message with a long value cut short; for alternatives, what each of them wanted."""
    if error.context and error.validator in ("anyOf", "oneOf"):
        wanted = dict.fromkeys(_sentence_below(inner, error) for inner in error.context)
        return _short(" or ".join(list(wanted)[:4]), 4 * _SHOWN)
    if error.validator is None:
        return "not allowed"
    shown = repr(error.instance)
    message: str = error.message
    if len(shown) > _SHOWN and message.startswith(shown):
        message = _short(shown, _SHOWN) + message[len(shown) :]
    return _short(message, 5 * _SHOWN)


def _sentence_below(inner: Any, outer: Any) -> str:
    place = field_name(tuple(inner.relative_path))
    return f"{place}: {_message(inner)}" if place else _message(inner)


def _short(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _pointer(place: Place) -> str:
    """A JSON pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in place)
