"""Tuning with each optimiser end to end: scripted models, the real store, the real gepa."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from skillforge.messages import Request
from skillforge.providers.scripted import Scripted
from tests.fakes.reflection import LABELS, LAW, START, either, sorting_cases

STUDENT, TEACHER = "scripted:student", "scripted:teacher"
SKILL = f"""\
schema: skillforge/v1
name: sorting
description: Sort messages.
input: {{text: {{type: string}}}}
output: {{label: {{enum: [{", ".join(LABELS)}]}}}}
instructions: |
  {LAW}
  {START.splitlines()[1]}
prompt: "{{{{ text }}}}"
keep: ["{LAW}"]
"""
ASKED: dict[str, Any] = {"student": STUDENT, "teacher": TEACHER, "stages": ["instructions"], "test": False}
OPTIMIZERS = pytest.mark.parametrize("optimizer", ["reflect", "gepa"])


def student(request: Request) -> dict[str, str]:
    label = next(label for label in LABELS if f"about {label}" in request.key.input["text"])
    right = f"Say {label}" in request.messages[0].text
    return {"label": label if right else LABELS[(LABELS.index(label) + 1) % len(LABELS)]}


@pytest.fixture
def sorting_repo(repo: Path) -> Path:
    (repo / "skills" / "sorting").mkdir(parents=True)
    (repo / "skills" / "sorting" / "skill.yaml").write_text(SKILL)
    (repo / "evals").mkdir()
    cases = [
        {"id": case.id, "input": case.input, "expected": case.expected, "split": "train" if number < 24 else "dev"}
        for number, case in enumerate(sorting_cases(48))
    ]
    (repo / "evals" / "sorting.jsonl").write_text("".join(json.dumps(case) + "\n" for case in cases))
    (repo / "evals" / "sorting.yaml").write_text(
        "schema: skillforge/suite/v1\nname: sorting\nskill: sorting\n"
        "decision: {metric: /label, margin: 0.1}\ncases: file://sorting.jsonl\n"
    )
    return repo


class Counted:
    """Both models, and every request they got."""

    def __init__(self) -> None:
        self.asked: list[Request] = []
        self.reflections: list[str] = []

    def providers(self) -> dict[str, Scripted]:
        return {
            STUDENT: Scripted(default=self._student, name=STUDENT),
            TEACHER: Scripted(default=self._teacher, name=TEACHER),
        }

    def _student(self, request: Request) -> dict[str, str]:
        self.asked.append(request)
        return student(request)

    def _teacher(self, request: Request) -> str:
        self.reflections.append(request.messages[0].text)
        return either("", request.messages[0].text)


@OPTIMIZERS
def test_instructions_are_bettered_and_a_second_run_is_free(
    optimizer: str, sorting_repo: Path, forge_at: Callable[..., Any]
) -> None:
    models = Counted()
    forge = forge_at(sorting_repo, providers=models.providers())
    found = forge.students.tune("sorting", optimizer=optimizer, **ASKED)
    assert found.best is not None
    assert (found.best.stage, found.best.quality, found.best.decided.outcome) == ("instructions", 1.0, "wins")
    assert LAW in found.best.variant.instructions
    asked = len(models.asked), len(models.reflections)
    assert found.calls == sum(asked)
    again = forge_at(sorting_repo, providers=models.providers()).students.tune("sorting", optimizer=optimizer, **ASKED)
    assert again.winner == found.winner
    assert (len(models.asked), len(models.reflections)) == asked


@OPTIMIZERS
def test_the_teacher_sees_no_dev_case(optimizer: str, sorting_repo: Path, forge_at: Callable[..., Any]) -> None:
    models = Counted()
    forge_at(sorting_repo, providers=models.providers()).students.tune("sorting", optimizer=optimizer, **ASKED)
    dev = [case.input["text"] for case in sorting_cases(48)[24:]]
    assert models.reflections
    assert not any(text in prompt for text in dev for prompt in models.reflections)


@OPTIMIZERS
@pytest.mark.parametrize("calls", [25, 40, 60, 90])
def test_the_budget_holds_over_student_and_teacher(
    optimizer: str, calls: int, sorting_repo: Path, forge_at: Callable[..., Any]
) -> None:
    models = Counted()
    forge = forge_at(sorting_repo, providers=models.providers())
    found = forge.students.tune("sorting", optimizer=optimizer, budget=f"{calls}calls", **ASKED)
    assert len(models.asked) + len(models.reflections) == found.calls <= calls


@pytest.mark.anyio
async def test_cancelling_a_tuning_ends_the_thread_of_gepa(sorting_repo: Path, forge_at: Callable[..., Any]) -> None:
    reached, go = threading.Event(), threading.Event()
    models = Counted()

    def slow(request: Request) -> str:
        reached.set()
        go.wait(5)
        return either("", request.messages[0].text)

    providers = {**models.providers(), TEACHER: Scripted(default=slow, name=TEACHER)}
    forge = forge_at(sorting_repo, providers=providers)
    work = asyncio.create_task(forge.students.atune("sorting", optimizer="gepa", **ASKED))
    await asyncio.to_thread(reached.wait, 5)
    work.cancel()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await work
    for _ in range(200):
        if not any(thread.name == "skillforge-optimizer" for thread in threading.enumerate()):
            break
        await asyncio.sleep(0.01)
    assert not any(thread.name == "skillforge-optimizer" for thread in threading.enumerate())


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
