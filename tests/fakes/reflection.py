"""A student whose score depends on its instructions, and teachers that better or spoil them. Real code in between."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from skillforge.case import Case
from skillforge.errors import BudgetReached
from skillforge.skill import Skill
from skillforge.students.tune.values import CaseScore, Task

LABELS = ("apple", "birch", "cedar", "daisy")
START = "You sort messages.\nSay apple for fruit."
LAW = "Never invent a label."

Answering = Callable[[str, str], str]


def sorting_skill(instructions: str = START) -> Skill:
    return Skill(
        name="sorting",
        description="Sort messages.",
        input={"text": {"type": "string"}},
        output={"label": {"enum": list(LABELS)}},
        instructions=instructions,
        prompt="{{ text }}",
    )


def sorting_cases(count: int, first: int = 0) -> list[Case]:
    """``count`` cases, their labels in turn; no two share a longer run of words."""
    return [
        Case(
            id=f"c{number}",
            input={"text": f"w{number}a w{number}b w{number}c w{number}d w{number}e about {LABELS[number % 4]}"},
            expected={"label": LABELS[number % len(LABELS)]},
        )
        for number in range(first, first + count)
    ]


@dataclass
class Student:
    """Answers rightly whatever its instructions name (``Say LABEL``). ``asked`` holds (instructions, case id) of every
    run; ``known`` is a store: what is in it is not run again. After ``budget`` runs it raises ``BudgetReached``.
    """

    asked: list[tuple[str, str]] = field(default_factory=list)
    known: dict[tuple[str, str], CaseScore] = field(default_factory=dict)
    budget: int | None = None
    before: Callable[[], Awaitable[None]] | None = None

    async def measure(self, skill: Skill, cases: Sequence[Case]) -> dict[str, CaseScore]:
        if self.before is not None:
            await self.before()
        return {case.id: self._score(skill, case) for case in cases}

    def _score(self, skill: Skill, case: Case) -> CaseScore:
        key = (skill.instructions, case.id)
        if key not in self.known:
            if self.budget is not None and len(self.asked) >= self.budget:
                raise BudgetReached("the budget is spent")
            self.asked.append(key)
            self.known[key] = self.answer(skill, case)
        return self.known[key]

    def answer(self, skill: Skill, case: Case) -> CaseScore:
        label = case.expected["label"]
        right = f"Say {label}" in skill.instructions
        return CaseScore(case_id=case.id, score=float(right), output={"label": label if right else "?"})


@dataclass
class Asked:
    """A teacher: ``answering(purpose, prompt)``. ``prompts`` holds every question; what is in ``known`` is free."""

    answering: Answering
    prompts: list[str] = field(default_factory=list)
    known: dict[str, str] = field(default_factory=dict)

    async def ask(self, purpose: str, prompt: str) -> str:
        if prompt not in self.known:
            self.prompts.append(prompt)
            self.known[prompt] = self.answering(purpose, prompt)
        return self.known[prompt]


def wanted(prompt: str) -> list[str]:
    """The labels that were wanted where the student's answer was another, as the prompt shows them."""
    rows = [row for block in _blocks(prompt) for row in block if isinstance(row, dict) and "wanted" in row]
    return list(dict.fromkeys(row["wanted"]["label"] for row in rows if row["score"] < 1))


def instructions_in(prompt: str) -> str:
    """The instructions that the prompt shows, rule by rule or whole."""
    for block in _blocks(prompt):
        if block and isinstance(block[0], dict) and "rule" in block[0]:
            return "\n".join(row["text"] for row in block)
        if block and isinstance(block[0], str):
            return block[0]
    return ""


def good_edits(purpose: str, prompt: str) -> str:
    """One rule for the first label that went wrong."""
    label = (wanted(prompt) or ["apple"])[0]
    rules = len([line for line in instructions_in(prompt).split("\n") if line.strip()])
    edits = [{"op": "add", "rule": rules, "text": f"Say {label} for that kind."}]
    return json.dumps({"why": f"{label} is missing", "edits": edits})


def good_rewrite(purpose: str, prompt: str) -> str:
    """The same as whole instructions."""
    label = (wanted(prompt) or ["apple"])[0]
    told = f"{instructions_in(prompt)}\nSay {label} for that kind."
    return json.dumps({"why": f"{label} is missing", "instructions": told})


def either(purpose: str, prompt: str) -> str:
    """The answer that the prompt asks for."""
    return good_edits(purpose, prompt) if '"edits"' in prompt else good_rewrite(purpose, prompt)


def task_of(student: Student, teacher: Asked, calls: int = 400, **more: Any) -> Task:
    cases = sorting_cases(40)
    given: dict[str, Any] = {
        "skill": sorting_skill(),
        "student": "fake:student",
        "feedback": cases[:20],
        "selection": cases[20:],
        "measure": student.measure,
        "ask": teacher.ask,
        "calls": calls,
    }
    return Task(**(given | more))


def _blocks(prompt: str) -> list[list[Any]]:
    found = re.findall(r"<data>\n(.*?)</data>", prompt, re.DOTALL)
    return [[json.loads(line) for line in block.splitlines()] for block in found]
