from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillforge.errors import NotFound, SkillFileError
from skillforge.evidencefile import RecordedEvidence, evidence_bytes, evidence_path, parse_evidence, read_evidence

DIGEST = "sha256:" + "ab" * 32
FOLDER = Path("skills/ticket-triage")
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200)


def result(**changes: Any) -> RecordedEvidence:
    body: dict[str, Any] = {
        "skill": "ticket-triage",
        "digest": DIGEST,
        "student": "local:smollm2-135m",
        "student_identity": "weights",
        "teacher": "recorded",
        "teacher_identity": "replay 1",
        "suite": "ticket-triage",
        "suite_digest": DIGEST,
        "split": "test",
        "cases": 40,
        "harness": "1",
        "verdict": "pass",
        "report": {"z": 1, "a": [1.5, None, "ü"]},
        "samples": {"teacher": {"c1": "k1"}},
        "created_at": "2026-01-31T09:30:00.123Z",
    }
    return RecordedEvidence.model_validate(body | changes)


def path_of(item: RecordedEvidence, root: Path = Path()) -> Path:
    return evidence_path(root / "skills" / item.skill, item.student)


def test_a_students_name_becomes_a_readable_file_name() -> None:
    assert evidence_path(FOLDER, "local:smollm2-135m") == FOLDER / "evidence" / "local%3Asmollm2-135m.json"
    assert evidence_path(FOLDER, "ollama:hf.co/Q/Qwen3:8b").name == "ollama%3Ahf.co%2F%51%2F%51wen3%3A8b.json"


@given(NAMES)
def test_a_file_name_is_one_plain_name_that_gives_the_student_back(student: str) -> None:
    name = evidence_path(FOLDER, student).name
    assert len(name) <= 210
    assert not name.startswith(".")
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_.%~ABCDEF")
    if "~" not in name:
        assert unquote(name.removesuffix(".json")) == student


@given(NAMES, NAMES)
def test_two_students_never_share_a_file_whatever_the_case(one: str, other: str) -> None:
    names = {evidence_path(FOLDER, student).name.lower() for student in (one, other, one.swapcase())}
    assert len(names) == len({one, other, one.swapcase()})


def test_evidence_comes_back_as_it_was_in_a_stable_order(tmp_path: Path) -> None:
    older = result(suite="other", report={"half": "\U0001f41b"})
    data = evidence_bytes([older, result()])
    assert data == evidence_bytes([result(), older])
    path = path_of(older, tmp_path)
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    found = read_evidence(path)
    assert found == (older, result())
    assert list(found[1].report) == ["z", "a"]
    assert evidence_bytes(found) == data


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"<<<<<<< HEAD\n{}\n=======\n{}\n>>>>>>> x\n", "merge conflict"),
        (b"{", "not JSON"),
        (b"[" * 5000, "not JSON"),
        (b'{"schema": "x", "schema": "y"}', "not JSON"),
        (b"[]", "skillforge/evidence/v1"),
        (b'{"schema": "skillforge/evidence/v2"}', "skillforge/evidence/v1"),
        (b'{"schema": "skillforge/evidence/v1"}', "evidence"),
        (b'{"schema": "skillforge/evidence/v1", "evidence": [{"skill": 1}]}', "skill"),
        (evidence_bytes([result(skill="other")]), "belongs in"),
        (evidence_bytes([result(student="local:other")]), "belongs in"),
        (evidence_bytes([result()]).replace(b'"pass"', b'"promote me"'), "verdict"),
        (evidence_bytes([result()]).replace(b"2026-01-31T", b"9999 "), "created_at"),
    ],
)
def test_what_is_no_evidence_is_refused_with_its_place(data: bytes, message: str) -> None:
    path = path_of(result())
    with pytest.raises(SkillFileError, match=message) as caught:
        parse_evidence(data, path)
    assert str(path) in str(caught.value)
    assert caught.value.hint


@given(st.binary(max_size=200) | st.recursive(st.none() | st.text(), st.lists).map(lambda v: json.dumps(v).encode()))
def test_any_bytes_are_evidence_or_one_error(data: bytes) -> None:
    with pytest.raises(SkillFileError):
        parse_evidence(data, path_of(result()))


def test_a_link_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    path = path_of(result(), tmp_path)
    path.parent.mkdir(parents=True)
    with pytest.raises(NotFound):
        read_evidence(path)
    (tmp_path / "elsewhere").write_bytes(evidence_bytes([result()]))
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SkillFileError, match="link"):
        read_evidence(path)
