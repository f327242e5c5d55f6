"""Pieces of a prompt: lines, labels, sentences, tags. Joined again they are the prompt, to the character."""

from __future__ import annotations

import re

MAX_SEGMENTS = {"system": 1_000, "user": 160}  # per turn; what lies between head and tail is one piece
LONG = 20  # characters: a recurring piece this long is more likely a template's than a chance of the data

_LINES = re.compile(r"[^\n]*\n\s*|[^\n]+")
# What stands apart inside a line: tags, fences, triple quotes, the keys of JSON objects.
_MARKS = re.compile(r'(</?[A-Za-z][\w.-]{0,40}>\s*|```\w*\s*|"""\s*|(?:[{,]\s*)?"[\w -]{1,40}":\s*)')
_LABEL = re.compile(r"[^\n:]{1,160}?:(?=\s|$)\s*")
_SENTENCE = re.compile(r".*?[.?!][\"')\]]?\s+|.+", re.DOTALL)
_DIGITS = re.compile(r"\d+")
_LABELLED = re.compile(r"(?:(?:[{,]\s*)?\"[\w -]{1,40}\":|[\w][\w /_;&'-]{0,40}:|#+ [^\n]{1,60}|</?[A-Za-z][\w.-]*>)$")


def split(text: str, role: str) -> list[str]:
    """The pieces of one turn. ``"".join(split(text, role)) == text``; white space belongs to the piece before it."""
    pieces = [piece for line in _LINES.findall(text) for piece in _split_line(line)]
    pieces = _without_blanks(pieces)
    most = MAX_SEGMENTS.get(role, MAX_SEGMENTS["user"])
    if len(pieces) > most:
        half = most // 2
        pieces = [*pieces[:half], "".join(pieces[half:-half]), *pieces[-half:]]
    return pieces


def normal(segment: str) -> str:
    """The form in which two pieces are the same piece: no outer white space, every number ``0`` (dates, counters)."""
    return _DIGITS.sub("0", segment.strip())


def is_label(segment: str) -> bool:
    """Whether a piece announces what follows: ``Ticket:``, ``## Question``, ``<ticket>``."""
    return _LABELLED.fullmatch(segment.strip()) is not None


def is_long(segment: str) -> bool:
    """Long enough (characters and words) to be a template's own text."""
    return len(segment) >= LONG and len(segment.split()) >= 3


def shared_start(left: str, right: str) -> str:
    """What both texts begin with."""
    shortest = min(len(left), len(right))
    return left[: next((at for at in range(shortest) if left[at] != right[at]), shortest)]


def shared_end(left: str, right: str) -> str:
    """What both texts end with."""
    return shared_start(left[::-1], right[::-1])[::-1]


def _split_line(line: str) -> list[str]:
    found: list[str] = []
    for part in _MARKS.split(line):
        if not part or _MARKS.fullmatch(part):
            found.append(part)
            continue
        label = _LABEL.match(part)
        if label is not None:
            found.append(label.group())
            part = part[label.end() :]
        found.extend(_SENTENCE.findall(part))
    return found


def _without_blanks(pieces: list[str]) -> list[str]:
    joined: list[str] = []
    for piece in pieces:
        if joined and not (piece.strip() and joined[-1].strip()):
            joined[-1] += piece
        elif piece:
            joined.append(piece)
    return joined
