"""Drop what does not change the score: examples, then parts of the instructions.

A part is a paragraph or a line of a list; halves and quarters of them are left out, as in delta debugging (Zeller and
Hildebrandt 2002, IEEE TSE 28:183-200), never one that holds a sentence that must be kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from skillforge.engine.frame import BY_INPUT
from skillforge.skill import Skill
from skillforge.students.tune.grounds import Grounds, Proposed, Stage
from skillforge.students.tune.values import Candidate

_LEAST = 80  # characters of instructions: less is nothing to save


async def propose(grounds: Grounds, best: Candidate) -> Proposed:
    form = grounds.form(best)
    found = _fewer_examples(grounds, best, form)
    parts = form.instructions.splitlines(keepends=True)
    kept = {number for number, part in enumerate(parts) if not part.strip() or _must_stay(part, grounds.skill.keep)}
    droppable = [number for number in range(len(parts)) if number not in kept]
    if len(form.instructions) >= _LEAST and len(droppable) > 1 and best.variant.form == "skill":
        for chunk in _chunks(droppable):
            rest = "".join(part for number, part in enumerate(parts) if number not in chunk).strip()
            note = f"without {len(chunk)} of {len(droppable)} lines of the instructions"
            if rest:
                found.append(grounds.changed(best, STAGE.name, note, instructions=rest))
    return Proposed(tuple(found), "" if found else "nothing to leave out")


def _fewer_examples(grounds: Grounds, best: Candidate, form: Skill) -> list[Candidate]:
    examples = form.examples
    shown = len(examples.items) if examples.select == "all" else min(examples.k, len(examples.items))
    if shown < 2:
        return []
    fewer = shown // 2
    select = "first" if examples.select == "all" else examples.select
    items = examples.items if select in BY_INPUT else examples.items[:fewer]
    update = examples.model_copy(update={"items": items, "select": select, "k": fewer, "file": None})
    return [grounds.changed(best, STAGE.name, f"{fewer} examples instead of {shown}", examples=update)]


def _must_stay(part: str, keep: Sequence[str]) -> bool:
    line = part.strip()
    return any(line in sentence or sentence in part for sentence in keep)


def _chunks(numbers: Sequence[int]) -> list[set[int]]:
    """Both halves and the quarters of what can be dropped."""
    n = len(numbers)
    found: list[set[int]] = []
    for pieces in (2, 4):
        if n >= pieces:
            edges = [n * each // pieces for each in range(pieces + 1)]
            found += [set(numbers[low:high]) for low, high in pairwise(edges)]
    return [chunk for number, chunk in enumerate(found) if chunk and chunk not in found[:number]]


STAGE = Stage("compression", propose, trades=True)
