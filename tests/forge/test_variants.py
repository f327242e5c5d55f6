"""A student with a variant runs it, is measured with it, and is deployed with it; the evidence is the variant's own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from skillforge import Forge, Scripted
from skillforge.errors import PromotionRefused, SkillFileError
from skillforge.forge.deploy.deployed import form_path
from skillforge.messages import Request
from skillforge.skillparts import Decoding, Example, Examples
from skillforge.variant import Variant
from skillforge.variantfile import variant_path, write_variant

STUDENT, TEACHER = "scripted:s", "scripted:t"
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
        models: dict[str, Any] = {STUDENT: only_with_magic, TEACHER: truth}
        providers = {name: Scripted(default=answer, name=name) for name, answer in models.items()}
        made.append(Forge(root, providers=providers, **options))
        return made[-1]

    yield open_one
    for forge in made:
        forge.close()


def write(forge: Forge, **overlay: Any) -> Path:
    skill = forge.show("ticket-triage@latest").skill
    variant = Variant(skill=skill.name, student=STUDENT, of=skill.digest(), **overlay)
    return write_variant(variant, forge.root / "skills" / skill.name, skill)


def test_a_run_takes_the_students_variant_by_itself(opened: Opened) -> None:
    forge = opened()
    forge.save(forge.root / "skills" / "ticket-triage")
    assert forge.run("ticket-triage@latest", {"ticket": "crash"}, student=STUDENT).output["queue"] == "billing"
    write(forge, instructions=MAGIC)
    run = forge.run("ticket-triage@latest", {"ticket": "crash"}, student=STUDENT)
    assert run.output["queue"] == "bug"
    assert run.digest != forge.show("ticket-triage@latest").digest


def test_a_run_may_ask_for_the_skill_itself(opened: Opened) -> None:
    forge = opened()
    forge.save(forge.root / "skills" / "ticket-triage")
    write(forge, instructions=MAGIC)
    run = forge.run("ticket-triage@latest", {"ticket": "crash"}, student=STUDENT, variant=False)
    assert (run.output["queue"], run.digest) == ("billing", forge.show("ticket-triage@latest").digest)


def test_a_variant_of_another_version_is_not_held_against_this_one(opened: Opened, skill_in: Any) -> None:
    """Its examples may be gone by now: it is left out, and stops nobody."""
    forge = opened()
    forge.save(forge.root / "skills" / "ticket-triage")
    write(forge, examples=Examples(items=forge.show("ticket-triage@latest").skill.examples.items[:1]))
    skill_in(forge.root, examples={"items": []})
    assert forge.run("ticket-triage@latest", {"ticket": "crash"}, student=STUDENT).ok
    other = forge.root / "skills" / "ticket-triage"
    assert forge.run(str(other), {"ticket": "crash"}, student=STUDENT).ok


def test_purge_takes_out_a_variant_that_holds_what_somebody_said(opened: Opened) -> None:
    forge = opened()
    forge.save(forge.root / "skills" / "ticket-triage")
    said = 'my parcel from "Łódź" is lost since ages'
    own = Example(id="mine", input={"ticket": said}, output={"queue": "bug", "quote": "lost"})
    path = write(forge, examples=Examples(items=(own,)))
    forge.run("ticket-triage@latest", {"ticket": said}, student=STUDENT, tags={"subject": "ada-4711"})
    forge.repository.purge(subject="ada-4711")
    assert not path.exists()


def test_skill_and_variant_are_measured_beside_each_other_and_leave_evidence_of_their_own(opened: Opened) -> None:
    forge = opened()
    forge.save(forge.root / "skills" / "ticket-triage")
    write(forge, instructions=MAGIC)
    report = forge.eval("ticket-triage", students=[STUDENT], teacher=TEACHER)
    by_kind = {arm.kind: arm.versus_teacher.verdict for arm in report.arms if arm.versus_teacher is not None}
    assert (by_kind["skill"], by_kind["variant"]) == ("fail", "pass")
    found = forge.evidence(forge.show("ticket-triage"))
    assert {(bool(item.variant), item.verdict) for item in found} == {(False, "fail"), (True, "pass")}


def test_promotion_asks_for_evidence_of_the_form_that_would_run(opened: Opened) -> None:
    forge = opened()
    forge.save(forge.root / "skills" / "ticket-triage")
    path = write(forge, instructions=MAGIC)
    forge.eval("ticket-triage", students=[STUDENT], teacher=TEACHER)
    write(forge, instructions=f"{MAGIC} More.")
    with pytest.raises(PromotionRefused):
        forge.deployments.promote("ticket-triage", student=STUDENT)
    path.unlink()
    with pytest.raises(PromotionRefused) as caught:
        forge.deployments.promote("ticket-triage", student=STUDENT)
    assert "fail" in str(caught.value)
    write(forge, instructions=MAGIC)
    move = forge.deployments.promote("ticket-triage", student=STUDENT)
    assert list(move.variants) == [STUDENT]


def test_a_deployment_keeps_its_variant_whatever_happens_to_the_file(opened: Opened, tmp_path: Path) -> None:
    forge = opened()
    forge.save(forge.root / "skills" / "ticket-triage")
    path = write(forge, instructions=MAGIC)
    forge.eval("ticket-triage", students=[STUDENT], teacher=TEACHER)
    move = forge.deployments.promote("ticket-triage", student=STUDENT)
    path.unlink()
    assert forge.skill("ticket-triage")(ticket="crash").output["queue"] == "bug"
    clone = tmp_path / "clone"
    clone.mkdir()
    for name in ("skills", "evals", "skillforge.lock"):
        source = forge.root / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, clone / name)
    fresh = opened(clone)
    assert fresh.skill("ticket-triage")(ticket="crash").output["queue"] == "bug"
    assert not [line for line in fresh.repository.verify() if "deployed" in line]
    assert move.version is not None
    form_path(clone, "ticket-triage", move.version, move.variants[STUDENT]).unlink()
    with pytest.raises(SkillFileError):
        opened(clone).skill("ticket-triage")(ticket="crash")


def test_a_variant_of_another_version_is_left_out_and_that_is_said(opened: Opened, skill_in: Any) -> None:
    said: list[str] = []
    forge = opened(say=said.append)
    forge.save(forge.root / "skills" / "ticket-triage")
    write(forge, instructions=MAGIC)
    skill_in(forge.root, instructions="Changed.")
    assert (
        forge.run(str(forge.root / "skills" / "ticket-triage"), {"ticket": "crash"}, student=STUDENT).output["queue"]
        == "billing"
    )
    assert any("made for another version" in line for line in said)


def test_evidence_of_a_variant_is_stale_once_the_variant_changes(opened: Opened) -> None:
    forge = opened()
    forge.save(forge.root / "skills" / "ticket-triage")
    write(forge, instructions=MAGIC)
    forge.eval("ticket-triage", students=[STUDENT], teacher=TEACHER)
    version = forge.show("ticket-triage")
    evidence = forge.evidence(version)
    fresh = {
        bool(item.variant): changes for item, changes in zip(evidence, forge.stale(version, evidence), strict=True)
    }
    assert fresh[True] == ()
    write(forge, instructions=MAGIC, decoding=Decoding(format="free"))
    stale = {
        bool(item.variant): changes for item, changes in zip(evidence, forge.stale(version, evidence), strict=True)
    }
    assert "its variant changed" in stale[True][0].why


def test_no_skill_is_a_variant_too(opened: Opened) -> None:
    forge = opened()
    forge.save(forge.root / "skills" / "ticket-triage")
    write(forge, form="bare")
    run = forge.run("ticket-triage@latest", {"ticket": "crash"}, student=STUDENT)
    assert run.ok
    assert variant_path(forge.root / "skills" / "ticket-triage", STUDENT).read_text().count("form: bare") == 1
