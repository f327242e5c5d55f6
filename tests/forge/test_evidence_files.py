from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from skillforge.evidencefile import evidence_bytes, evidence_path, read_evidence
from skillforge.forge.files.evidence_files import measured
from skillforge.forge.forge import Forge
from skillforge.lockfile import Lock, LockedSkill, lock_path, write_lock
from skillforge.providers.scripted import Scripted

NAME = "ticket-triage"
STUDENT = "scripted:student"
CASES = 30


def answer(request: Any) -> Any:
    return {"queue": ("billing", "bug")["crash" in request.key.input["ticket"]], "quote": "x"}


def wrong(request: Any) -> Any:
    return {"queue": "billing", "quote": "x"}


@pytest.fixture
def measured_in(skill_in: Callable[..., Path], forge_at: Callable[..., Forge]) -> Callable[..., Forge]:
    """Writes skill and suite into a repository and measures it there; the Forge that did it."""

    def measure(root: Path, *, student: str = STUDENT, replies: Any = answer, ids: str = "c", **changes: Any) -> Forge:
        skill_in(root, **changes)
        (root / "evals").mkdir(exist_ok=True)
        rows = [
            {
                "id": f"{ids}{number}",
                "input": {"ticket": f"{('charged', 'crash')[number % 2]} {number}"},
                "split": "test",
            }
            for number in range(CASES)
        ]
        labelled = [
            {**row, "expected": {"queue": ("billing", "bug")[n % 2], "quote": "x"}} for n, row in enumerate(rows)
        ]
        (root / "evals" / "cases.jsonl").write_text("".join(json.dumps(row) + "\n" for row in labelled))
        (root / "evals" / f"{NAME}.yaml").write_text(
            f"schema: skillforge/suite/v1\nname: {NAME}\ndecision: {{metric: /queue, margin: 0.1}}\n"
            "cases: file://cases.jsonl\n"
        )
        models = {student: Scripted(default=replies, name=student), "teacher": Scripted(default=answer, name="teacher")}
        forge = forge_at(root, providers=models)
        forge.eval(NAME, students=[student], teacher="teacher")
        return forge

    return measure


def file_of(root: Path, student: str = STUDENT) -> Path:
    return evidence_path(root / "skills" / NAME, student)


def clone(root: Path, target: Path) -> Path:
    shutil.copytree(root, target, ignore=shutil.ignore_patterns(".skillforge"))
    (target / ".skillforge").mkdir()
    return target


def test_an_eval_writes_its_evidence_beside_the_skill(repo, measured_in):
    forge = measured_in(repo)
    (found,) = read_evidence(file_of(repo))
    (stored,) = forge.evidence(forge.show(NAME))
    assert (found.verdict, found.created_at, found.student_identity) == ("pass", stored.created_at, STUDENT)
    assert measured(found).same_as(stored)


def test_measuring_again_changes_no_byte(repo, measured_in):
    measured_in(repo)
    before = file_of(repo).read_bytes()
    measured_in(repo)
    assert file_of(repo).read_bytes() == before


def test_a_clone_knows_the_evidence_and_writes_the_same_file(repo, measured_in, tmp_path, forge_at):
    there = measured_in(repo).evidence(measured_in(repo).show(NAME))
    other = clone(repo, tmp_path / "clone")
    forge = forge_at(other)
    (found,) = forge.evidence(forge.show(NAME))
    assert (found.created_at, found.verdict) == (there[0].created_at, "pass")
    assert found.same_as(there[0])
    before = file_of(other).read_bytes()
    assert forge.repository.sync().files == ()
    assert forge.repository.verify() == []
    assert file_of(other).read_bytes() == before
    again = forge_at(other)
    assert len(again.evidence(again.show(NAME))) == 1


def test_no_path_of_this_machine_gets_into_the_file(repo, measured_in, forge_at):
    forge = measured_in(repo, student=f"scripted:{repo}/models/a.yaml")
    inside = file_of(repo, "scripted:models/a.yaml")
    assert inside.is_file()
    assert str(repo).encode() not in inside.read_bytes()
    assert len(forge.evidence(forge.show(NAME))) == 1
    measured_in(repo, student="local:/somewhere/else/b.gguf")
    assert b"somewhere" not in file_of(repo, "local:b.gguf").read_bytes()
    again = forge_at(repo)  # reads both files: neither is stored twice
    assert len(again.evidence(again.show(NAME))) == 2
    assert again.repository.sync(check=True).files == ()


def test_no_secret_gets_into_the_file(repo, measured_in, monkeypatch, forge_at):
    monkeypatch.setenv("MY_TOKEN", "customer-4711-")
    measured_in(repo, replies=wrong, ids="customer-4711-")
    assert b"4711" not in file_of(repo).read_bytes()
    (found,) = read_evidence(file_of(repo))
    assert len(found.samples["teacher"]) == CASES / 2
    again = forge_at(repo)
    assert len(again.evidence(again.show(NAME))) == 1


def test_reviewed_versions_keep_their_evidence_and_forgotten_drafts_do_not(repo, measured_in, triage):
    forge = measured_in(repo, instructions="deployed")
    forge.repository.sync()
    measured_in(repo, instructions="a try")
    measured_in(repo, instructions="now", replies=wrong)
    told = {item.digest: item.verdict for item in read_evidence(file_of(repo))}
    assert told == {triage(instructions="deployed").digest(): "pass", triage(instructions="now").digest(): "fail"}


def test_evidence_that_was_not_written_is_written_by_sync(repo, measured_in, skill_in):
    forge = measured_in(repo)
    before = file_of(repo).read_bytes()
    file_of(repo).unlink()
    checked = forge.repository.sync(check=True)
    assert checked.files == (str(file_of(repo).relative_to(repo)),)
    assert not file_of(repo).exists()
    forge.repository.sync()
    assert file_of(repo).read_bytes() == before


def test_a_broken_lock_does_not_lose_a_paid_eval(repo, measured_in, skill_in):
    skill_in(repo)
    lock_path(repo).write_text("{")
    forge = measured_in(repo)
    assert len(forge.evidence(forge.show(NAME))) == 1
    assert not file_of(repo).exists()


def test_a_skill_from_elsewhere_leaves_no_file(repo, measured_in, tmp_path, triage):
    forge = measured_in(repo)
    shutil.rmtree(repo / "skills")
    forge.eval(f"{NAME}@latest", students=[STUDENT], teacher="teacher", limit=10)
    assert not (repo / "skills").exists()


def forged(path: Path, change: Callable[[Any], None]) -> None:
    body = json.loads(path.read_text())
    change(body["evidence"][0])
    path.write_text(json.dumps(body))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda item: item.update(verdict="pass"), "does not say pass"),
        (lambda item: item.update(digest="sha256:" + "0" * 64), "about another digest"),
        (lambda item: item.update(cases=4000), "about another cases"),
        (lambda item: item.update(report={"arms": []}), "none of this skillforge"),
    ],
)
def test_a_file_whose_report_says_something_else_is_not_evidence(
    repo, measured_in, tmp_path, forge_at, change, message
):
    measured_in(repo, replies=wrong)
    other = clone(repo, tmp_path / "clone")
    forged(file_of(other), change)
    said: list[str] = []
    forge = forge_at(other, say=said.append)
    assert forge.evidence(forge.show(NAME)) == []
    assert message in said[0]
    assert any(message in problem for problem in forge.repository.verify())
    assert forge.skills()  # everything else goes on


def test_evidence_of_a_version_that_nobody_has_is_told_and_taken_out_by_sync(
    repo, measured_in, tmp_path, forge_at, skill_in
):
    measured_in(repo)
    other = clone(repo, tmp_path / "clone")
    skill_in(other, instructions="edited by hand")
    forge = forge_at(other)
    assert "a version that nobody has" in forge.repository.verify()[0]
    assert forge.repository.sync().files == (f"{file_of(other).relative_to(other)} (removed)",)
    assert forge.repository.verify() == []


def test_a_newer_result_of_a_colleague_is_the_newest_here(repo, measured_in, tmp_path, forge_at):
    forge = measured_in(repo)
    (mine,) = read_evidence(file_of(repo))
    report = json.loads(json.dumps(mine.report))
    for arm in report["arms"]:
        if arm["kind"] == "skill":
            arm["versus_teacher"]["verdict"] = "fail"
    theirs = mine.model_copy(update={"verdict": "fail", "report": report, "created_at": "2099-01-31T09:30:00.123Z"})
    file_of(repo).write_bytes(evidence_bytes([theirs]))
    again = forge_at(repo)
    assert [item.verdict for item in again.evidence(again.show(NAME))] == ["fail", "pass"]
    assert again.repository.sync(check=True).files == ()
    assert forge.root == again.root


def test_the_database_opens_no_file_that_it_has_read_before(repo, measured_in, forge_at):
    measured_in(repo)
    digest = "sha256:" + "0" * 64
    write_lock(repo, Lock(skills={"other": LockedSkill(head=digest, versions={1: digest})}))
    forge_at(repo).skills()
    lock_path(repo).chmod(0o600)
    path = file_of(repo)
    stamp, data = path.stat(), path.read_bytes()
    with path.open("r+b") as file:  # other bytes that look the same from outside
        file.write(b"[" * len(data))
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    said: list[str] = []
    forge_at(repo, say=said.append).skills()
    assert said == []
