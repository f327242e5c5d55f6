"""``skills/<name>/evidence/<student>.json``: what was measured, kept in git beside the skill it was measured for."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from skillforge.canonical import digest_bytes
from skillforge.errors import NotFound, Problem, SkillFileError
from skillforge.jsonl import strict_json
from skillforge.messages import Value

EVIDENCE_SCHEMA = "skillforge/evidence/v1"
EVIDENCE_FOLDER = "evidence"
MAX_BYTES = 16 * 1_048_576
_PLAIN = b"abcdefghijklmnopqrstuvwxyz0123456789-_."
_LONGEST_NAME = 200  # file systems allow 255 bytes, and the temporary file beside it needs some of them
_LONGEST_START = 160
_MEND = "restore it from git, or measure again: skillforge eval"
_DIGEST = r"^sha256:[0-9a-f]{64}$"
_UTC = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$"


class RecordedEvidence(Value):
    """One measured result as it stands in a file: the fields of ``store.evidence.Measured`` and when it was stored.

    Names of models hold no machine's paths here: those below the repository are relative to it, others are file names.
    """

    skill: str
    digest: str = Field(pattern=_DIGEST)
    student: str
    student_identity: str
    teacher: str
    teacher_identity: str
    suite: str
    suite_digest: str = Field(pattern=_DIGEST)
    split: str
    cases: int
    harness: str
    verdict: Literal["pass", "fail", "inconclusive"]
    report: dict[str, Any]
    samples: dict[str, dict[str, str]]
    variant: str = Field(default="", pattern=r"^(sha256:[0-9a-f]{64})?$")
    created_at: str = Field(pattern=_UTC)

    @property
    def measures(self) -> tuple[str, str, str, str, bool]:
        """What it is the evidence of: version, the student's form of it, suite, split, and whether only of a part of
        it, or by another rule than the suite's. A file holds the newest of each, so that no smoke test takes a whole
        result's place.
        """
        aside = any(self.report.get(name) for name in ("limit", "filter", "wished"))
        return self.digest, self.variant, self.suite, self.split, aside


def evidence_path(folder: Path, student: str) -> Path:
    """Where the evidence of a student stands in a skill's folder."""
    return folder / EVIDENCE_FOLDER / f"{file_name(student)}.json"


def file_name(student: str) -> str:
    """A student's name as that of a file, without its suffix.

    Everything but small letters, digits, ``-``, ``_`` and inner dots is percent-encoded (``urllib.parse.unquote`` gives
    the student back): two students never share a file, not on a file system that ignores case either. What would be too
    long for a file name ends in its digest instead.
    """
    name = "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in student.encode("utf-8", "replace"))
    name = f"%2E{name[1:]}" if name.startswith(".") else name
    if len(name) > _LONGEST_NAME:
        name = f"{name[:_LONGEST_START]}~{digest_bytes(name.encode()).removeprefix('sha256:')[:32]}"
    return name


def read_evidence(path: Path) -> tuple[RecordedEvidence, ...]:
    """The results in a file. Raises ``SkillFileError`` for one that holds no evidence, ``NotFound`` without one."""
    return parse_evidence(evidence_bytes_of(path), path)


def evidence_bytes_of(path: Path) -> bytes:
    """The bytes of an evidence file. A link is refused: it would lead out of what was reviewed."""
    if path.is_symlink():
        raise SkillFileError(str(path), [Problem("is a link, not a file")], hint="put the file itself there")
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SkillFileError(str(path), [Problem(f"longer than {MAX_BYTES:,} bytes")], hint=_MEND)
        return path.read_bytes()
    except OSError as exc:
        raise NotFound(f"{path}: cannot be read ({exc.strerror})", hint="check the path") from exc


def parse_evidence(data: bytes, path: Path) -> tuple[RecordedEvidence, ...]:
    """The results in ``data``, which stood at ``path``: all of the skill and the student that the path names."""
    if b"<<<<<<<" in data and b">>>>>>>" in data:
        hint = "take either side (git checkout --theirs FILE), then measure again: skillforge eval"
        raise SkillFileError(str(path), [Problem("holds a merge conflict")], hint=hint)
    try:
        body = strict_json(data)
    except ValueError as exc:
        raise SkillFileError(str(path), [Problem(f"not JSON: {exc}")], hint=_MEND) from exc
    if not isinstance(body, dict) or body.get("schema") != EVIDENCE_SCHEMA:
        hint = "a newer skillforge may have written it: upgrade, or restore it from git"
        raise SkillFileError(str(path), [Problem(f'must be "{EVIDENCE_SCHEMA}"', field="schema")], hint=hint)
    try:
        found = _File.model_validate(body).evidence
    except ValidationError as exc:
        problems = [Problem(item["msg"], field=".".join(map(str, item["loc"]))) for item in exc.errors()]
        raise SkillFileError(str(path), problems, hint=_MEND) from None
    folder = path.parent.parent
    for item in found:
        if item.skill != folder.name or evidence_path(folder, item.student).name != path.name:
            wrong = f"is about {item.skill} and {item.student}, which belongs in {evidence_path(folder, item.student)}"
            raise SkillFileError(str(path), [Problem(wrong)], hint=_MEND)
    return found


def evidence_bytes(evidence: Iterable[RecordedEvidence]) -> bytes:
    """The file's bytes: indented, keys in a fixed order, one result a version, suite and split, in that order."""
    ordered = sorted(evidence, key=lambda item: item.measures)
    dumped = [item.model_dump(mode="json", exclude=set() if item.variant else {"variant"}) for item in ordered]
    body = {"schema": EVIDENCE_SCHEMA, "evidence": dumped}
    return (json.dumps(body, ensure_ascii=False, indent=2) + "\n").encode("utf-8", "replace")


class _File(Value):
    schema_id: str = Field(alias="schema")
    evidence: tuple[RecordedEvidence, ...]
