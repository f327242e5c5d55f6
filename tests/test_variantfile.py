"""Variant files: what is written reads back the same, and what is wrong is told with its field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from skillforge.engine.compiled import compiled
from skillforge.engine.forms import adapted
from skillforge.engine.frame import build_request, complete_input, repair_request
from skillforge.errors import NotFound, SkillFileError, UsageError
from skillforge.skill import Example, Examples
from skillforge.skillparts import Decoding, Limits
from skillforge.variant import Variant
from skillforge.variantfile import read_variant, students_of, variant_path, write_variant

STUDENT = "ollama:Qwen3:8b/instruct"


def shown(count: int = 4) -> Examples:
    items = (
        Example(id=f"e{n}", input={"ticket": f"word {n}"}, output={"queue": "bug", "quote": "word"})
        for n in range(count)
    )
    return Examples(items=tuple(items), select="nearest", k=2)


@pytest.mark.parametrize(
    "overlay",
    [
        {},
        {"form": "bare"},
        {"instructions": "Short.", "prompt": "Ticket: {{ ticket }}"},
        {"examples": Examples(select="first", k=3)},
        {"decoding": Decoding(format="free", keys=("quote", "queue"), temperature=0.2)},
        {"decoding": Decoding(effort="low"), "repair": "Wrong: {problems}", "limits": Limits(output_tokens=40)},
    ],
)
def test_a_variant_reads_back_as_it_was_written(triage: Any, tmp_path: Path, overlay: dict[str, Any]) -> None:
    skill = triage()
    variant = Variant(skill=skill.name, student=STUDENT, of=skill.digest(), **overlay)
    path = write_variant(variant, tmp_path, skill)
    assert path == variant_path(tmp_path, STUDENT)
    found = read_variant(path, skill)
    assert adapted(skill, found).digest() == adapted(skill, variant).digest()
    assert (found.student, found.of, found.form) == (variant.student, variant.of, variant.form)
    assert students_of(tmp_path) == [STUDENT]


def test_examples_that_the_skill_has_are_written_by_their_ids(triage: Any, tmp_path: Path) -> None:
    skill = triage(examples=shown())
    some = skill.examples.model_copy(update={"items": skill.examples.items[1:3], "k": 1})
    path = write_variant(Variant(skill=skill.name, student=STUDENT, examples=some), tmp_path, skill)
    assert "word" not in path.read_text()
    assert read_variant(path, skill).examples == some


def test_a_variant_changes_the_request_and_the_digest_and_never_the_contract(triage: Any) -> None:
    skill = triage(examples=shown())
    variant = Variant(
        skill=skill.name, student=STUDENT, decoding=Decoding(keys=("quote", "queue")), repair="Mend: {problems}!"
    )
    form = adapted(skill, variant)
    request = build_request(form, complete_input(form, {"ticket": "hello"}), role="run")
    assert request.output_schema is not None
    assert list(request.output_schema["properties"]) == ["quote", "queue"]
    assert '{"quote":' in request.messages[2].text  # an example says it in the same order
    repair = repair_request(request, "x", ("wrong {problems}",), form.repair)
    assert repair.messages[-1].text == "Mend: - wrong {problems}!"
    assert form.digest() != skill.digest()
    assert form.output_schema() == skill.output_schema()
    assert compiled(form).outputs is not None


@pytest.mark.parametrize(
    ("how", "json_mode", "schema"), [("schema", False, True), ("json", True, False), ("free", False, False)]
)
def test_the_format_says_how_an_answer_is_held_to_its_contract(
    triage: Any, how: Any, json_mode: bool, schema: bool
) -> None:
    skill = triage(decoding=Decoding(format=how))
    request = build_request(skill, complete_input(skill, {"ticket": "hello"}), role="run")
    assert (request.any_json, request.output_schema is not None) == (json_mode, schema)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("decoding: {keys: [queue, nothing]}", "'nothing' is no field"),
        ("decoding: {keys: [queue, queue]}", "stands twice"),
        ("decoding: {format: xml}", "not allowed"),
        ("examples: {ids: [e99]}", "no example 'e99'"),
        ("examples: {ids: 3}", "list of ids"),
        ("examples: {ids: [e1], items: []}", "either ids or items"),
        ("input: {}", "unknown key"),
        ("form: best", "not allowed"),
        ("instructions: Be quick.", "a sentence to keep"),
    ],
)
def test_what_is_wrong_is_told_with_its_field(triage: Any, tmp_path: Path, text: str, wrong: str) -> None:
    skill = triage(examples=shown(), keep=("Never guess.",), instructions="Never guess. Route it.")
    path = variant_path(tmp_path, STUDENT)
    path.parent.mkdir()
    path.write_text(f"schema: skillforge/variant/v1\nskill: {skill.name}\nstudent: {STUDENT}\n{text}\n")
    with pytest.raises(SkillFileError, match=wrong):
        read_variant(path, skill)


def test_another_students_or_skills_variant_is_refused(triage: Any, tmp_path: Path) -> None:
    skill = triage()
    path = write_variant(Variant(skill=skill.name, student="openai:other"), tmp_path, skill)
    wrong = path.rename(variant_path(tmp_path, STUDENT))
    with pytest.raises(SkillFileError, match="named for another"):
        read_variant(wrong, skill)
    with pytest.raises(UsageError, match="not of ticket-triage"):
        adapted(skill, Variant(skill="other", student=STUDENT))
    with pytest.raises(NotFound):
        read_variant(tmp_path / "variants" / "none.yaml", skill)


def test_a_link_is_refused(triage: Any, tmp_path: Path) -> None:
    skill = triage()
    real = write_variant(Variant(skill=skill.name, student="openai:other"), tmp_path, skill)
    link = variant_path(tmp_path, STUDENT)
    link.symlink_to(real)
    with pytest.raises(SkillFileError, match="is a link"):
        read_variant(link, skill)


def written(folder: Path, text: str) -> Path:
    path = variant_path(folder, STUDENT)
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"schema: skillforge/variant/v1\nskill: ticket-triage\nstudent: {STUDENT}\n{text}\n", "utf-8")
    return path


def test_examples_may_stand_in_a_file_of_the_skill(triage: Any, tmp_path: Path) -> None:
    lines = '{"id": "f1", "input": {"ticket": "broken"}, "output": {"queue": "bug", "quote": "broken"}}\n'
    (tmp_path / "more.jsonl").write_text(lines, "utf-8")
    found = read_variant(written(tmp_path, "examples: {file: more.jsonl, select: nearest, k: 1}"), triage())
    assert found.examples is not None
    assert [item.id for item in found.examples.items] == ["f1"]
    with pytest.raises(SkillFileError, match="outside the skill's folder"):
        read_variant(written(tmp_path, "examples: {file: ../../secret.jsonl}"), triage())


def test_every_problem_is_told_at_once_with_its_line(triage: Any, tmp_path: Path) -> None:
    path = written(tmp_path, "prompt: '{{ nothing }}'\ndecoding: {keys: [queue, colour, queue]}")
    with pytest.raises(SkillFileError) as caught:
        read_variant(path, triage())
    assert [(problem.line, problem.field) for problem in caught.value.problems] == [
        (4, "prompt"),
        (5, "decoding.keys"),
        (5, "decoding.keys"),
    ]


def test_what_lint_says_of_a_skill_it_says_of_a_variant(triage: Any, tmp_path: Path) -> None:
    text = "examples:\n  items:\n    - {id: a, input: {ticket: x}, output: {queue: colour, quote: x}}"
    with pytest.raises(SkillFileError) as caught:
        read_variant(written(tmp_path, text), triage())
    assert [problem.line for problem in caught.value.problems] == [6]
    key = "sk-ant-" + "api03-" + "Zq8canaryW3xT9vK2mN5bR7yU1oP4sD6" * 2
    with pytest.raises(SkillFileError, match="secret") as caught:
        read_variant(written(tmp_path, f"instructions: 'use {key}'"), triage())
    assert key not in str(caught.value)


def test_a_form_without_the_instructions_keeps_none_of_them(triage: Any, tmp_path: Path) -> None:
    assert read_variant(written(tmp_path, "form: bare"), triage(keep=["quote the ticket"])).form == "bare"
