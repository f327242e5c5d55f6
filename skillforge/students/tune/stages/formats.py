"""How the answer is written: held to the contract, any JSON, or free; and in which order its fields come.

A grammar in another order than the examples' forces a small model off the words it was shown: the orders that are tried
are the contract's, that of the examples as they were written, and texts before labels.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Literal

from skillforge.engine.nomodel import label_fields
from skillforge.skill import Skill
from skillforge.students.tune.grounds import Grounds, Proposed, Stage
from skillforge.students.tune.values import Candidate

Format = Literal["schema", "spans", "json", "free"]
FORMATS: tuple[Format, ...] = ("schema", "free", "json")


async def propose(grounds: Grounds, best: Candidate) -> Proposed:
    form = grounds.form(best)
    if form.output == "text":
        return Proposed(said="the answer is a text: it has no format")
    found = []
    for keys in orders(form):
        for kind in formats(form) if form.examples.items or not keys else FORMATS[:1]:  # else nobody says the order
            decoding = form.decoding.model_copy(update={"format": kind, "keys": keys})
            if decoding != form.decoding:
                found.append(grounds.changed(best, STAGE.name, _note(kind, keys), decoding=decoding))
    return Proposed(tuple(found))


def formats(skill: Skill) -> tuple[Format, ...]:
    """Those worth trying: spans too where a check asks that something stands in the input."""
    copies = any(check.type == "in-input" for check in skill.checks)
    return (*FORMATS, "spans") if copies else FORMATS


def orders(skill: Skill) -> list[tuple[str, ...]]:
    """The orders of keys worth trying, each once; ``()`` is the contract's."""
    if skill.output == "text" or len(skill.output) < 2:
        return [()]
    contract = tuple(skill.output)
    labels = label_fields(skill)
    found: list[tuple[str, ...]] = [()]
    shown = Counter(tuple(item.output) for item in skill.examples.items if _whole(item.output, contract))
    if shown:
        found.append(min(shown, key=lambda keys: (-shown[keys], keys)))
    found.append((*(name for name in contract if name not in labels), *labels))
    return list(dict.fromkeys(() if keys == contract else keys for keys in found))


def _whole(output: Any, contract: tuple[str, ...]) -> bool:
    return isinstance(output, dict) and sorted(output) == sorted(contract)


def _note(kind: str, keys: tuple[str, ...]) -> str:
    said = {
        "schema": "held to the contract",
        "spans": "held to the contract and to the words of the input",
        "json": "any JSON object",
        "free": "free text read as JSON",
    }[kind]
    return said + (f", in the order {', '.join(keys)}" if keys else "")


STAGE = Stage("format", propose)
