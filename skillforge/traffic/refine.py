"""From the members of a cluster to the exact constants between named gaps."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from skillforge.template import RESERVED_NAMES
from skillforge.traffic.mining import CONSTANT
from skillforge.traffic.segments import shared_start
from skillforge.traffic.skeleton import Turn

ENOUGH = 8  # distinct values, before words that all begin or end with are taken for the template's
_EDGE = 200  # characters at the end of a constant that are looked at for half a word
_TAG = re.compile(r"<([A-Za-z][\w.-]*)>\s*$")
_BRACKET = re.compile(r"\[([^\[\]\n]{1,60})\]\s*$")
_HEADER = re.compile(r"(?:^|\n)#+ *([^\n]{1,60}?)[ :]*\s*$")
_LABEL = re.compile(r"(?:^|[\n.,;!?(\[{*>-])[ \t*\"']*([A-Za-z][\w /-]{0,40}?)[ \t*\"']*[:=][\s*\"'`]*$")
_LINE = re.compile(r"(?:^|\n)[ \t*>-]*([A-Za-z][\w /-]{0,30}?)[ *]*:\s[^\n]*$")  # somewhere in a labelled line
_DATE = re.compile(r"\D{0,12}\d{4}-\d\d-\d\d\D|\D{0,12}\d{1,2}[./]\d{1,2}[./]\d{2,4}")


def turn_columns(members: Sequence[Sequence[tuple[int, str]]], constants: Sequence[int]) -> list[list[str]]:
    """What stands at each place of one turn: a gap, a constant, a gap, … in the members that hold all constants.

    A member is the turn's pieces, each with its number. The values of a column are in the order of the members.
    """
    rows = [row for member in members if (row := _row(member, constants)) is not None]
    return [[row[at] for row in rows] for at in range(2 * len(constants) + 1)]


def _row(member: Sequence[tuple[int, str]], constants: Sequence[int]) -> list[str] | None:
    row, gap, wanted = [], "", list(constants)
    for number, text in member:
        if wanted and number == wanted[0]:
            row += [gap, text]
            gap = ""
            wanted.pop(0)
        else:
            gap += text
    return None if wanted else [*row, gap]


def exact_turn(role: str, columns: Sequence[list[str]]) -> Turn:
    """The turn's constants to the character; its gaps are called ``""`` until ``named``."""
    texts, gaps = [""], 0
    values: list[str] | None = None  # of the gap that is open
    for column, share in _settled(columns):
        constant = _constant(column, share)
        if constant is None:
            values = column if values is None else [a + b for a, b in zip(values, column, strict=True)]
        elif constant and values is None:
            texts[-1] += constant
        elif constant:
            assert values is not None
            gaps += _close(texts, values)
            texts[-1] += constant
            values = None
    if values is not None:
        gaps += _close(texts, values)
    return Turn.model_validate({"role": role, "texts": tuple(texts), "gaps": ("",) * gaps})


def _settled(columns: Sequence[list[str]]) -> Iterator[tuple[list[str], float]]:
    """The columns, each with the share of members that make it constant; where a constant is not the same in all
    (numbers in it, white space after it) it is parted into what is and what is not.

    White space that few have and no gap could take is left to the few.
    """
    for at, column in enumerate(columns):
        after = columns[at + 1] if at + 1 < len(columns) else [""]
        alone = len({text.strip() for text in column}) == 1 and _constant(column) is not None
        if at % 2 == 0 or len(set(column)) == 1 or (alone and _constant(after) is not None):
            yield column, CONSTANT
            continue
        head, tail = common_ends(column, enough=1)
        yield [head] * len(column), 1.0
        yield [text[len(head) : len(text) - len(tail)] for text in column], 1.0
        yield [tail] * len(column), 1.0


def _constant(values: Sequence[str], share: float = CONSTANT) -> str | None:
    text, count = Counter(values).most_common(1)[0]
    return text if count >= share * len(values) else None


def _close(texts: list[str], values: Sequence[str]) -> int:
    """End a gap: what all its values begin and end with belongs to the constants around it."""
    head, tail = common_ends(values)
    texts[-1] += head
    texts.append(tail)
    return 1


def common_ends(values: Sequence[str], *, enough: int = ENOUGH) -> tuple[str, str]:
    """What all values begin and end with, cut back to whole words; of fewer than ``enough``, no words."""
    head = shared_start(min(values), max(values))
    backwards = [value[::-1] for value in values]
    tail = shared_start(min(backwards), max(backwards))[::-1]
    if len(set(values)) < enough:  # white space and punctuation alone: words may be chance
        head, tail = re.sub(r"(?s)\w.*", "", head), re.sub(r"(?s).*\w", "", tail)
    head = head[:-_EDGE] + re.sub(
        r"\S*\d\S*$|\w+$", "", head[-_EDGE:]
    )  # back to a whole word, or before a whole date or number
    tail = re.sub(r"^\S*\d\S*|^\w+", "", tail)
    shortest = min(map(len, values))
    if len(head) + len(tail) > shortest:
        tail = tail[len(tail) - max(0, shortest - len(head)) :]
    return head, tail


def named(
    turns: Sequence[Turn], samples: Sequence[Sequence[Sequence[str]]], *, taken: Sequence[str] = ()
) -> list[Turn]:
    """The turns with names for their gaps: the label before, else ``date``, ``context`` (system) or ``text``.

    ``samples`` holds for every turn, for every gap, some of its values.
    """
    used = {*taken}
    found: list[Turn] = []
    for turn, values in zip(turns, samples, strict=True):
        gaps = []
        for at, gap_values in enumerate(values):
            name = _label(turn.texts[at]) or _by_values(gap_values) or ("context" if turn.role == "system" else "text")
            gaps.append(_free(name, used))
        found.append(turn.model_copy(update={"gaps": tuple(gaps)}))
    return found


def _label(before: str) -> str:
    for pattern in (_TAG, _BRACKET, _HEADER, _LABEL, _LINE):
        label = pattern.search(before[-120:])
        if label is not None:
            words = re.findall(r"[a-z0-9]+", label.group(1).lower())
            if words and len(words) <= 3 and not words[0][0].isdigit():
                return str("_".join(words)[:40])
            if words and len(words[-1]) > 2 and words[-1].isalpha():
                return str(words[-1][:40])
    return ""


def _by_values(values: Sequence[str]) -> str:
    shown = [value for value in values if value.strip()]
    return "date" if shown and all(len(value) < 40 and _DATE.match(value + " ") for value in shown) else ""


def _free(name: str, used: set[str]) -> str:
    if name in RESERVED_NAMES or name == "self":
        name += "_text"
    number, free = 1, name
    while free in used:
        number += 1
        free = f"{name}_{number}"
    used.add(free)
    return free
