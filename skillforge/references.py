"""Data that moves by reference: ``{from: steps.order.total}`` in arguments, conditions and results of a workflow.

A reference is a dotted path: an input field, ``steps.<id>`` and what lies inside its value, ``item`` inside ``each``. A
number is a place in a list. Values are handed on as they are, so an integer stays an integer and "False" is never true.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from skillforge.errors import InvalidInput, Problem

Scope = Mapping[str, Any]

REFERENCE_KEYS = frozenset({"from", "default", "pick"})
OPERATORS = ("equals", "not_equals", "in", "not_in", "gt", "gte", "lt", "lte", "exists")
JUNCTIONS = ("all", "any", "not")
MAX_DEPTH = 16

_MISSING = object()
_INDEX = re.compile(r"0|[1-9][0-9]{0,17}")  # longer than any list; int() of a hostile path stays cheap


class MissingReference(InvalidInput):
    """A reference that finds nothing, and has no default."""


def is_reference(value: Any) -> bool:
    """Whether a mapping is a reference and no literal: ``{from: …}``, with ``default`` and ``pick``."""
    return isinstance(value, Mapping) and isinstance(value.get("from"), str) and value.keys() <= REFERENCE_KEYS


def resolve(value: Any, scope: Scope) -> Any:
    """``value`` with every reference in it replaced by what it means in ``scope``.

    ``{from: path}`` is what stands there; ``default`` (which may hold references) stands in where nothing (or null)
    does; ``pick: [a, b]`` keeps these keys of an object, or of every object of a list. ``{first_of: [x, y]}`` is the
    first that is there and not null. ``{value: x}`` is ``x`` as it is written, references in it too. Everything else
    is a literal, looked through.

    Raises ``MissingReference`` naming the path.
    """
    if is_reference(value):
        return _looked_up(value, scope)
    if isinstance(value, Mapping):
        if value.keys() == {"value"}:
            return value["value"]
        if value.keys() == {"first_of"} and isinstance(value["first_of"], list | tuple):
            return _first(value["first_of"], scope)
        return {key: resolve(inner, scope) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [resolve(inner, scope) for inner in value]
    return value


def holds(condition: Mapping[str, Any], scope: Scope) -> bool:
    """Whether a condition is true: ``{from: path, OPERATOR: operand}``, or ``all``, ``any`` (lists) or ``not`` of such.

    Operators: ``equals``, ``not_equals`` (as JSON: 1 equals 1.0, true does not equal 1), ``in``, ``not_in`` (a list),
    ``gt``, ``gte``, ``lt``, ``lte`` (two numbers or two texts; of anything else false), ``exists`` (true or false:
    there and not null). An operand may be a reference. What a missing reference is compared with does not equal it.
    """
    if "all" in condition:
        return all(holds(inner, scope) for inner in condition["all"])
    if "any" in condition:
        return any(holds(inner, scope) for inner in condition["any"])
    if "not" in condition:
        return not holds(condition["not"], scope)
    found = _find(condition["from"], scope)
    if "exists" in condition:
        return (found is not _MISSING and found is not None) is condition["exists"]
    operator = next(name for name in OPERATORS if name in condition)
    operand = _operand(condition[operator], scope)
    try:
        return _compare(operator, found, operand)
    except RecursionError as exc:
        raise InvalidInput(f"{condition['from']} is nested too deep to be compared") from exc


def paths(value: Any) -> Iterator[str]:
    """The path of every reference in arguments, a condition or a result, in document order."""
    if isinstance(value, Mapping):
        if value.keys() == {"value"}:
            return
        if isinstance(value.get("from"), str):
            yield value["from"]
        for key, inner in value.items():
            if key not in ("from", "pick"):
                yield from paths(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from paths(inner)


def steps_named(value: Any) -> frozenset[str]:
    """The ids of the steps that the references of ``value`` name."""
    parts = [path.split(".") for path in paths(value)]
    return frozenset(part[1] for part in parts if part[0] == "steps" and len(part) > 1)


def condition_problems(condition: Any, depth: int = 0) -> list[Problem]:
    """What is wrong with the form of a condition; whether its references exist is another question."""
    if depth > MAX_DEPTH:
        return [Problem(f"nested deeper than {MAX_DEPTH} levels")]
    if not isinstance(condition, Mapping):
        return [Problem("a condition is a mapping such as {from: steps.order.ok, equals: true}")]
    junctions = [name for name in JUNCTIONS if name in condition]
    if junctions:
        if len(condition) > 1:
            return [Problem(f"{junctions[0]} stands alone", hint="nest conditions in all: […] or any: […]")]
        inner = condition[junctions[0]]
        if junctions[0] == "not":
            return condition_problems(inner, depth + 1)
        if not isinstance(inner, list | tuple) or not inner:
            return [Problem(f"{junctions[0]} takes a list of conditions")]
        return [problem for each in inner for problem in condition_problems(each, depth + 1)]
    return _comparison_problems(condition)


def reference_problems(value: Any) -> Iterator[tuple[tuple[str | int, ...], Problem]]:
    """What is wrong with the form of the references in arguments, a condition's operand or a result, each with its
    place: a mapping that says ``from`` or ``first_of`` and is no reference would silently be a literal.
    """
    if isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from (((number, *place), problem) for place, problem in reference_problems(inner))
    elif isinstance(value, Mapping) and value.keys() != {"value"}:
        yield from (((), problem) for problem in _form_problems(value))
        for key, inner in value.items():
            if key not in ("from", "pick"):
                yield from (((str(key), *place), problem) for place, problem in reference_problems(inner))


def _form_problems(value: Mapping[str, Any]) -> Iterator[Problem]:
    literal = "as a literal it is written {value: {…}}"
    if "from" in value:
        if not isinstance(value["from"], str):
            yield Problem("from names a path such as steps.order.total", hint=literal)
        for key in value.keys() - REFERENCE_KEYS:
            yield Problem(f"unknown key {key!r} beside from", hint=f"beside from stand default and pick; {literal}")
        pick = value.get("pick", ["…"])
        if not isinstance(pick, list | tuple) or not pick or not all(isinstance(key, str) for key in pick):
            yield Problem("pick takes a list of keys (texts)")
    elif "first_of" in value:
        if len(value) > 1:
            yield Problem("first_of stands alone", hint=f"end its list with a value that always is; {literal}")
        if not isinstance(value["first_of"], list | tuple) or not value["first_of"]:
            yield Problem("first_of takes a list of references and values")


def _comparison_problems(condition: Mapping[str, Any]) -> list[Problem]:
    known = f"the operators are {', '.join(OPERATORS)}"
    if not isinstance(condition.get("from"), str):
        return [Problem("a condition needs from: a path such as steps.order.total", hint=known)]
    operators = [name for name in condition if name != "from"]
    if len(operators) != 1 or operators[0] not in OPERATORS:
        return [Problem("a condition needs exactly one operator beside from", hint=known)]
    operand = condition[operators[0]]
    if operators[0] == "exists" and not isinstance(operand, bool):
        return [Problem("exists is true or false")]
    if operators[0] in ("in", "not_in") and not isinstance(operand, list | tuple) and not is_reference(operand):
        return [Problem(f"{operators[0]} takes a list, or a reference to one")]
    return [problem for _, problem in reference_problems(operand)]


def _looked_up(reference: Mapping[str, Any], scope: Scope) -> Any:
    found = _find(reference["from"], scope)
    if found is _MISSING or (found is None and "default" in reference):
        if "default" not in reference:
            raise MissingReference(
                f"{reference['from']} is not there", hint="give the reference a default, or the step a condition"
            )
        return resolve(reference["default"], scope)
    return _picked(found, reference["pick"]) if "pick" in reference else found


def _picked(found: Any, keys: Any) -> Any:
    if isinstance(found, list | tuple):
        return [_picked(each, keys) for each in found]
    if isinstance(found, Mapping):
        return {key: found[key] for key in keys if key in found}
    return found


def _first(choices: Any, scope: Scope) -> Any:
    for choice in choices:
        try:
            found = resolve(choice, scope)
        except MissingReference:
            continue
        if found is not None:
            return found
    raise MissingReference("none of first_of is there", hint="end it with a value that always is")


def _operand(value: Any, scope: Scope) -> Any:
    if isinstance(value, list | tuple):  # one of them missing leaves the others to be compared with
        return [_operand(inner, scope) for inner in value]
    try:
        return resolve(value, scope)
    except MissingReference:
        return _MISSING


def _find(path: str, scope: Scope) -> Any:
    found: Any = scope
    for part in path.split("."):
        if isinstance(found, Mapping) and part in found:
            found = found[part]
        elif isinstance(found, list | tuple) and _INDEX.fullmatch(part) and int(part) < len(found):
            found = found[int(part)]
        else:
            return _MISSING
    return found


def _compare(operator: str, found: Any, operand: Any) -> bool:
    if found is _MISSING or operand is _MISSING:
        return operator in ("not_equals", "not_in")
    if operator in ("equals", "not_equals"):
        return _equal(found, operand) is (operator == "equals")
    if operator in ("in", "not_in"):
        listed = isinstance(operand, list | tuple) and any(_equal(found, each) for each in operand)
        return listed is (operator == "in")
    if not (_numbers(found, operand) or (isinstance(found, str) and isinstance(operand, str))):
        return False
    match operator:
        case "gt":
            return bool(found > operand)
        case "gte":
            return bool(found >= operand)
        case "lt":
            return bool(found < operand)
        case _:
            return bool(found <= operand)


def _numbers(*values: Any) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _equal(left: Any, right: Any) -> bool:
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(_equal(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(_equal, left, right))
    return bool(left == right)
