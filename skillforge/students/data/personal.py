"""Personal data by its shape: mail addresses, phone numbers, IBANs, IP addresses. Names have no shape: none is found.

Addresses under names reserved for examples (RFC 2606, RFC 6761) and addresses of private networks are nobody's. Every
pattern reads a bounded stretch.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Literal

PersonalData = Literal["mask", "drop", "keep"]

_MAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@((?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24})(?![\w-])")
_RESERVED = re.compile(r"(?:^|\.)(?:example(?:\.(?:com|org|net))?|test|invalid|localhost)$", re.IGNORECASE)
_PHONE = re.compile(
    r"(?<![\w.+/-])(?<!\d )(?:"
    r"(?:\+|00)[1-9]\d{0,2}[ ./-]?(?:\(0\) ?)?(?:\d[ ./-]?){6,12}\d"
    r"|\(?0[1-9]\d{1,4}\)?[ /-]\d{3,5}(?:[ -]?\d{2,5}){1,2}"
    r"|\(\d{3}\) ?\d{3}[ .-]\d{4}|\d{3}[.-]\d{3}[.-]\d{4}"
    r")(?![\w/-]|[. ]\d)"
)
_IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)")
_IP = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]*\w)")


def _is_mail(match: re.Match[str]) -> bool:
    return _RESERVED.search(match[1]) is None


def _is_iban(match: re.Match[str]) -> bool:
    """ISO 13616: the number modulo 97 is 1."""
    plain = match[0].replace(" ", "")
    return int("".join(str(int(char, 36)) for char in plain[4:] + plain[:4])) % 97 == 1


def _is_public(match: re.Match[str]) -> bool:
    try:
        return ipaddress.ip_address(match[0]).is_global
    except ValueError:
        return False


_KINDS: tuple[tuple[str, re.Pattern[str], Callable[[re.Match[str]], bool]], ...] = (
    ("mail", _MAIL, _is_mail),
    ("iban", _IBAN, _is_iban),
    ("phone", _PHONE, lambda match: True),
    ("ip", _IP, _is_public),
)


def find_personal(text: str) -> list[str]:
    """The kinds a text holds, each once."""
    return list(mask_text(text)[1])


def mask_text(text: str) -> tuple[str, Counter[str]]:
    """The text with ``[mail]``, ``[iban]``, ``[phone]`` and ``[ip]`` in place of what it held, and how many."""
    counts: Counter[str] = Counter()
    for kind, pattern, accept in _KINDS:

        def replaced(match: re.Match[str], kind: str = kind, accept: Any = accept) -> str:
            if not accept(match):
                return match[0]
            counts[kind] += 1
            return f"[{kind}]"

        text = pattern.sub(replaced, text)
    return text, counts


def mask_value(value: Any) -> tuple[Any, Counter[str]]:
    """The same of a JSON value, keys left as they are: fields are the contract's."""
    if isinstance(value, str):
        return mask_text(value)
    counts: Counter[str] = Counter()
    if isinstance(value, Mapping):
        made = {}
        for key, item in value.items():
            made[key], found = mask_value(item)
            counts += found
        return made, counts
    if isinstance(value, list | tuple):
        items = []
        for item in value:
            clean, found = mask_value(item)
            items.append(clean)
            counts += found
        return items, counts
    return value, counts
