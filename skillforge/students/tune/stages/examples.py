"""Which examples are shown, how they are chosen, and how many.

Student-verified: of the train cases the student is asked, those that it answers rightly with the form it has so far
(each without itself among the examples) are ones it can follow; a bootstrap from the student, not from the teacher.
Nearest examples break the prompt cache after the instructions, long fixed ones fill it: every candidate's forecast is
priced at cached rates before anything is measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import zip_longest

from skillforge.canonical import canonical_json
from skillforge.case import Case
from skillforge.engine.frame import BY_INPUT, complete_input
from skillforge.skill import Example, Examples, Select
from skillforge.students.tune.grounds import Grounds, Proposed, Stage
from skillforge.students.tune.values import Candidate

VERIFIED = 24  # train cases the student is asked at most
POOL = 600  # examples to choose from at most
NEAREST, FIXED = (2, 4, 8), (4, 8)
GROUPED = (6, 10)  # only where examples share their answers
_NEAR_VERIFIED = 4
_SHARE = 6  # a sixth of the calls of the search goes into verifying


async def propose(grounds: Grounds, best: Candidate) -> Proposed:
    own = grounds.form(best).examples
    shown = list(own.items) or list(grounds.skill.examples.items)
    pool = _merged(shown, grounds.train, grounds)[:POOL]
    if not pool:
        return Proposed(said="no examples: the skill has none, and no train case has a label")
    verified, said = await _verified(grounds, best)
    found = [_with(grounds, best, pool, "nearest", k, "of all") for k in NEAREST if k <= len(pool)]
    if len({canonical_json(example.output) for example in pool}) < len(pool):
        found += [_with(grounds, best, pool, "grouped", k, "of all") for k in GROUPED if k <= len(pool)]
    fixed, whose = (verified, "the student gets right") if verified else (_mixed(pool), "of all")
    found += [_with(grounds, best, fixed, "first", k, whose) for k in FIXED if k <= len(fixed)]
    if len(verified) > _NEAR_VERIFIED:
        found.append(_with(grounds, best, verified, "nearest", _NEAR_VERIFIED, whose))
    return Proposed(tuple(found), said)


async def _verified(grounds: Grounds, best: Candidate) -> tuple[list[Example], str]:
    most = VERIFIED if grounds.calls is None else min(VERIFIED, grounds.calls // _SHARE)
    asked = grounds.part(grounds.train, most)
    if len(asked) < min(FIXED):
        return [], "too few train cases or calls to verify examples with the student"
    scores = await grounds.measure(grounds.form(best), asked)
    right = set(grounds.right(scores))
    kept = [_example(case) for case in asked if case.id in right]
    return _mixed(kept), f"the student gets {len(kept)} of {len(asked)} train cases right"


def _with(grounds: Grounds, best: Candidate, items: Sequence[Example], select: Select, k: int, whose: str) -> Candidate:
    chosen = items if select in BY_INPUT else items[:k]  # what is not shown would only swell the file
    examples = Examples(items=tuple(chosen), select=select, k=k)
    how = "fixed" if select == "first" else "nearest" if select == "nearest" else "nearest, grouped by answer,"
    return grounds.changed(best, STAGE.name, f"{k} {how} examples {whose} ({len(chosen)})", examples=examples)


def _merged(items: Sequence[Example], cases: Iterable[Case], grounds: Grounds) -> list[Example]:
    """The examples, then the labelled train cases that ask something else."""
    found: dict[bytes, Example] = {}
    for example in [*items, *map(_example, cases)]:
        asked = canonical_json(complete_input(grounds.skill, example.input))
        found.setdefault(asked, example)
    ids = [example.id for example in found.values()]
    return [
        example if ids.count(example.id) == 1 else example.model_copy(update={"id": f"{example.id}-{number}"})
        for number, example in enumerate(found.values(), start=1)
    ]


def _mixed(items: Sequence[Example]) -> list[Example]:
    """Examples of different answers in turn, so that the first few show as many answers as can be."""
    groups: dict[bytes, list[Example]] = {}
    for item in items:
        groups.setdefault(canonical_json(item.output), []).append(item)
    return [item for row in zip_longest(*groups.values()) for item in row if item is not None]


def _example(case: Case) -> Example:
    return Example(id=case.id, input=case.input, output=case.expected)


STAGE = Stage("examples", propose)
