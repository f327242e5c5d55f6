"""The fewest tokens of thinking that still pass. Only for students that were seen to think before they answer."""

from __future__ import annotations

from typing import Literal

from skillforge.students.tune.grounds import Grounds, Proposed, Stage
from skillforge.students.tune.values import Candidate

EFFORTS: tuple[Literal["none", "minimal", "low", "medium"], ...] = ("none", "minimal", "low", "medium")


async def propose(grounds: Grounds, best: Candidate) -> Proposed:
    if not grounds.thinks():
        return Proposed(said="left as it is: this student was not seen to think before it answers")
    decoding = grounds.form(best).decoding
    found = [
        grounds.changed(best, STAGE.name, f"effort {effort}", decoding=decoding.model_copy(update={"effort": effort}))
        for effort in EFFORTS
        if effort != decoding.effort
    ]
    return Proposed(tuple(found))


STAGE = Stage("effort", propose, trades=True)
