"""References, conditions and values of a workflow in words, for an agent that follows it without a program."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from skillforge.references import is_reference, paths

_BACKTICKS = re.compile(r"`+")
_COMPARED = {
    "equals": "is",
    "not_equals": "is not",
    "in": "is one of",
    "not_in": "is none of",
    "gt": "is greater than",
    "gte": "is at least",
    "lt": "is less than",
    "lte": "is at most",
}
LONG = 100  # characters of a value that stands in a line; a longer one gets a block


def code(text: str) -> str:
    """A code span that shows ``text`` as it is (CommonMark 0.31, section 6.1); line ends become spaces."""
    text = " ".join(text.split("\n"))
    longest = max((len(run) for run in _BACKTICKS.findall(text)), default=0)
    fence = "`" * (longest + 1)
    space = " " if text[:1] in ("`", " ") or text[-1:] in ("`", " ") or not text else ""
    return f"{fence}{space}{text}{space}{fence}"


def as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def is_literal(value: Any) -> bool:
    """Whether an argument is what it says, without any reference in it."""
    if isinstance(value, Mapping) and value.keys() == {"value"}:
        return True
    return not any(True for _ in paths(value)) and not (isinstance(value, Mapping) and value.keys() == {"first_of"})


def literal(value: Any) -> Any:
    """The value of a literal."""
    if isinstance(value, Mapping) and value.keys() == {"value"}:
        return value["value"]
    return value


def path_words(path: str) -> str:
    """``steps.order.total`` as an agent reads it."""
    root, *rest = path.split(".")
    if root == "steps" and rest:
        return (
            f"{code('.'.join(rest[1:]))} of the result of {code(rest[0])}"
            if rest[1:]
            else f"the result of {code(rest[0])}"
        )
    if root == "item":
        return f"{code('.'.join(rest))} of the element" if rest else "the element"
    return f"the input's {code(path)}"


def value_words(value: Any) -> str:
    """An argument, an operand or a part of the result."""
    if isinstance(value, Mapping) and is_reference(value):
        kept = f", of it only {', '.join(map(code, value['pick']))}" if "pick" in value else ""
        instead = f" (where there is none: {value_words(value['default'])})" if "default" in value else ""
        return f"{path_words(value['from'])}{kept}{instead}"
    if is_literal(value):
        return code(as_json(literal(value)))
    if isinstance(value, Mapping) and value.keys() == {"first_of"}:
        return f"the first that is there of: {'; '.join(map(value_words, value['first_of']))}"
    if isinstance(value, Mapping):
        return "an object: " + "; ".join(f"{code(key)}: {value_words(inner)}" for key, inner in value.items())
    return "a list: " + "; ".join(map(value_words, value))


def condition_words(condition: Mapping[str, Any]) -> str:
    """A condition, "" where it is always true and only says which step comes first (see ``waits_for``)."""
    if waits_for(condition):
        return ""
    if "all" in condition:
        return _joined(condition["all"], " and ")
    if "any" in condition:
        return _joined(condition["any"], " or ")
    if "not" in condition:
        return f"it is not true that {condition_words(condition['not'])}"
    found = path_words(condition["from"])
    if "exists" in condition:
        return f"{found} is {'there' if condition['exists'] else 'missing or null'}"
    operator = next(name for name in _COMPARED if name in condition)
    return f"{found} {_COMPARED[operator]} {value_words(condition[operator])}"


def waits_for(condition: Mapping[str, Any]) -> str:
    """The path that a condition only waits for: it holds whether something is there or not."""
    inner = condition.get("any")
    if not isinstance(inner, Sequence) or len(inner) != 2:
        return ""
    one, other = inner
    same = one.get("from") == other.get("from") and {one.get("exists"), other.get("exists")} == {True, False}
    return str(one["from"]) if same and len(one) == len(other) == 2 else ""


def _joined(conditions: Sequence[Mapping[str, Any]], word: str) -> str:
    return f"({word.join(map(condition_words, conditions))})"
