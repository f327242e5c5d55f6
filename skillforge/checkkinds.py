"""The check types: a table from a type's name to how it looks at a target and what its operand must be.

``skillforge.checks`` runs them; the words are promptfoo's. Each function says whether the assertion holds and what is
the case, so that the same words serve the type and its ``not-`` form.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

from skillforge.canonical import compact
from skillforge.checkoperands import (
    any_operand,
    count_operand,
    optional_text_operand,
    range_operand,
    regex_operand_problems,
    schema_operand,
    schema_operand_problems,
    some_text_operand,
    text_operand,
    texts_operand,
)
from skillforge.contract import Validator, compile_regex
from skillforge.errors import Problem, UsageError
from skillforge.skill import Check

CustomCheck: TypeAlias = Callable[[Any, Mapping[str, Any]], "bool | str | tuple[bool, str]"]
"""``(target, input) -> answer``: a bool, a reason for failing ("" passes), or ``(passed, reason)``."""

Fact: TypeAlias = "tuple[bool | None, str]"
"""Whether it holds (``None``: cannot be said, fails in both forms), and what is the case."""

LEVENSHTEIN_THRESHOLD = 5.0

_SHOWN = 80
_JSON_START = re.compile(r'\{\s*["}]|\[\s*[\[\]{"0-9tfn-]')
_JSON_ATTEMPTS = 1000


@dataclass(frozen=True, slots=True)
class Case:
    """What one check is run on: its target (the output, or what stands at its path), the input, the callables."""

    check: Check
    target: Any
    input: Mapping[str, Any]
    custom: Mapping[str, CustomCheck]

    @property
    def text(self) -> str:
        return self.target if isinstance(self.target, str) else compact(self.target)


@dataclass(frozen=True, slots=True)
class Kind:
    """One type. ``operand`` says in words what is wrong with the shape of ``value`` ("" when right), ``lint`` what is
    wrong inside it; ``reads`` are the fields it uses, ``needs`` those it cannot do without."""

    run: Callable[[Case], Fact]
    operand: Callable[[Any], str]
    reads: tuple[str, ...] = ("value",)
    needs: tuple[str, ...] = ("value",)
    lint: Callable[[Any], list[Problem]] = lambda value: []


def json_equal(left: Any, right: Any) -> bool:
    """Deep equality of JSON values: ``1 == 1.0``, but ``true != 1`` and key order does not count."""
    stack = [(left, right)]
    while stack:
        a, b = stack.pop()
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            if a.keys() != b.keys():
                return False
            stack.extend((a[key], b[key]) for key in a)
        elif isinstance(a, list | tuple) and isinstance(b, list | tuple):
            if len(a) != len(b):
                return False
            stack.extend(zip(a, b, strict=True))
        elif isinstance(a, bool) is not isinstance(b, bool) or a != b:
            return False
    return True


def _equals(case: Case) -> Fact:
    holds = json_equal(case.target, case.check.value)
    wanted = _show(case.check.value)
    return holds, f"is {wanted}" if holds else f"is {_show(case.target)}, not {wanted}"


def _contains(case: Case) -> Fact:
    return _said(case.check.value in case.text, "contains", _show(case.check.value))


def _icontains(case: Case) -> Fact:
    holds = case.check.value.casefold() in case.text.casefold()
    return _said(holds, "contains", f"{_show(case.check.value)} (in any case)")


def _contains_any(case: Case) -> Fact:
    text = case.text
    found = [part for part in case.check.value if part in text]
    return bool(found), f"contains {_show(found[0])}" if found else f"contains none of {_show(case.check.value)}"


def _contains_all(case: Case) -> Fact:
    text = case.text
    lost = [part for part in case.check.value if part not in text]
    return not lost, f"does not contain {_show(lost[0])}" if lost else f"contains all of {_show(case.check.value)}"


def _icontains_any(case: Case) -> Fact:
    text = case.text.casefold()
    found = [part for part in case.check.value if part.casefold() in text]
    shown = _show(found[0] if found else case.check.value)
    return bool(found), f"{'contains' if found else 'contains none of'} {shown} (in any case)"


def _icontains_all(case: Case) -> Fact:
    text = case.text.casefold()
    lost = [part for part in case.check.value if part.casefold() not in text]
    shown = _show(lost[0] if lost else case.check.value)
    return not lost, f"{'does not contain' if lost else 'contains all of'} {shown} (in any case)"


def _starts_with(case: Case) -> Fact:
    return _said(case.text.startswith(case.check.value), "starts with", _show(case.check.value))


def _regex(case: Case) -> Fact:
    # RE2 reads UTF-8: half a surrogate pair (JSON can hold one) becomes a question mark instead of an exception.
    text = case.text.encode("utf-8", "replace").decode()
    return _said(compile_regex(case.check.value).search(text) is not None, "matches", _show(case.check.value))


def _is_json(case: Case) -> Fact:
    if not isinstance(case.target, str):
        return _fits(case.target, case.check.value)
    try:
        value = _DECODER.decode(case.target)
    except (ValueError, RecursionError):
        return False, "is not JSON"
    return _fits(value, case.check.value)


def _contains_json(case: Case) -> Fact:
    schema = case.check.value
    found = [case.target] if isinstance(case.target, dict | list) else _json_parts(case.text)
    fact: Fact = (False, "holds no JSON object or array")
    for part in found:
        fact = _fits(part, schema)
        if fact[0]:
            return True, "holds a JSON object or array" + ("" if schema is None else " that fits the schema")
    return fact


def _levenshtein(case: Case) -> Fact:
    from rapidfuzz.distance import Levenshtein

    wanted, text = case.check.value, case.text
    threshold = LEVENSHTEIN_THRESHOLD if case.check.threshold is None else case.check.threshold
    if not 0 <= threshold < math.inf:
        raise UsageError("check levenshtein: threshold must be a number of edits, 0 or more")
    limit = int(threshold)
    near = abs(len(text) - len(wanted)) <= limit and Levenshtein.distance(text, wanted, score_cutoff=limit) <= limit
    return near, f"is {'at most' if near else 'more than'} {limit} edits away from {_show(wanted)}"


def _word_count(case: Case) -> Fact:
    count, value = len(case.text.split()), case.check.value
    low, high = (value, value) if isinstance(value, int) else (value.get("min", 0), value.get("max", math.inf))
    asked = f"exactly {low}" if low == high else f"at least {low}" if high == math.inf else f"{low} to {high}"
    return low <= count <= high, f"has {count} words ({asked} asked for)"


def _max_length(case: Case) -> Fact:
    size = len(case.text)
    return size <= case.check.value, f"has {size} characters (the bound is {case.check.value})"


def _in_input(case: Case) -> Fact:
    """Grounding: the target stands in the input word for word, white space collapsed; of a list or an object every
    text. Nothing is never grounded, unless ``value`` says that this is how the skill writes what was not said.
    """
    if case.target is not None and case.target == case.check.value:
        return True, "is how the skill writes what was not said"
    place = "the input" if case.check.of is None else f"the input's {case.check.of}"
    if isinstance(case.target, Mapping | list | tuple) and case.target:
        return _all_in_input(case, place)
    if isinstance(case.target, bool) or not isinstance(case.target, str | int | float):
        return False, f"is neither text nor a number, so it cannot stand in {place}"
    holds = _stands(case.text, case)
    return holds, f"{_show(' '.join(case.text.split()))} {'stands' if holds else 'does not stand'} in {place}"


def _all_in_input(case: Case, place: str) -> Fact:
    """Of a list or an object every text and number."""
    parts = [part for part in _texts(case.target) if part != case.check.value]
    missing = next((part for part in parts if not _stands(part, case)), None)
    if missing is not None:
        return False, f"{_show(missing)} does not stand in {place}"
    return True, f"all of it stands in {place}"


def _stands(text: str, case: Case) -> bool:
    wanted = " ".join(text.split())
    source = case.input if case.check.of is None else case.input.get(case.check.of)
    return bool(wanted) and any(wanted in " ".join(given.split()) for given in _texts(source))


def unbound(name: str | None) -> UsageError:
    """The error of a custom check whose callable nobody gave."""
    return UsageError(
        f"custom check {name!r} is not bound to a callable",
        hint=f"Forge(custom_checks={{{name!r}: function}}), function(output, input) -> bool, reason or (bool, reason)",
    )


def _custom(case: Case) -> Fact:
    name = case.check.name
    if name is None or name not in case.custom:
        raise unbound(name)
    try:
        answer: Any = case.custom[name](case.target, case.input)
    except Exception as exc:  # the caller's code met an output it did not expect: that is no verdict in its favour
        return None, f"custom check {name!r} raised {type(exc).__name__}: {_show(str(exc))}"
    if isinstance(answer, str):
        answer = (not answer, answer)
    elif isinstance(answer, bool):
        answer = (answer, f"custom check {name!r} says {'yes' if answer else 'no'}")
    if isinstance(answer, tuple) and len(answer) == 2 and isinstance(answer[0], bool) and isinstance(answer[1], str):
        return answer[0], answer[1] or f"custom check {name!r} says {'yes' if answer[0] else 'no'}"
    raise UsageError(
        f"custom check {name!r} returned {type(answer).__name__}", hint="return a bool, a reason or (bool, reason)"
    )


def _said(holds: bool, verb: str, operand: str) -> Fact:
    negated = {"contains": "does not contain", "starts with": "does not start with", "matches": "does not match"}
    return holds, f"{verb if holds else negated[verb]} {operand}"


def _show(value: Any) -> str:
    text = compact(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _texts(value: Any) -> Iterator[str]:
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, Mapping):
            stack.extend(item.values())
        elif isinstance(item, list | tuple):
            stack.extend(item)
        elif isinstance(item, str):
            yield item
        elif isinstance(item, int | float) and not isinstance(item, bool):
            yield compact(item)


def _fits(value: Any, schema: Any) -> Fact:
    if schema is None:
        return True, "is JSON"
    problems = _validator(compact(schema)).problems(value)
    return not problems, f"does not fit the schema: {problems[0]}" if problems else "fits the schema"


def _json_parts(text: str) -> Iterator[Any]:
    """The outermost JSON objects and arrays of a text, from left to right.

    At most 1,000 starts are tried, and what failed ones may read is bounded by a few times the text, so brackets that
    never close stay cheap.
    """
    budget, position = 4 * len(text) + 1000, 0
    for _ in range(_JSON_ATTEMPTS):
        start = _JSON_START.search(text, position)
        if start is None or budget < 0:
            return
        try:
            value, position = _DECODER.raw_decode(text, start.start())
        except json.JSONDecodeError as wrong:
            budget -= wrong.pos - start.start()
            position = start.start() + 1
        except (ValueError, RecursionError):  # NaN, an integer of thousands of digits, too deep: read up to who knows
            budget -= len(text) - start.start()
            position = start.start() + 1
        else:
            yield value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)


@lru_cache(maxsize=64)
def _validator(schema: str) -> Validator:
    return Validator(json.loads(schema))


KINDS: Mapping[str, Kind] = {
    "equals": Kind(_equals, any_operand),
    "contains": Kind(_contains, some_text_operand),
    "icontains": Kind(_icontains, some_text_operand),
    "contains-any": Kind(_contains_any, texts_operand),
    "contains-all": Kind(_contains_all, texts_operand),
    "icontains-any": Kind(_icontains_any, texts_operand),
    "icontains-all": Kind(_icontains_all, texts_operand),
    "starts-with": Kind(_starts_with, some_text_operand),
    "regex": Kind(_regex, text_operand, lint=regex_operand_problems),
    "is-json": Kind(_is_json, schema_operand, needs=(), lint=schema_operand_problems),
    "contains-json": Kind(_contains_json, schema_operand, needs=(), lint=schema_operand_problems),
    "levenshtein": Kind(_levenshtein, text_operand, reads=("value", "threshold")),
    "word-count": Kind(_word_count, range_operand),
    "max-length": Kind(_max_length, count_operand),
    "in-input": Kind(_in_input, optional_text_operand, reads=("of", "value"), needs=()),
    "custom": Kind(_custom, any_operand, reads=("name",), needs=("name",)),
}
