"""``evals/<name>.yaml`` and case files -> ``Suite`` and ``Case``: strict, with file and line in every error."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from skillforge.canonical import digest
from skillforge.case import Case, Suite
from skillforge.errors import NotFound, Problem, SkillFileError
from skillforge.fields import validation_problems
from skillforge.jsonl import read_jsonl
from skillforge.yamlfile import Document, load_yaml

FILE_SCHEME = "file://"
SUITE_SCHEMA = "skillforge/suite/v1"
GIVEN = "the cases given"


def read_cases(path: Path) -> Iterator[Case]:
    """Cases of a JSONL file, streamed. A case without an ``id`` is named after the content of its input.

    Raises ``NotFound`` and ``SkillFileError`` (first wrong line, or the first id that stands twice).
    """
    seen: dict[str, int] = {}
    for number, row in read_jsonl(path):
        case = _case(row, str(path), number)
        _refuse_twice(case, seen, str(path), number)
        yield case


def as_cases(rows: Iterable[Case | Mapping[str, Any]]) -> list[Case]:
    """Cases given in Python: ready ones, or mappings as in a JSONL file. Without an ``id`` the third is ``case-3``.

    Raises ``SkillFileError`` with the number of the wrong one as its line.
    """
    cases: list[Case] = []
    seen: dict[str, int] = {}
    for number, row in enumerate(rows, start=1):
        body = row.model_dump() if isinstance(row, Case) else row
        named = {"id": f"case-{number}", **body} if isinstance(body, Mapping) else body
        case = _case(named, GIVEN, number)
        _refuse_twice(case, seen, GIVEN, number)
        cases.append(case)
    return cases


def is_suite(path: Path) -> bool:
    """Whether the file says of itself that it is a suite (its ``schema`` line), whatever else may be wrong with it."""
    if not path.is_file():
        return False
    with path.open("rb") as handle:
        return any(
            line.startswith(b"schema:") and SUITE_SCHEMA.encode() in line for line in handle.read(4096).splitlines()
        )


def read_suite(path: Path) -> Suite:
    """A suite with its cases read in; ``recorded`` becomes an absolute path.

    Raises ``NotFound`` and ``SkillFileError``.
    """
    try:
        source = path.read_bytes()
    except OSError as exc:
        raise NotFound(
            f"{path}: no suite there ({exc.strerror})", hint="name one with --suite evals/NAME.yaml"
        ) from exc
    document = load_yaml(source, path=str(path))
    body = document.value
    if not isinstance(body, dict):
        raise SkillFileError(str(path), [Problem("must be a mapping with name and cases", line=1)])
    body = dict(body)
    if body.pop("schema", None) != SUITE_SCHEMA:
        raise SkillFileError(str(path), [Problem(f'must be "{SUITE_SCHEMA}"', field="schema", line=1)])
    if isinstance(body.get("cases"), str):
        body["cases"] = list(read_cases(_relative(path, body["cases"], "cases")))
    elif isinstance(body.get("cases"), list):
        body["cases"] = _inline_cases(path, document)
    if isinstance(body.get("recorded"), str):
        body["recorded"] = str(_relative(path, body["recorded"], "recorded"))
    try:
        return Suite.model_validate(body)
    except ValidationError as exc:
        raise SkillFileError(str(path), validation_problems(exc, Suite, document.where)) from exc


def _case(row: Any, path: str, number: int) -> Case:
    if not isinstance(row, dict) or not isinstance(row.get("input"), dict):
        wrong = 'a case needs "input": an object with the fields of the task'
        raise SkillFileError(path, [Problem(wrong, line=number, hint='for example {"input": {"text": "…"}}')])
    try:
        named = {"id": "c-" + digest(row["input"])[7:19], **row}
        digest(row.get("expected"))
    except ValueError as exc:
        raise SkillFileError(path, [Problem(str(exc), line=number, hint="numbers up to 2**53, valid text")]) from exc
    try:
        return Case.model_validate(named)
    except ValidationError as exc:
        raise SkillFileError(path, validation_problems(exc, Case, lambda _: (number, 1))) from exc


def _inline_cases(path: Path, document: Document) -> list[Case]:
    cases: list[Case] = []
    seen: dict[str, int] = {}
    for index, row in enumerate(document.value["cases"]):
        line, _ = document.where(("cases", index)) or (1, 1)
        case = _case(row, str(path), line)
        _refuse_twice(case, seen, str(path), line)
        cases.append(case)
    return cases


def _refuse_twice(case: Case, seen: dict[str, int], path: str, number: int) -> None:
    """Everything that is measured is kept by case id: one that stands twice would swallow the other."""
    if case.id in seen:
        wrong = f"the id {case.id!r} already stands in line {seen[case.id]}"
        raise SkillFileError(path, [Problem(wrong, field="id", line=number)])
    seen[case.id] = number


def _relative(suite: Path, value: str, field: str) -> Path:
    if not value.startswith(FILE_SCHEME):
        raise SkillFileError(str(suite), [Problem(f"{value!r} must start with {FILE_SCHEME}", field=field)])
    if "\0" in value:
        raise SkillFileError(str(suite), [Problem("a file's name holds no NUL", field=field)])
    return (suite.parent / value.removeprefix(FILE_SCHEME)).resolve()
