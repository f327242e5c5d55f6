"""The honest floor: what the retrieved examples alone would answer, without any model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from skillforge.canonical import canonical_json
from skillforge.engine.compiled import compiled
from skillforge.engine.frame import complete_input
from skillforge.messages import Cost, Usage
from skillforge.run import Run
from skillforge.skill import Skill


def label_fields(skill: Skill) -> tuple[str, ...]:
    """The output fields that are labels (an enum or a boolean): those a vote can answer."""
    if skill.output == "text":
        return ()
    return tuple(name for name, schema in skill.output.items() if "enum" in schema or schema.get("type") == "boolean")


@dataclass(frozen=True)
class NoModelExecutor:
    """Majority label of the nearest examples, field by field; the nearest example decides ties. Other fields stay out.

    When a skill shows its examples another way than by nearness, the nearest ``k`` are still what a retrieval without
    a model would use.
    """

    student: str = "no-model"
    concurrency: int = 1
    identity: str = "majority-of-nearest"

    async def execute(self, skill: Skill, given: Mapping[str, Any], epoch: int = 0) -> Run:
        values = complete_input(skill, given)
        nearest = compiled(skill).index.nearest(values, skill.examples.k)
        labels = label_fields(skill) if nearest else ()
        output = {name: _majority([example.output.get(name) for example in nearest]) for name in labels}
        return Run(
            skill=skill.name,
            digest=compiled(skill).digest,
            student=self.student,
            model=self.identity,
            status="ok" if nearest else "failed",
            reason="" if nearest else "the skill has no examples",
            input=values,
            output=output if nearest else None,
            usage=Usage(input_tokens=0, output_tokens=0),
            cost=Cost(usd=0.0),
        )


def _majority(labels: list[Any]) -> Any:
    """The most common label; among equals the one that stands nearest (last in the list)."""
    keys = [canonical_json(label) for label in labels]
    counts = Counter(keys)
    best = max(range(len(labels)), key=lambda at: (counts[keys[at]], at))
    return labels[best]
