"""Numbers, as such or as texts, and whether two of them are near enough."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Any

_MAX_BITS = 4096  # of an integer: longer ones are no quantity, and slow
_MAX_TEXT = 400
_NUMBER = re.compile(
    r"(?P<sign>[-+]?)\s?[$€£¥]?\s?(?P<inner>[-+]?)(?P<digits>(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)?(?:\.[0-9]*)?)"
    r"(?P<exponent>(?:[eE][-+]?[0-9]{1,3})?)\s?[%€£¥$]?"
)


def number_of(value: Any) -> Decimal | None:
    """The number a JSON value is, exactly as written; ``None`` where it is none.

    A text counts when it is one number and nothing else: sign, digits with ``,`` between thousands, ``.`` before
    decimals, exponent. A currency sign or ``%`` beside it is dropped (``"5%"`` is 5). True and false, NaN and
    infinities are no numbers.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return Decimal(value) if value.bit_length() <= _MAX_BITS else None
    if isinstance(value, float):
        return Decimal(repr(value)) if math.isfinite(value) else None
    return _parsed(value) if isinstance(value, str) else None


def near(expected: Decimal, found: Decimal, tolerance: float | None, relative: float | None) -> bool:
    """Whether they differ by at most ``tolerance``, or by at most ``relative`` times what is expected.

    In decimal arithmetic: 1.01 lies within 0.01 of 1, which it does not in binary.
    """
    if expected == found:
        return True
    gap = abs(expected - found)
    if tolerance is not None and gap <= Decimal(repr(tolerance)):
        return True
    return relative is not None and gap <= Decimal(repr(relative)) * abs(expected)


def _parsed(text: str) -> Decimal | None:
    text = text.strip()[: _MAX_TEXT + 1].replace("\u2212", "-")
    match = _NUMBER.fullmatch(text) if len(text) <= _MAX_TEXT else None
    if match is None or not any(map(str.isdigit, match["digits"])) or (match["sign"] and match["inner"]):
        return None
    return Decimal(match["sign"] + match["inner"] + match["digits"].replace(",", "") + match["exponent"])
