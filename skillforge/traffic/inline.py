"""Templates inside one sentence: the first and last words are the same, what stands between them is not."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from skillforge.traffic.refine import common_ends
from skillforge.traffic.sample import RECURS
from skillforge.traffic.segments import shared_end, shared_start
from skillforge.traffic.skeleton import Turn

# First and last words that members share, tried in this order, and how many characters they must share in the end:
# questions begin and end alike by chance, the fewer words the oftener.
_KEYS = ((1, 3, 30), (3, 1, 30), (3, 3, 25), (6, 0, 35), (0, 6, 35))
_MANY = 12  # members; fewer must share more
_MORE = 10
_EDGE = 200  # characters at the end of a constant that are looked at for half a word
_WORD = re.compile(r"\w+")


def inline_clusters(prompts: Sequence[tuple[str, ...]]) -> Iterator[tuple[list[int], list[Turn]]]:
    """Members (places in ``prompts``: system and question) and their turns, gaps not named yet."""
    left = list(range(len(prompts)))
    found: list[tuple[list[int], str, Turn]] = []
    for first, last, least in _KEYS:
        groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for place in left:
            system, question = prompts[place]
            words = _WORD.findall(question)
            if len(words) > first + last:
                groups[(system, *words[:first], "", *words[len(words) - last :])].append(place)
        taken: set[int] = set()
        for members in groups.values():
            wanted = least if len(members) >= _MANY else least + _MORE
            if len(members) >= RECURS and (turn := _turn([prompts[place][1] for place in members], wanted)):
                taken.update(members)
                found.append((members, prompts[members[0]][0], turn))
        left = [place for place in left if place not in taken]
    for members, system, turn in _joined(found):
        yield members, [Turn(role="system", texts=(system,)), turn]


def _turn(texts: Sequence[str], least: int) -> Turn | None:
    head, tail = common_ends(texts, enough=RECURS)
    return Turn(role="user", texts=(head, tail), gaps=("",)) if len(head) + len(tail) >= least else None


def _joined(found: Sequence[tuple[list[int], str, Turn]]) -> Iterator[tuple[list[int], str, Turn]]:
    """Templates that differ by a word at one end (``into German please``, ``into French please``) are one."""
    families: list[tuple[list[int], str, list[Turn]]] = []
    for members, system, turn in found:
        for family in families:
            if family[1] == system and _varying_end(*family[2], turn) is not None:
                family[0].extend(members)
                family[2].append(turn)
                break
        else:
            families.append(([*members], system, [turn]))
    for members, system, turns in families:
        yield members, system, turns[0] if len(turns) == 1 else _varying_end(*turns) or turns[0]


def _varying_end(*turns: Turn) -> Turn | None:
    """The turn that all are, with a gap where one end varies; ``None`` where they are too unlike."""
    heads, tails = [turn.texts[0] for turn in turns], [turn.texts[1] for turn in turns]
    wide = min(turns, key=lambda turn: turn.constant)
    if all(_is_within(turn, wide) for turn in turns):
        return wide
    if len(set(heads)) == 1 and (ends := _around(tails)):
        return Turn(role="user", texts=(heads[0], *ends), gaps=("", ""))
    if len(set(tails)) == 1 and (ends := _around(heads)):
        return Turn(role="user", texts=(*ends, tails[0]), gaps=("", ""))
    return None


def _is_within(narrow: Turn, wide: Turn) -> bool:
    return narrow.texts[0].startswith(wide.texts[0]) and narrow.texts[1].endswith(wide.texts[1])


def _around(texts: Sequence[str]) -> tuple[str, str] | None:
    start, end = texts[0], texts[0]
    for text in texts[1:]:
        start, end = shared_start(start, text), shared_end(end, text)
    start, end = start[:-_EDGE] + re.sub(r"\w+$", "", start[-_EDGE:]), re.sub(r"^\w+", "", end)
    shortest = min(map(len, texts))
    enough = _WORD.search(start) is not None and _WORD.search(end) is not None
    return (start, end) if enough and shortest / 2 <= len(start) + len(end) < shortest else None
