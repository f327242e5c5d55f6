from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from skillforge.canonical import digest
from skillforge.case import Case, Decision
from skillforge.engine.execute import PromptExecutor
from skillforge.engine.frame import JSON_FRAME, build_request, complete_input
from skillforge.engine.programs import own_executor
from skillforge.engine.recorded import RecordedExecutor
from skillforge.errors import UsageError
from skillforge.evals.running.arms import Arm, Wanted, against_itself, build_arms
from skillforge.providers.replay import Replay
from skillforge.providers.scripted import Scripted
from skillforge.skill import Skill

EXACT, QUEUE = Decision(), Decision(metric="/queue")
CASE = Case(id="c", input={"ticket": "x"})


def arms(skill: Skill, decision: Decision = QUEUE, *students: str, **wanted: Any) -> list[Arm]:
    made: list[Any] = [PromptExecutor(Scripted(name=name)) for name in students or ("s",)]
    return build_arms(skill, decision, PromptExecutor(Scripted(name="t"), role="solve"), made, None, Wanted(**wanted))


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
        "a examples",
        "a + skill",
        "b bare",
        "b examples",
        "b + skill",
    ]
    assert [arm.kind for arm in arms(triage())] == ["teacher", "no-model", "bare", "examples", "skill"]


def test_every_kind_has_its_place(triage):
    built = arms(
        triage(),
        kinds=("today", "no-model", "bare", "raw", "examples", "skill"),
        own=[own_executor("mine", dict)],
        variants=[triage(name="shorter")],
        again=True,
    )
    assert [(arm.name, arm.kind) for arm in built] == [
        ("teacher", "teacher"),
        ("teacher again", "again"),
        ("no-model", "no-model"),
        ("s bare", "bare"),
        ("s raw", "raw"),
        ("s examples", "examples"),
        ("s + skill", "skill"),
        ("s + shorter", "variant"),
        ("mine", "own"),
    ]


def test_only_the_kinds_asked_for_are_built_and_those_that_say_something(triage):
    assert names(arms(triage(), kinds=("skill",))) == ["teacher", "s + skill"]
    assert names(arms(triage(examples={}), kinds=("examples", "skill"))) == ["teacher", "s + skill"]
    text = triage(output="text", examples={})
    assert names(arms(text, kinds=("bare", "raw"))) == ["teacher", "s bare"], "without a contract raw is bare"


def test_today_is_an_arm_where_it_is_asked_for(triage):
    def built(*kinds: Any) -> list[str]:
        made = build_arms(
            triage(), QUEUE, PromptExecutor(Scripted(name="t")), [], RecordedExecutor({}), Wanted(kinds=kinds)
        )
        return names(made)

    assert built("today") == ["teacher", "today"]
    assert built("bare") == ["teacher"]


def test_the_forms_differ_in_what_they_say_and_in_nothing_else(triage):
    built = arms(triage(limits={"output_tokens": 77}), kinds=("bare", "raw", "examples", "skill"))
    asked = {}
    for arm in built[1:]:
        values = complete_input(arm.skill, {"ticket": "help"})
        request = build_request(arm.skill, values, role="run")
        assert (request.max_output_tokens, request.output_schema) == (77, triage().output_schema())
        assert request.messages[0].text.endswith(JSON_FRAME)
        asked[arm.kind] = [message.text for message in request.messages]
    assert asked["raw"] == [f"{triage().task}\n{JSON_FRAME}", "ticket: help\nlocale: en"]
    assert "JSON Schema" in asked["bare"][0]
    assert asked["bare"][1:] == asked["raw"][1:]
    assert asked["examples"][0] == asked["bare"][0]
    assert asked["examples"][1] == "ticket: charged twice\nlocale: en", "in the words of the bare prompt"
    assert len(asked["examples"]) == len(asked["skill"]) == 6
    assert not any(triage().instructions in text for text in asked["examples"])


def test_the_second_pass_asks_what_the_teacher_asks_in_another_epoch(triage):
    teacher, again, *_ = arms(triage(), again=True, repeat=2)
    assert list(teacher.epochs(2)) == [0, 1]
    assert list(again.epochs(2)) == [2, 3]
    assert again.sample_key(CASE, 2) == teacher.sample_key(CASE, 2)
    assert len({teacher.sample_key(CASE, epoch) for epoch in range(4)}) == 4


def recorded(tmp_path: Path, *roles: str) -> PromptExecutor:
    lines = [{"request": {"role": role, "task": digest("t"), "input": {}}, "response": {"text": "x"}} for role in roles]
    path = tmp_path / f"{len(roles)}.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return PromptExecutor(Replay(path), role="solve")


def test_a_recording_answers_as_often_as_it_was_recorded(triage, tmp_path):
    def built(teacher: Any, repeat: int) -> list[Arm]:
        return build_arms(triage(), QUEUE, teacher, [], None, Wanted(kinds=(), again=True, repeat=repeat))

    once, twice = recorded(tmp_path, "solve"), recorded(tmp_path, "solve", "solve#2")
    assert names(built(once, 1)) == ["teacher"]
    assert names(built(twice, 1)) == ["teacher", "teacher again"]
    assert [len(arm.epochs(3)) for arm in built(once, 3)] == [1]
    assert [len(arm.epochs(3)) for arm in built(twice, 3)] == [2]
    assert [len(arm.epochs(3)) for arm in built(RecordedExecutor({}), 3)] == [1]


def test_a_program_may_be_the_teacher_and_answers_twice(triage):
    built = build_arms(triage(), QUEUE, own_executor("t", dict), [], None, Wanted(kinds=(), again=True))
    assert names(built) == ["teacher", "teacher again"]
    assert list(built[1].epochs(1)) == [1]


def test_two_arms_of_one_name_are_refused(triage):
    with pytest.raises(UsageError, match=r"two arms have one name: s .*skill"):
        arms(triage(), QUEUE, "s", "s")
    with pytest.raises(UsageError, match="two arms have one name: teacher"):
        arms(triage(), own=[own_executor("teacher", dict)])


def test_an_arm_against_itself_answers_in_other_epochs(triage):
    first, again = against_itself(arms(triage(), QUEUE, "s"), 2)
    assert names([first, again]) == ["s + skill", "s + skill again"]
    assert (first.kind, again.kind) == ("skill", "skill")
    assert (list(first.epochs(2)), list(again.epochs(2))) == ([0, 1], [2, 3])
    teacher, twin = against_itself(arms(triage(), kinds=("bare",)), 1)
    assert (teacher.name, twin.name) == ("teacher", "teacher again")
    assert twin.sample_key(CASE, 1) == teacher.sample_key(CASE, 1)


def test_one_arm_alone_is_measured_against_itself(triage, tmp_path):
    with pytest.raises(UsageError, match=r"one arm .* not a \+ skill, b \+ skill"):
        against_itself(arms(triage(), QUEUE, "a", "b"), 1)
    silent = build_arms(triage(), QUEUE, recorded(tmp_path, "solve"), [])
    with pytest.raises(UsageError, match="teacher holds one answer"):
        against_itself(silent, 1)


def test_teacher_and_bare_get_the_task_and_contract_alone(triage):
    teacher, _, bare, _, skill = arms(triage())
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
    assert len(set(keys(triage()).values())) == 5


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
    assert {kind for kind in base if base[kind] != other[kind]} == {"bare", "examples", "skill"}


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
         {"skill", "no-model", "examples"}),
        ({"checks": [{"type": "contains", "value": "x"}]}, {"skill", "no-model"}),
        ({"task": "Other task."}, {"teacher", "bare", "examples", "skill", "no-model"}),
        ({"limits": {"output_tokens": 5}}, {"teacher", "bare", "examples", "skill", "no-model"}),
        ({"output": {"queue": {"enum": ["billing", "bug"]}, "quote": {"type": "string", "maxLength": 99}}},
         {"teacher", "bare", "examples", "skill", "no-model"}),
    ],
)  # fmt: skip
def test_what_can_change_an_answer_changes_the_key_of_that_arm(triage, changes, changed):
    base, other = keys(triage()), keys(triage(**changes))
    assert {kind for kind in base if base[kind] != other[kind]} == changed


def test_the_harness_version_is_in_every_key(triage, monkeypatch):
    base = keys(triage())
    monkeypatch.setattr("skillforge.evals.running.arms.HARNESS", "another")
    assert all(base[kind] != key for kind, key in keys(triage()).items())
