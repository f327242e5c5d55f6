"""What the ``value`` of a check must be: the shape, said on every run, and what is wrong inside it, said by lint.

A shape rule answers with "" when the operand is right, else with what it must be.
"""

from __future__ import annotations

import math
from typing import Any

from skillforge.contract import compile_regex, schema_problems
from skillforge.errors import Problem, UsageError


def any_operand(value: Any) -> str:
    return ""


def text_operand(value: Any) -> str:
    return "" if isinstance(value, str) else "must be text"


def optional_text_operand(value: Any) -> str:
    return "" if value is None or isinstance(value, str) else "must be text"


def some_text_operand(value: Any) -> str:
    return "" if isinstance(value, str) and value else "must be text, and not empty: every output holds the empty text"


def texts_operand(value: Any) -> str:
    right = isinstance(value, list | tuple) and value and not any(map(some_text_operand, value))
    return "" if right else "must be a list of texts, none of them empty"


def schema_operand(value: Any) -> str:
    return "" if value is None or isinstance(value, dict) else "must be a JSON Schema (a mapping)"


def count_operand(value: Any) -> str:
    return "" if _is_count(value) else "must be a whole number, 0 or more"


def range_operand(value: Any) -> str:
    if not isinstance(value, dict):
        return "" if _is_count(value) else "must be a whole number or {min: …, max: …}"
    if not value or not value.keys() <= {"min", "max"} or not all(map(_is_count, value.values())):
        return "must be {min: …, max: …} with whole numbers, one of them or both"
    return "" if value.get("min", 0) <= value.get("max", math.inf) else "min is more than max"


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def regex_operand_problems(value: Any) -> list[Problem]:
    try:
        compile_regex(value)
    except UsageError as wrong:
        return [Problem(str(wrong), hint=wrong.hint)]
    return []


def schema_operand_problems(value: Any) -> list[Problem]:
    return [] if value is None else schema_problems(value)
