"""What a program's own prompt and model answered, as an executor: the arm ``today``. Nothing is asked."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from skillforge.canonical import canonical_json, digest_bytes
from skillforge.case import Case
from skillforge.engine.compiled import compiled
from skillforge.engine.frame import complete_input
from skillforge.engine.parse import parse_output
from skillforge.errors import UsageError
from skillforge.messages import Cost
from skillforge.run import Attempt, Run
from skillforge.skill import Skill
from skillforge.today import TodayAnswer

TODAY = "today"
REFUSALS = frozenset({"refusal", "content_filter"})
CUTS = frozenset({"length", "max_tokens", "max_output_tokens", "incomplete"})  # as the APIs say it
_SHOWN = 80  # characters of a model's name: it comes from a log
_UNPRINTABLE = re.compile(r"[^\x21-\x7e]+")


@dataclass(frozen=True)
class RecordedExecutor:
    """Answers an input from the recorded answers, ``answers`` by canonical input as it stands in the suite.

    Usage, cost with its cache hits, latency and model are the recorded ones; nothing is repaired. ``student`` names
    the model that answered most.
    """

    answers: Mapping[bytes, TodayAnswer]
    concurrency: int = 1

    @classmethod
    def of(cls, cases: Iterable[Case], answers: Mapping[str, TodayAnswer]) -> RecordedExecutor:
        """The answers (by case id) to these cases; of equal inputs the first one's stands for all."""
        found: dict[bytes, TodayAnswer] = {}
        for case in cases:
            if case.id in answers:
                found.setdefault(canonical_json(case.input), answers[case.id])
        return cls(found)

    @cached_property
    def student(self) -> str:
        models = Counter(_UNPRINTABLE.sub("", answer.model)[:_SHOWN] for answer in self.answers.values())
        ranked = sorted((name for name in models if name), key=lambda name: (-models[name], name))
        more = f" and {len(ranked) - 1} more" if len(ranked) > 1 else ""
        return f"{TODAY} ({ranked[0]}{more})" if ranked else TODAY

    @cached_property
    def identity(self) -> str:
        said = {key.hex(): answer.model_dump(exclude={"case"}) for key, answer in self.answers.items()}
        return f"{TODAY} {digest_bytes(json.dumps(said, sort_keys=True).encode())}"

    def covers(self, case: Case) -> bool:
        """Whether there is a recorded answer to the case."""
        return canonical_json(case.input) in self.answers

    async def execute(self, skill: Skill, given: Mapping[str, Any], epoch: int = 0) -> Run:
        """Raises ``InvalidInput`` for an input that does not fit the contract, ``UsageError`` for one not answered."""
        values = complete_input(skill, given)
        answer = self.answers.get(canonical_json(dict(given)))
        if answer is None:
            raise UsageError(f"{skill.name}: no recorded answer to this input", hint="name a live model instead")
        output, problems = read_answer(skill, answer)
        cost = Cost(usd=answer.usd, estimated=answer.usage.estimated, basis=answer.basis)
        attempt = Attempt(
            kind="student",
            text=answer.text,
            problems=problems,
            stop=answer.stop,
            model=answer.model,
            usage=answer.usage,
            cost=cost,
            list_usd=answer.list_usd,
            latency_s=answer.latency_s,
        )
        return Run(
            skill=skill.name,
            digest=compiled(skill).digest,
            student=self.student,
            model=answer.model,
            status="failed" if problems else "ok",
            reason="; ".join(problems),
            input=values,
            output=output,
            attempts=(attempt,),
            usage=answer.usage,
            cost=cost,
            latency_s=answer.latency_s,
        )


def read_answer(skill: Skill, answer: TodayAnswer) -> tuple[Any, tuple[str, ...]]:
    """``(output, problems)`` of a recorded answer under a contract, as ``parse_output`` says it of a fresh one.

    An answer that was converted when the suite was made (``output``) is judged as that: a program may have asked for a
    bare label where the contract has an object.
    """
    if answer.stop in REFUSALS:
        return None, ("the model refused to answer",)
    cut = answer.stop in CUTS
    if answer.output is None:
        output, problems = parse_output(skill, answer.text)
        if cut and (output is None or skill.output == "text"):
            return None, (*problems, "the answer was cut off")
        return output, problems
    if cut and skill.output == "text":
        return None, ("the answer was cut off",)
    return fitting(skill, answer.output)


def fitting(skill: Skill, output: Any) -> tuple[Any, tuple[str, ...]]:
    """``(output, problems)`` of a value under a contract."""
    outputs = compiled(skill).outputs
    if outputs is None:
        return (output, ()) if isinstance(output, str) else (None, ("the answer is not text",))
    problems = tuple(outputs.problems(output))
    return (None, problems) if problems else (output, ())
