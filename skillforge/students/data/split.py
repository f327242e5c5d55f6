"""Train and validation: what belongs together stays together.

A family is what shares a cluster or a conversation, and what reads alike (``evals.alike.related``): relatives on both
sides would let a validation loss fall by memory. Whole families go to validation, in the order of a hash, until the
share is reached.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence

from skillforge.evals.alike import related
from skillforge.formats.finetune.example import Part
from skillforge.students.data.row import Row

SHARE = 0.1


def parts_of(rows: Sequence[Row], *, share: float = SHARE, seed: int = 0) -> tuple[list[Part], int]:
    """The part of each row, and how many families there are. The same rows give the same parts on every machine."""
    families = _families(rows)
    members: dict[int, list[int]] = defaultdict(list)
    for place, family in enumerate(families):
        members[family].append(place)
    wanted = int(share * len(rows) + 0.5)
    parts: list[Part] = ["train"] * len(rows)
    taken = 0
    for family in sorted(members, key=lambda family: _rank(seed, min(rows[place].asked for place in members[family]))):
        places = members[family]
        if taken + len(places) > wanted:
            continue
        taken += len(places)
        for place in places:
            parts[place] = "validation"
    return parts, len(members)


def _families(rows: Sequence[Row]) -> list[int]:
    family = related([row.input for row in rows])

    def root(place: int) -> int:
        while family[place] != place:
            place = family[place]
        return place

    first: dict[str, int] = {}
    for place, row in enumerate(rows):
        if row.kin:
            left, right = root(first.setdefault(row.kin, place)), root(place)
            family[max(left, right)] = min(left, right)
    return [root(place) for place in range(len(rows))]


def _rank(seed: int, asked: bytes) -> bytes:
    return hashlib.sha256(b"%d\n" % seed + asked).digest()
