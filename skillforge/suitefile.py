"""``evals/<name>.yaml`` and case files -> ``Suite`` and ``Case``: strict, with file and line in every error."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from skillforge.canonical import digest
from skillforge.case import Case, Suite
from skillforge.casecsv import SUFFIX as CSV_SUFFIX
from skillforge.casecsv import csv_rows
from skillforge.errors import NotFound, Problem, SkillFileError, UsageError
from skillforge.fields import Where, validation_problems
from skillforge.jsonl import Readable, read_jsonl
from skillforge.labels import SUFFIX, read_labels, with_labels
from skillforge.remotefile import FILE_SCHEME, RemoteFile, locate, require_plain
from skillforge.yamlfile import Document, load_yaml

SUITE_SCHEMA = "skillforge/suite/v1"
SCHEMA_COMMENT = "# yaml-language-server: $schema=../.skillforge/suite.v1.json\n"
GIVEN = "the cases given"
MAX_TEXT_BYTES = 131_072  # of a rubric, or of the graded answers a judge is shown

_TEXTS = ("rubric", "examples")  # settings of a scorer that may be files of their own


def read_cases(path: Path | Readable, contract: Mapping[str, Any] | None = None) -> Iterator[Case]:
    """Cases of a JSON Lines or a CSV file (``skillforge.casecsv``), streamed. A case without an ``id`` is named after
    the content of its input. ``contract`` is the suite's: it says what the cells of a CSV file are.

    Raises ``NotFound`` and ``SkillFileError`` (first wrong line, or the first id that stands twice).
    """
    seen: dict[str, int] = {}
    rows = csv_rows(path, contract) if str(path).lower().endswith(CSV_SUFFIX) else read_jsonl(path)
    for number, row in rows:
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
    """A suite with its cases read in, each with its label; the files it names become absolute paths (or stores' URLs).

    A scorer's ``rubric`` and ``examples`` may be ``file://`` too: their texts are read in, so that they are part of the
    suite's digest.

    Raises ``NotFound``, ``SkillFileError``; for a file in a store that cannot be reached ``UsageError``.
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
    _require_contract(path, body.get("contract"), document)
    if isinstance(body.get("cases"), str):
        body["cases"] = list(read_cases(_place(path, body["cases"], "cases"), body.get("contract")))
    elif isinstance(body.get("cases"), list):
        body["cases"] = _inline_cases(path, document)
    for key in ("recorded", "today"):
        if isinstance(body.get(key), str):
            body[key] = str(_place(path, body[key], key))
    if isinstance(body.get("labels"), str):
        labels = _labels_path(path, body["labels"])
        body["labels"] = str(labels)
        if isinstance(body.get("cases"), list):
            body["cases"] = with_labels(body["cases"], read_labels(labels))
    if isinstance(body.get("scorers"), dict):
        body["scorers"] = {name: _with_texts(path, name, spec) for name, spec in body["scorers"].items()}
    try:
        return Suite.model_validate(body)
    except ValidationError as exc:
        raise SkillFileError(str(path), validation_problems(exc, Suite, document.where)) from exc


def _case(row: Any, path: str, number: int, where: Where | None = None) -> Case:
    """``where`` finds a field's line and column; without it every problem stands at the start of line ``number``."""
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
        raise SkillFileError(path, validation_problems(exc, Case, where or (lambda _: (number, 1)))) from exc


def _inline_cases(path: Path, document: Document) -> list[Case]:
    cases: list[Case] = []
    seen: dict[str, int] = {}
    for index, row in enumerate(document.value["cases"]):
        line, _ = document.where(("cases", index)) or (1, 1)
        case = _case(row, str(path), line, lambda place, index=index: document.where(("cases", index, *place)))  # type: ignore[misc]
        _refuse_twice(case, seen, str(path), line)
        cases.append(case)
    return cases


def _with_texts(suite: Path, name: str, spec: Any) -> Any:
    """A scorer's settings with the texts that stand in files of their own."""
    if not isinstance(spec, dict):
        return spec
    named = [key for key in _TEXTS if isinstance(spec.get(key), str) and spec[key].startswith(FILE_SCHEME)]
    return {**spec, **{key: _text(suite, spec[key], f"scorers.{name}.{key}") for key in named}}


def _text(suite: Path, value: str, field: str) -> str:
    place = _place(suite, value, field)
    try:
        with place.open("rb") as handle:
            data = handle.read(MAX_TEXT_BYTES + 1)
    except OSError as exc:
        raise SkillFileError(str(suite), [Problem(f"{place}: cannot be read ({exc.strerror})", field=field)]) from exc
    if len(data) > MAX_TEXT_BYTES:
        raise SkillFileError(str(suite), [Problem(f"{place}: longer than {MAX_TEXT_BYTES:,} bytes", field=field)])
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise SkillFileError(str(suite), [Problem(f"{place}: not UTF-8", field=field)]) from exc


def _refuse_twice(case: Case, seen: dict[str, int], path: str, number: int) -> None:
    """Everything that is measured is kept by case id: one that stands twice would swallow the other."""
    if case.id in seen:
        wrong = f"the id {case.id!r} already stands in line {seen[case.id]}"
        raise SkillFileError(path, [Problem(wrong, field="id", line=number)])
    seen[case.id] = number


def _place(suite: Path, value: str, field: str) -> Path | RemoteFile:
    try:
        place = locate(value, suite.parent)
    except UsageError as exc:
        raise SkillFileError(str(suite), [Problem(str(exc), field=field, hint=exc.hint)]) from exc
    return require_plain(place) if isinstance(place, Path) else place


def _labels_path(suite: Path, value: str) -> Path:
    """``review`` writes there, so a suite cannot name just any file."""
    place = _place(suite, value, "labels")
    if isinstance(place, RemoteFile) or not place.name.endswith(SUFFIX):
        wrong = f"must be a local file that ends in {SUFFIX}"
        raise SkillFileError(str(suite), [Problem(wrong, field="labels", hint=f"write {FILE_SCHEME}NAME{SUFFIX}")])
    return place


def _require_contract(path: Path, contract: Any, document: Document) -> None:
    """Raise ``SkillFileError`` unless it is missing or ``{input: {field: schema}, output: {field: schema} | text}``."""
    if contract is None:
        return
    problems: list[Problem] = []
    if not isinstance(contract, dict) or set(contract) != {"input", "output"}:
        problems.append(_problem("must hold input and output, each a mapping from field to schema", (), document))
    else:
        for side in ("input", "output"):
            if side == "input" or contract[side] != "text":
                problems += _side_problems(side, contract[side], document)
    if problems:
        raise SkillFileError(str(path), problems)


def _side_problems(side: str, fields: Any, document: Document) -> Iterator[Problem]:
    from skillforge.contract import schema_problems

    if not isinstance(fields, dict) or not fields or not all(isinstance(schema, dict) for schema in fields.values()):
        text = "" if side == "input" else "text, or "
        yield _problem(f"must be {text}a mapping from field to schema", (side,), document)
        return
    for name, schema in fields.items():
        for found in schema_problems(schema):
            yield _problem(found.message, (side, name), document, found.hint)


def _problem(message: str, place: tuple[str, ...], document: Document, hint: str = "") -> Problem:
    line, column = document.where(cast("tuple[str | int, ...]", ("contract", *place))) or (None, None)
    return Problem(message, field=".".join(("contract", *place)), line=line, column=column, hint=hint)
