"""What stands on paper as values: amounts in any European or American way of writing, dates, bank accounts."""

from __future__ import annotations

import re
from datetime import date

_AMOUNT = re.compile(r"-?\d[\d .,'’\u00a0\u202f]*")
_PRINTED = re.compile(r"(?<![\d.,])\d{1,3}(?:[.,]\d{3})*[.,]\d{2}(?![.,]?\d)")
_GROUPS = re.compile(r"[ '’\u00a0\u202f]")
_IBAN = re.compile(r"IBAN\W{0,3}((?:[A-Z0-9] ?){12,34})", re.IGNORECASE)
_MOST_AMOUNTS = 200  # of one text
_MONTHS = (
    ("january", "januar", "jan"),
    ("february", "februar", "feb"),
    ("march", "märz", "mar", "mrz"),
    ("april", "apr"),
    ("may", "mai"),
    ("june", "juni", "jun"),
    ("july", "juli", "jul"),
    ("august", "aug"),
    ("september", "sept", "sep"),
    ("october", "oktober", "oct", "okt"),
    ("november", "nov"),
    ("december", "dezember", "dec", "dez"),
)
_MONTH_OF = {name: number for number, names in enumerate(_MONTHS, start=1) for name in names}


def amount_of(text: str) -> int:
    """Cents of an amount as printed: ``1.234,50 EUR``, ``€1,234.50``, ``1 234,5``. Raises ``ValueError``."""
    found = _AMOUNT.search(text)
    if found is None:
        raise ValueError(f"{text!r} is no amount")
    digits = _GROUPS.sub("", found[0]).rstrip(".,")
    whole, fraction = digits, ""
    if mark := max(digits.rfind("."), digits.rfind(",")) + 1:
        behind = digits[mark:]
        if len(behind) <= 2:  # three digits behind the last mark are a group of thousands
            whole, fraction = digits[: mark - 1], behind
    return int(re.sub("[.,]", "", whole) + f"{fraction:0<2}")


def date_of(text: str) -> date:
    """A date as printed: ``2026-11-05``, ``05.11.2026``, ``5. November 2026``, ``Nov 5, 2026``.

    Raises ``ValueError``.
    """
    words = re.findall(r"\d+|[^\W\d_]+", text.casefold())
    numbers = [int(word) for word in words if word.isdigit()]
    named = [_MONTH_OF[word] for word in words if word in _MONTH_OF]
    if named and len(numbers) == 2:
        day, year = numbers if numbers[0] <= 31 else reversed(numbers)
        return date(year, named[0], day)
    if len(numbers) == 3:
        year, month, day = numbers if numbers[0] > 31 else reversed(numbers)
        return date(year, month, day)
    raise ValueError(f"{text!r} is no date")


def ibans_of(text: str) -> set[str]:
    """The bank accounts that a text names behind the word IBAN."""
    return {re.sub(r"\s", "", found).upper() for found in _IBAN.findall(text)}


def sums_of(text: str) -> set[tuple[str, str, str]]:
    """Net, tax and gross as printed, wherever two of a text's amounts make a third and the tax is at most a third of
    the net: every way to read them.
    """
    printed = {amount_of(found): found for found in reversed(_PRINTED.findall(text)[:_MOST_AMOUNTS])}
    return {
        (printed[net], printed[tax], printed[net + tax])
        for net in printed
        for tax in printed
        if net > 0 and tax * 3 <= net and net + tax in printed
    }
