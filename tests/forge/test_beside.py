"""Lint and verify tell what is wrong with variants and classifiers before anybody runs them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from skillforge import Forge
from skillforge.errors import Problem
from skillforge.forge.files.beside import encoder_files, variant_files
from skillforge.skillfile import read_skill
from skillforge.students.encoder.card import card_path, model_path
from skillforge.variant import Variant
from skillforge.variantfile import write_variant

STUDENT = "scripted:s"
LABELS = {"queue": {"enum": ["billing", "bug"]}}


@pytest.fixture
def folder(repo: Path, skill_in: Any) -> Path:
    """A skill with a variant and a classifier."""
    skill_in(repo, output=LABELS, examples={"items": []}, checks=[])
    (repo / "evals").mkdir()
    rows = [
        {"id": f"c{n}", "split": "train", "input": {"ticket": f"{word} {n}"}, "expected": {"queue": queue}}
        for n in range(12)
        for word, queue in [("crash", "bug") if n % 2 else ("charged", "billing")]
    ]
    suite = {"schema": "skillforge/suite/v1", "name": "ticket-triage", "decision": {"metric": "/queue"}, "cases": rows}
    (repo / "evals" / "ticket-triage.yaml").write_text(json.dumps(suite))
    found = repo / "skills" / "ticket-triage"
    skill = read_skill(found).skill
    write_variant(Variant(skill=skill.name, student=STUDENT, of=skill.digest(), instructions="Others."), found, skill)
    with Forge(repo) as forge:
        forge.students.train("ticket-triage", name="queues")
    return found


def told(folder: Path) -> list[str]:
    problems: list[tuple[Path, Problem]] = [*encoder_files(folder), *variant_files(folder, read_skill(folder).skill)]
    return [f"{problem.level} {problem.describe(path.name)}" for path, problem in problems]


def verified(folder: Path) -> list[str]:
    with Forge(folder.parent.parent) as forge:
        return forge.repository.verify()


def variant_of(folder: Path) -> Path:
    (path,) = (folder / "variants").glob("*.yaml")
    return path


def test_sound_files_have_no_problems(folder: Path) -> None:
    assert told(folder) == verified(folder) == []


def test_a_wrong_variant_is_told_with_its_line(folder: Path) -> None:
    path = variant_of(folder)
    path.write_text(path.read_text() + "instruction: x\ndecoding: {keys: [nothing]}\n")
    lines = told(folder)
    assert [line for line in lines if ":6:1: instruction" in line]
    (line, *_) = verified(folder)
    assert line.startswith("skills/ticket-triage/variants/scripted%3As.yaml:6:1: instruction")


def test_a_variant_under_another_name_is_told(folder: Path) -> None:
    path = variant_of(folder)
    path.rename(path.with_name("scripted:s.yaml"))
    assert any("the file is named for another" in line for line in told(folder))
    assert len(verified(folder)) == 1


def test_a_variant_of_another_version_and_a_file_that_nobody_reads_are_warnings(folder: Path) -> None:
    path = variant_of(folder)
    skill = read_skill(folder).skill
    path.write_text(path.read_text().replace(skill.digest(), "sha256:" + "0" * 64))
    (path.parent / "other.yml").write_text("x")
    assert [line.split()[0] for line in told(folder)] == ["warning", "warning"]
    assert verified(folder) == []


def test_a_changed_a_missing_and_an_orphaned_classifier_are_told(folder: Path) -> None:
    model, card = model_path(folder, "queues"), card_path(folder, "queues")
    data = model.read_bytes()
    model.write_bytes(data[:-1] + b"x")
    assert any("it was changed" in line for line in told(folder))
    assert any(line.startswith("skills/ticket-triage/encoders/queues.json") for line in verified(folder))
    model.unlink()
    assert any("cannot be read" in line for line in told(folder))
    model.write_bytes(data)
    body = card.read_bytes()
    card.unlink()
    assert any("has no card" in line for line in told(folder))
    card.write_bytes(body.replace(b'"rows": 12', b'"rows": 13'))
    assert told(folder) == []
    assert any("not the one it was fitted with" in line for line in verified(folder))  # the registry knows


def test_a_deployed_classifier_that_is_gone_is_told(folder: Path) -> None:
    root = folder.parent.parent
    with Forge(root) as forge:
        forge.deployments.promote("ticket-triage", student="encoder:queues", accept_risk="a test")
    for path in (folder / "encoders").iterdir():
        path.unlink()
    (line,) = verified(folder)
    assert "production runs encoder:queues: there is no classifier queues" in line
