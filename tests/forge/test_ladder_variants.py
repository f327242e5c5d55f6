"""A ladder whose rung has a variant: measured, promoted and run as that variant, also from a clone; never half."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from skillforge import Forge, Scripted
from skillforge.errors import PromotionRefused
from skillforge.messages import Request
from skillforge.variant import Variant
from skillforge.variantfile import write_variant

STUDENT, BIG, TEACHER = "scripted:s", "scripted:b", "scripted:t"
LADDER = f"{STUDENT} > {BIG}"
MAGIC = "The magic words."
WRONG = {"bug": "billing", "billing": "bug"}
SUITE = """\
schema: skillforge/suite/v1
name: ticket-triage
decision: {metric: /queue, margin: 0.2}
cases:
"""

Opened = Callable[..., Forge]


def truth(request: Request) -> dict[str, str]:
    return {"queue": "bug" if "crash" in json.dumps(request.key.input) else "billing", "quote": "x"}


def only_with_magic(request: Request) -> dict[str, str]:
    right = truth(request)
    return right if MAGIC in request.messages[0].text else {**right, "queue": WRONG[right["queue"]]}


@pytest.fixture
def opened(repo: Path, skill_in: Any) -> Iterator[Opened]:
    skill_in(repo)
    rows = [
        f"  - {{id: c{n}, split: test, input: {{ticket: {word} {n}}}, expected: {{queue: {queue}, quote: x}}}}\n"
        for n in range(40)
        for word, queue in [("crash", "bug") if n % 2 else ("charged", "billing")]
    ]
    (repo / "evals").mkdir(exist_ok=True)
    (repo / "evals" / "ticket-triage.yaml").write_text(SUITE + "".join(rows))
    made: list[Forge] = []

    def open_one(root: Path = repo, **options: Any) -> Forge:
        models: dict[str, Any] = {STUDENT: only_with_magic, BIG: truth, TEACHER: truth}
        providers = {name: Scripted(default=answer, name=name) for name, answer in models.items()}
        made.append(Forge(root, providers=providers, **options))
        made[-1].save(made[-1].root / "skills" / "ticket-triage")
        return made[-1]

    yield open_one
    for forge in made:
        forge.close()


def write(forge: Forge, **overlay: Any) -> Path:
    skill = forge.show("ticket-triage@latest").skill
    variant = Variant(skill=skill.name, student=STUDENT, of=skill.digest(), **overlay)
    return write_variant(variant, forge.root / "skills" / skill.name, skill)


def test_a_rung_runs_its_variant_in_an_eval_in_a_deployment_and_in_a_clone(opened: Opened, tmp_path: Path) -> None:
    forge = opened()
    path = write(forge, instructions=MAGIC)
    (arm,) = forge.eval("ticket-triage", students=[LADDER], teacher=TEACHER, arms=("skill",)).arms
    assert (arm.kind, arm.quality) == ("ladder", 1.0)
    move = forge.deployments.promote("ticket-triage", student=LADDER)
    assert list(move.variants) == [STUDENT]
    path.unlink()
    run = forge.skill("ticket-triage")(ticket="crash 2")
    assert (run.output["queue"], len(run.rungs)) == ("bug", 1)
    clone = tmp_path / "clone"
    clone.mkdir()
    for name in ("skills", "evals", "skillforge.lock"):
        source = forge.root / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, clone / name)
    fresh = opened(clone)
    assert fresh.skill("ticket-triage")(ticket="crash 2").output["queue"] == "bug"
    assert fresh.repository.verify() == []


def test_a_ladder_is_not_promoted_on_what_another_form_of_its_rung_has_shown(opened: Opened) -> None:
    forge = opened()
    path = write(forge, instructions=MAGIC)
    forge.eval("ticket-triage", students=[LADDER], teacher=TEACHER, arms=("skill",))
    write(forge, instructions="Others.")
    with pytest.raises(PromotionRefused):
        forge.deployments.promote("ticket-triage", student=LADDER)
    path.unlink()
    with pytest.raises(PromotionRefused):
        forge.deployments.promote("ticket-triage", student=LADDER)


def test_without_variants_the_rungs_of_a_ladder_run_the_skill_too(opened: Opened) -> None:
    forge = opened()
    write(forge, instructions=MAGIC)
    report = forge.eval("ticket-triage", students=[LADDER, STUDENT], teacher=TEACHER, own_variants=False)
    qualities = {arm.kind: arm.quality for arm in report.arms if arm.kind in ("skill", "variant", "ladder")}
    assert qualities == {"skill": 0.0, "ladder": 0.0}
    with pytest.raises(PromotionRefused):  # what would run has its variant
        forge.deployments.promote("ticket-triage", student=LADDER)


def test_a_skill_in_a_program_runs_the_variant_of_the_student_it_names(opened: Opened) -> None:
    forge = opened()
    write(forge, instructions=MAGIC)
    assert forge.skill("ticket-triage@latest", student=STUDENT)(ticket="crash 2").output["queue"] == "bug"
    assert forge.skill("ticket-triage@latest", student=LADDER)(ticket="crash 2").output["queue"] == "bug"
