"""What clients run or replace in a ``SKILL.md`` when they load it, before any model reads it.

Some of them work on the bare text: neither a fenced block nor a code span protects it, and nothing escapes it in all of
them. So what must reach the model as it is may not hold such text at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from skillforge.formats.frontmatter import Part

SHOWN = 40

_EXPANSIONS: tuple[tuple[re.Pattern[str], str, str], ...] = (
    (re.compile(r"!`[^`]+`"), "some agents run this as a shell command", "leave the exclamation mark out"),
    (re.compile(r"^[ \t>]*(?:`{3,}|~{3,})[ \t]*!", re.MULTILINE), "some agents run such a block", "drop the !"),
    (
        re.compile(r"\$ARGUMENTS|\$\{?[0-9]"),
        "some agents put the caller's arguments here",
        "an amount of money: USD 5; else spell it out",
    ),
    (re.compile(r"\$\{CLAUDE_[A-Z_]*"), "some agents put a value of their own here", "spell it out"),
)


@dataclass(frozen=True, slots=True)
class Expansion:
    """One such place: the ``field`` of the skill, the ``line`` of that field's text (from 1), what stands there."""

    field: str
    line: int
    found: str
    effect: str
    hint: str


def expansions(parts: Sequence[Part]) -> Iterator[Expansion]:
    """Every place where the joined texts of ``parts`` would be run or replaced, in the order of the text.

    Joined, because what is harmless in two texts may be a command where they meet.
    """
    text = "".join(piece for _, piece in parts)
    matches = [(match, effect, hint) for pattern, effect, hint in _EXPANSIONS for match in pattern.finditer(text)]
    for match, effect, hint in sorted(matches, key=lambda item: item[0].start()):
        field, line = _place(parts, match.start())
        found = " ".join(match[0].split())
        yield Expansion(field, line, found if len(found) <= SHOWN else f"{found[:SHOWN]}…", effect, hint)


def _place(parts: Sequence[Part], offset: int) -> tuple[str, int]:
    for field, piece in parts:
        if offset < len(piece):
            return field, piece.count("\n", 0, offset) + 1
        offset -= len(piece)
    raise AssertionError("a match lies inside the text")
