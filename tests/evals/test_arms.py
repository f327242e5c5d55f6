from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from skillforge.case import Case, Decision
from skillforge.engine.execute import PromptExecutor
from skillforge.evals.arms import Arm, build_arms
from skillforge.providers.scripted import Scripted
from skillforge.skill import Skill

EXACT, QUEUE = Decision(), Decision(metric="/queue")
CASE = Case(id="c", input={"ticket": "x"})


def arms(skill: Skill, decision: Decision = QUEUE, *students: str) -> list[Arm]:
    made: list[Any] = [PromptExecutor(Scripted(name=name)) for name in students or ("s",)]
    return build_arms(skill, decision, PromptExecutor(Scripted(name="t"), role="solve"), made)


def names(found: list[Arm]) -> list[str]:
    return [arm.name for arm in found]


def keys(skill: Skill, case: Case = CASE, student: Any = None) -> dict[str, str]:
    executor = PromptExecutor(student or Scripted(name="s"))
    built = build_arms(skill, QUEUE, PromptExecutor(Scripted(name="t")), [executor])
    return {arm.kind: arm.sample_key(case) for arm in built}


def test_the_teacher_comes_first_then_the_floor_then_every_student(triage):
    assert names(arms(triage(), QUEUE, "a", "b")) == [
        "teacher",
        "no-model",
        "a bare",
        "a + skill",
        "b bare",
        "b + skill",
    ]
    assert [arm.kind for arm in arms(triage())] == ["teacher", "no-model", "bare", "skill"]


def test_teacher_and_bare_get_the_task_and_contract_alone(triage):
    teacher, _, bare, skill = arms(triage())
    assert teacher.skill == bare.skill != skill.skill
    assert bare.skill.examples.items == ()
    assert triage().task in bare.skill.instructions


@pytest.mark.parametrize(
    ("metric", "changes", "shown"),
    [
        ("/queue", {}, True),
        ("/quote", {}, False),
        ("exact", {}, False),
        ("fields", {}, False),
        ("/queue", {"examples": {}}, False),
    ],
)
def test_the_floor_is_shown_where_a_vote_can_answer(triage, metric, changes, shown):
    assert ("no-model" in names(arms(triage(**changes), Decision(metric=metric)))) is shown


def test_the_floor_is_shown_for_the_whole_output_when_all_of_it_is_labels(triage):
    items = [{"id": "a", "input": {"ticket": "x"}, "output": {"queue": "bug", "urgent": True}}]
    output = {"queue": {"enum": ["bug"]}, "urgent": {"type": "boolean"}}
    assert "no-model" in names(arms(triage(output=output, examples={"items": items}), EXACT))


def test_every_arm_asks_something_else(triage):
    assert len(set(keys(triage()).values())) == 4


def test_what_cannot_change_an_answer_changes_no_key(triage):
    base = keys(triage())
    other = Case(id="other", input={"ticket": "x"}, expected={"queue": "bug"}, split="test", metadata={"a": 1})
    assert keys(triage(), other) == base
    assert keys(triage(license="MIT", metadata={"author": "acme"})) == base
    assert keys(triage(), student=Scripted(name="s", latency_ms=5)) == base


def test_another_input_changes_every_key(triage):
    base, other = keys(triage()), keys(triage(), Case(id="c", input={"ticket": "y"}))
    assert all(base[kind] != other[kind] for kind in base)


def test_another_student_changes_only_its_own_keys(triage):
    base, other = keys(triage()), keys(triage(), student=Scripted(name="s2"))
    assert {kind for kind in base if base[kind] != other[kind]} == {"bare", "skill"}


def test_another_script_behind_the_same_name_is_another_student(triage, tmp_path: Path):
    script = tmp_path / "s.yaml"
    script.write_text("default: a\n")
    base = keys(triage(), student=Scripted.from_file(script))
    assert keys(triage(), student=Scripted.from_file(script)) == base
    script.write_text("default: b\n")
    assert keys(triage(), student=Scripted.from_file(script))["skill"] != base["skill"]


@pytest.mark.parametrize(
    ("changes", "changed"),
    [
        ({"instructions": "Other."}, {"skill", "no-model"}),
        ({"prompt": "{{ ticket }} {{ locale }}"}, {"skill", "no-model"}),
        ({"examples": {"items": [{"id": "z", "input": {"ticket": "z"}, "output": {"queue": "bug", "quote": "z"}}]}},
         {"skill", "no-model"}),
        ({"checks": [{"type": "contains", "value": "x"}]}, {"skill", "no-model"}),
        ({"task": "Other task."}, {"teacher", "bare", "skill", "no-model"}),
        ({"limits": {"output_tokens": 5}}, {"teacher", "bare", "skill", "no-model"}),
        ({"output": {"queue": {"enum": ["billing", "bug"]}, "quote": {"type": "string", "maxLength": 99}}},
         {"teacher", "bare", "skill", "no-model"}),
    ],
)  # fmt: skip
def test_what_can_change_an_answer_changes_the_key_of_that_arm(triage, changes, changed):
    base, other = keys(triage()), keys(triage(**changes))
    assert {kind for kind in base if base[kind] != other[kind]} == changed


def test_the_harness_version_is_in_every_key(triage, monkeypatch):
    base = keys(triage())
    monkeypatch.setattr("skillforge.evals.arms.HARNESS", "another")
    assert all(base[kind] != key for kind, key in keys(triage()).items())
