"""Scorers that say right or wrong by JSON equality: the whole output, one place in it, or field by field."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from skillforge.checks import resolve_pointer
from skillforge.errors import NotFound
from skillforge.evals.scorers.base import UNSCORED, Contract, Item, Score
from skillforge.evals.scorers.text import parsed

_SAFE = 2**53 - 1  # the integers that every JSON reader carries exactly


@dataclass(frozen=True)
class Exact:
    """1 where output and label are equal (at ``path``, a JSON pointer; ``""`` is the whole), else 0. A pointer reads a
    text as the JSON it holds.
    """

    name: str = "exact"
    path: str = ""
    binary: bool = True
    labels: bool = True

    @property
    def identity(self) -> str:
        return f"exact {self.path}"

    def misfit(self, expected: Any, contract: Contract) -> str:
        wrong = contract.problem(expected)
        if wrong:
            return wrong
        if self.path:
            try:
                resolve_pointer(expected, self.path)
            except NotFound as nothing:
                return f"{nothing}, which the metric compares"
            return ""
        lacking = [name for name in contract.fields if name not in expected]
        return f"{lacking[0]}: missing, and the metric is exact" if lacking else ""

    def score(self, item: Item) -> Score:
        expected, output = item.expected, item.answer.output
        if self.path:  # its parts are those of what the pointer looks into
            expected, output = parsed(expected), parsed(output)
        fields = field_scores(expected, output)
        parts = tuple(fields.items())
        if self.path:
            return self._at_path(expected, output, parts)
        if fields and isinstance(output, dict):
            right = len(output) == len(fields) and all(fields.values())
        else:
            right = output is not None and same(expected, output)
        return Score(float(right), "" if right else "differs", parts=parts)

    def _at_path(self, expected: Any, output: Any, parts: tuple[tuple[str, float], ...]) -> Score:
        key = self.path[1:]
        if type(expected) is type(output) is dict and key in expected and key in output and key.isidentifier():
            right = same(expected[key], output[key])  # one field of an object: what nearly every pointer names
            return Score(float(right), "" if right else "differs", parts=parts)
        try:
            wanted = resolve_pointer(expected, self.path)
        except NotFound:
            return UNSCORED
        try:
            found = resolve_pointer(output, self.path)
        except NotFound:
            return Score(0.0, f"nothing at {self.path}", parts=parts)
        right = same(wanted, found)
        return Score(float(right), "" if right else "differs", parts=parts)


@dataclass(frozen=True)
class Fields:
    """The share of the label's fields that the output has exactly; of labels that are no objects, equality."""

    name: str = "fields"
    binary: bool = False
    labels: bool = True
    identity: str = "fields"

    def misfit(self, expected: Any, contract: Contract) -> str:
        return contract.problem(expected)

    def score(self, item: Item) -> Score:
        fields = field_scores(item.expected, item.answer.output)
        if not fields:
            return Score(float(item.answer.output is not None and same(item.expected, item.answer.output)))
        return Score(math.fsum(fields.values()) / len(fields), parts=tuple(fields.items()))


def field_scores(expected: Any, output: Any) -> dict[str, float]:
    """For every expected field whether the output has exactly that value. Empty when ``expected`` is not an object."""
    if not isinstance(expected, dict):
        return {}
    found = output if isinstance(output, dict) else {}
    return {name: float(name in found and same(value, found[name])) for name, value in expected.items()}


def same(left: Any, right: Any) -> bool:
    """JSON equality: ``1`` equals ``1.0``, never ``true``; key order does not matter.

    Stricter than the check ``equals``: what JSON cannot carry exactly (2**60, NaN, half a surrogate) equals nothing
    here. Depth does not matter.
    """
    if type(left) is str and type(right) is str:
        return left == right and _sound(left)
    stack = [(left, right)]
    while stack:
        a, b = stack.pop()
        if isinstance(a, Mapping):
            if not isinstance(b, Mapping) or a.keys() != b.keys() or not all(map(_sound_key, a)):
                return False
            stack.extend((value, b[key]) for key, value in a.items())
        elif isinstance(a, list | tuple):
            if not isinstance(b, list | tuple) or len(a) != len(b):
                return False
            stack.extend(zip(a, b, strict=True))
        elif not _same_scalar(a, b):
            return False
    return True


def _same_scalar(a: Any, b: Any) -> bool:
    if isinstance(a, str):
        return isinstance(b, str) and a == b and _sound(a)
    if a is None or isinstance(a, bool):
        return a is b
    if isinstance(b, bool) or not isinstance(a, int | float) or not isinstance(b, int | float):
        return False
    return a == b and _exact(a) and _exact(b)


def _exact(number: float) -> bool:
    return math.isfinite(number) if isinstance(number, float) else -_SAFE <= number <= _SAFE


def _sound_key(key: Any) -> bool:
    return isinstance(key, str) and _sound(key)


def _sound(text: str) -> bool:
    """Whether a text is one that UTF-8 can hold: no half of a surrogate pair."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
