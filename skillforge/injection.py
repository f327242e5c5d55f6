"""Orders hidden in data: what a text holds that speaks to a model or a shell instead of telling something.

A list of known forms, not a security boundary: an order in plain words of its own passes. It tells a person where to
look, and keeps the known forms out of what is written into skills.
"""

from __future__ import annotations

import base64
import re
import unicodedata
from collections.abc import Iterator
from html import unescape

from skillforge.hygiene import hidden_text
from skillforge.injectionpatterns import ORDER_PATTERNS, Kind
from skillforge.messages import Value
from skillforge.redact import find_secrets

ORDERS: frozenset[Kind] = frozenset(
    {"hidden", "override", "role", "persona", "command", "exfiltration", "encoded", "secret"}
)
"""What has no business in a skill, wherever it came from. A URL alone may be innocent data."""

MAX_TEXT = 1_048_576  # characters looked at
MAX_FINDINGS = 50
EXCERPT = 100

_BASE64 = re.compile(r"[A-Za-z0-9+/]{24,4000}={0,2}")
INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\U000e0000-\U000e0fff]"
)
_ACCENTS = re.compile("[\u0300-\u036f]")
_ENTITY = re.compile(r"&#(?:x[0-9a-fA-F]{1,6}|[0-9]{1,7});")
_TAGS = re.compile("[\U000e0020-\U000e007e]+")
# Letters of other scripts that look like Latin ones (Unicode TR39, the ones in use): Cyrillic and Greek.
LOOKALIKES = str.maketrans("аеорсухіјѕԁһɡοανρτυικ", "aeopcyxijsdhgoavptuik")


class Finding(Value):
    """One suspicious place. ``start`` counts characters from 0 in the text as it was given, or -1 where it was found
    only after decoding. ``excerpt`` is at most 100 characters, without line ends.
    """

    kind: Kind
    excerpt: str
    start: int = -1

    @property
    def is_order(self) -> bool:
        return self.kind in ORDERS


def findings(text: str) -> tuple[Finding, ...]:
    """What is suspicious in a text, in the order of kinds: at most ``MAX_FINDINGS``, one a place and kind.

    Besides the text as it stands it looks at it without invisible characters and with look-alike letters replaced, at
    what is spelled in tag characters, and into base64.
    """
    text = text[:MAX_TEXT]
    found = [Finding(kind="hidden", excerpt=name) for name in hidden_text(text.replace("\r\n", "\n"))[:3]]
    found += [Finding(kind="secret", excerpt=f"looks like a secret ({kind})") for kind in find_secrets(text)]
    found += _matches(text, place=True)
    said = {(each.kind, each.excerpt) for each in found}
    for other in (plain(text), _spelled(text)):
        if other != text:
            found += [each for each in _matches(other, place=False) if (each.kind, each.excerpt) not in said]
    found += _encoded(text)
    return tuple(found[:MAX_FINDINGS])


def orders(text: str) -> tuple[Finding, ...]:
    """The findings that have no business in a skill: all but plain URLs."""
    return tuple(found for found in findings(text) if found.is_order)


def _matches(text: str, *, place: bool) -> Iterator[Finding]:
    for kind, pattern in ORDER_PATTERNS.items():
        for match in pattern.finditer(text):
            start = match.start()
            excerpt = " ".join(text[start : max(match.end(), start + 60)].split())[:EXCERPT]
            yield Finding(kind=kind, excerpt=excerpt, start=start if place else -1)


def plain(text: str) -> str:
    """The text as a reader takes it: without what is drawn as nothing and without accents, letters of other widths and
    scripts as the Latin ones that they look like, and the characters that HTML entities stand for.
    """
    if "&#" in text:
        text = _ENTITY.sub(lambda match: unescape(match.group()), text)
    if text.isascii():
        return text
    decomposed = unicodedata.normalize("NFKD", INVISIBLE.sub("", text))
    return _ACCENTS.sub("", decomposed).translate(LOOKALIKES)


def _spelled(text: str) -> str:
    """What is written in tag characters, which are drawn as nothing."""
    if text.isascii():
        return text
    return " ".join("".join(chr(ord(letter) - 0xE0000) for letter in run) for run in _TAGS.findall(text)) or text


def _encoded(text: str) -> Iterator[Finding]:
    for match in _BASE64.finditer(text):
        coded = match.group().rstrip("=")
        try:
            inside = base64.b64decode(coded + "=" * (-len(coded) % 4), validate=True).decode("ascii")
        except ValueError:
            continue
        if any(found.is_order for found in _matches(inside, place=False)):
            yield Finding(kind="encoded", excerpt=" ".join(inside.split())[:EXCERPT], start=match.start())
