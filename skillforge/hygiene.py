"""Text that a reviewer cannot see: invisible and direction-changing characters, and where strings stand in a value."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

Pointer = tuple[str | int, ...]

MAX_NAMED = 10
_ZWNJ, _ZWJ = "\u200c", "\u200d"

# Everything that is drawn as nothing, or changes how its neighbours are drawn. \n and \t are the only controls allowed.
_SUSPECT = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    "\ud800-\udfff]"
)
# The three flags that are spelled with tag characters (England, Scotland, Wales; Unicode emoji-sequences, RGI): exact
# sequences only, so that nothing else can be spelled.
_TAG_FLAGS = frozenset(
    "\U0001f3f4" + "".join(chr(0xE0000 + ord(letter)) for letter in code) + "\U000e007f"
    for code in ("gbeng", "gbsct", "gbwls")
)
_FLAG_LENGTH = 7
# Scripts whose spelling uses joiners: Arabic to N'Ko, Indic to Myanmar, Khmer and Mongolian, Arabic presentation forms.
_JOINING_SCRIPTS = re.compile("[\u0600-\u08ff\u0900-\u109f\u1780-\u18af\ufb50-\ufdff\ufe70-\ufefc]")
_IDEOGRAPH = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_SKIN_TONE = re.compile("[\U0001f3fb-\U0001f3ff]")
_KEYCAP_BASE = frozenset("#*0123456789")


def hidden_text(text: str) -> list[str]:
    """Readable names of the invisible or hostile characters of ``text``; positions count characters from 1.

    Allowed: joiners and variation selectors inside emoji, joiners in scripts that spell with them, variation selectors
    after ideographs. At most ``MAX_NAMED`` are named, one line more tells how many others there are.
    """
    found = [match.start() for match in _SUSPECT.finditer(text) if not _belongs(text, match.start())]
    named = [f"{_name(text[index])} at character {index + 1}" for index in found[:MAX_NAMED]]
    if len(found) > MAX_NAMED:
        named.append(f"and {len(found) - MAX_NAMED} more")
    return named


def walk_strings(value: Any) -> Iterator[tuple[Pointer, str]]:
    """Every string of a JSON value with its place, in document order; a dict key stands at the place of its value."""
    pending: list[tuple[Pointer, Any]] = [((), value)]
    while pending:  # a stack, not recursion: the value may nest deeper than Python recurses
        place, item = pending.pop()
        if isinstance(item, str):
            yield place, item
        elif isinstance(item, dict):
            for key, inner in reversed(item.items()):
                pending.append(((*place, key), inner))
                pending.append(((*place, key), key))
        elif isinstance(item, list | tuple):
            pending.extend(((*place, index), item[index]) for index in reversed(range(len(item))))


def _name(character: str) -> str:
    fallback = {"Cc": "CONTROL CHARACTER", "Cs": "LONE SURROGATE"}.get(unicodedata.category(character), "UNNAMED")
    return f"U+{ord(character):04X} {unicodedata.name(character, fallback)}"


def _belongs(text: str, index: int) -> bool:
    """Whether a suspect character does ordinary work where it stands."""
    character = text[index]
    before = text[index - 1] if index else ""
    if character in (_ZWJ, _ZWNJ):
        return bool(_JOINING_SCRIPTS.match(before)) or (character == _ZWJ and _joins_emoji(text, index))
    if character in "\ufe0e\ufe0f":
        return before in _KEYCAP_BASE or _is_symbol(before)
    if "\ufe00" <= character <= "\ufe0d" or "\U000e0100" <= character <= "\U000e01ef":
        return bool(_IDEOGRAPH.match(before))
    if "\u180b" <= character <= "\u180f":
        return "\u1820" <= before <= "\u18af"
    return "\U000e0020" <= character <= "\U000e007f" and _in_tag_flag(text, index)


def _joins_emoji(text: str, index: int) -> bool:
    before, after = text[index - 1 : index], text[index + 1 : index + 2]
    return (before == "\ufe0f" or bool(_SKIN_TONE.match(before)) or _is_symbol(before)) and _is_symbol(after)


def _is_symbol(character: str) -> bool:
    # So: nearly all emoji; Sm: the arrows; Po: the double exclamation marks; Pd: the wavy dash
    return character != "" and ord(character) > 0xA0 and unicodedata.category(character) in ("So", "Sm", "Po", "Pd")


def _in_tag_flag(text: str, index: int) -> bool:
    start = text.rfind("\U0001f3f4", max(0, index - _FLAG_LENGTH + 1), index)
    return start >= 0 and text[start : start + _FLAG_LENGTH] in _TAG_FLAGS
