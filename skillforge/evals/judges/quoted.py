"""Texts that a judge is shown and that may want to talk to it: made harmless, and kept to a length.

What is graded was written by a model that would like a good grade, or by somebody who told it what to write. Three
things hold it in its place: the tags around it carry a code that is a digest of what they enclose, so that no text can
hold its own; whatever looks like one of those tags or like a grade, in any disguise, is changed; and it is cut where it
is long.
"""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any

from skillforge.canonical import compact, digest_bytes

MAX_CHARS = 24_000  # of one text: about 6,000 tokens
_HEAD = 2 / 3
_CODE_CHARS = 12

TAGS = ("rubric", "task", "input", "reference", "answer", "answer-a", "answer-b")
MARKERS = ("grade", "verdict")
_WORDS = "|".join((*TAGS, "system", "user", "assistant", "instructions", "data"))
_TAG = re.compile(rf"<(?=\s*/?\s*(?:{_WORDS})\b)|<(?=\|)|\[(?=/?inst\])")
_MARKER = re.compile(rf"(?:{'|'.join(MARKERS)})(?=[\s*_`\"']*[:=])")
# Letters of other scripts, and signs, that look like those of the words above.
_ALIKE = str.maketrans(
    "аеорсхуіѕԁԛԝɡɩɴʀαορτυνικηᴀᴅᴇɢᴛᴠıℓ‹〈⟨˂ᐸ❮∶ːˑ։꞉⁄∕⧸",
    "aeopcxyisdqwginraoptvvikhadegtvil<<<<<<:::::///",
)
_DRAWN_AS_NOTHING = {"Cf", "Mn", "Me", "Cc", "Cs", "Cn", "Co"}
_KEPT_CONTROLS = "\n\t"


def shown(value: Any) -> str:
    """A JSON value as a judge is shown it: a text as it is, anything else as JSON; cut, and harmless."""
    text = value if isinstance(value, str) else compact(value)
    return neutralised(cut(text))


def code_of(texts: list[str]) -> str:
    """The code of the tags around these texts: none of them can hold it, being a digest of them all."""
    body = json.dumps(texts)  # ASCII: half surrogates have no UTF-8
    return digest_bytes(body.encode())[len("sha256:") :][:_CODE_CHARS]


def cut(text: str) -> str:
    """At most ``MAX_CHARS`` characters: the middle goes, and how much of it is said."""
    if len(text) <= MAX_CHARS:
        return text
    head = int(MAX_CHARS * _HEAD)
    tail = MAX_CHARS - head
    return f"{text[:head]}\n[… {len(text) - MAX_CHARS:,} characters are left out here …]\n{text[-tail:]}"


def neutralised(text: str) -> str:
    """The text with tags and grades broken: ``<answer>`` becomes ``&lt;answer>``, ``GRADE: 5`` ``GRADE(quoted): 5``.

    They are found through full-width and look-alike letters and through characters that are drawn as nothing. Control
    characters (terminal escapes) and half surrogates become U+FFFD; all else stays as it is.
    """
    clean = "".join("\ufffd" if _is_control(character) else character for character in text)
    folded, places = _folded(clean)
    changes: dict[int, str] = {}  # index in the text -> what stands there, or behind it
    for match in _TAG.finditer(folded):
        changes[places[match.start()]] = "&#91;" if match.group() == "[" else "&lt;"
    quoted = {places[match.end() - 1] for match in _MARKER.finditer(folded)}
    if not changes and not quoted:
        return clean
    return "".join(
        changes.get(index, character) + ("(quoted)" if index in quoted else "") for index, character in enumerate(clean)
    )


def _folded(text: str) -> tuple[str, list[int]]:
    """(the text as it looks: lower-case, in Latin letters, without what cannot be seen; where each character was)."""
    if text.isascii():
        return text.lower(), list(range(len(text)))
    letters: list[str] = []
    places: list[int] = []
    for index, character in enumerate(text):
        if character.isascii():
            plain = character.lower()
        elif unicodedata.category(character) in _DRAWN_AS_NOTHING or character in "\u115f\u1160\u2800\u3164\uffa0":
            continue
        else:
            plain = unicodedata.normalize("NFKD", character).casefold().translate(_ALIKE)
        for letter in plain:
            if letter.isascii() or unicodedata.category(letter) not in _DRAWN_AS_NOTHING:
                letters.append(letter)
                places.append(index)
    return "".join(letters), places


def _is_control(character: str) -> bool:
    if character in _KEPT_CONTROLS:
        return False
    return character < " " or "\x7f" <= character <= "\x9f" or "\ud800" <= character <= "\udfff"
