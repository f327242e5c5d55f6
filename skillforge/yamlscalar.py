"""What an unquoted YAML scalar means: the core schema of YAML 1.2, less what is ambiguous or no JSON."""

from __future__ import annotations

import math
import re

from skillforge.errors import UsageError

MAX_BYTES = 1_048_576
MAX_DEPTH = 32
MAX_INT = 2**53 - 1  # the largest integer that every JSON reader holds exactly (RFC 8259, section 6)

Scalar = str | int | float | bool | None

_WORDS: dict[str, bool | None] = {
    "": None,
    "~": None,
    **dict.fromkeys(("null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_MOST_DIGITS = 20  # enough for MAX_INT in any base; longer is refused before it is converted


def resolve_plain(text: str) -> Scalar:
    """The value of an unquoted scalar (YAML 1.2.2, section 10.3.2): ``no``, dates and ``12:30`` stay strings.

    Raises ``UsageError`` for numbers with leading zeros, integers beyond 2**53, infinities and NaN.
    """
    if text in _WORDS:
        return _WORDS[text]
    if _NOT_FINITE.fullmatch(text):
        raise UsageError(f"{text} is not a JSON number", hint="quote it if it is text")
    if _INTEGER.fullmatch(text) or _FLOAT.fullmatch(text):
        return _number(text)
    if _OCTAL.fullmatch(text):
        return _integer(text, 8)
    if _HEXADECIMAL.fullmatch(text):
        return _integer(text, 16)
    return text


def _number(text: str) -> int | float:
    if _LEADING_ZERO.match(text):
        wrong = f"{text[:40]} is ambiguous: readers of YAML disagree about a number with a leading zero"
        raise UsageError(wrong, hint="quote it if it is text, or drop the zero")
    if _INTEGER.fullmatch(text):
        return _integer(text, 10)
    value = float(text)
    if not math.isfinite(value):
        raise UsageError(f"{text[:40]} is too large for a number", hint="quote it if it is text")
    return value


def _integer(text: str, base: int) -> int:
    digits = text.lstrip("+-")
    if len(digits) <= _MOST_DIGITS:
        value = int(text, base)
        if abs(value) <= MAX_INT:
            return value
    raise UsageError(f"{text[:40]} is an integer beyond 2**53", hint="quote it if it is text, such as an id")
