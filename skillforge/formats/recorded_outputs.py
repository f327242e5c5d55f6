"""Outputs that were produced elsewhere, as ``compare`` reads them: one file with all of them, or one file a model.

One file: a line is ``{"id", "input", "teacher", "student", "expected", "cluster", "cost", "latency"}``. All but the two
outputs may be left out: a line without ``id`` is called by its number. Several students stand under ``students`` by
name, or in fields that the caller names. ``cost`` (US dollars) and ``latency`` (seconds) are objects with a number by
name, ``{"teacher": 0.02, "student": 0.001}``; ``teacher_cost`` and the like do as well, as in CSV. ``teacher2`` is what
the teacher answered when it was asked a second time.

Several files: the first is the teacher's, each of the others a student's, joined by ``id``. A line is ``{"id",
"output", "cost", "latency", "expected", "input", "cluster"}``, where ``teacher`` and ``student`` do for ``output``; the
teacher's may hold ``teacher2``.

An output is any JSON value. ``null``, or a line with an ``error``, says that no answer came: an infrastructure error,
not a wrong answer. Files whose names end in ``.csv`` are CSV with a header; there an empty cell is ``null``. Those that
end in ``.json`` may hold an array of such objects.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from skillforge.case import id_problem
from skillforge.casecsv import SUFFIX, read_csv
from skillforge.checks import resolve_pointer
from skillforge.errors import NotFound, Problem, SkillFileError, UsageError
from skillforge.formats.records import read_records
from skillforge.jsonl import read_jsonl, strict_json
from skillforge.suggest import did_you_mean

Source = str | Path | Iterable[Mapping[str, Any]]
"""A file by its name, or its lines."""

STUDENT, STUDENTS = "student", "students"
SECOND = "the teacher's second answers"  # the name of that arm
GIVEN = "the lines given"
NO_GROUP = "none"
_MOST_NAMES = 12  # field names in a message
_SHOWN = 60  # characters of a name or an id in a message
_REASON = 200  # characters of why there is no answer
_ABSENT = object()
_Rows = Iterable[tuple[int, Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class FieldNames:
    """Where things stand in a line: a key, a dotted path (``result.text``) or a JSON pointer (``/result/text``).

    Without ``students`` it is ``student``, or each of ``students``. ``by`` is what groups of lines have in common.
    """

    id: str = "id"
    input: str = "input"
    expected: str = "expected"
    cluster: str = "cluster"
    teacher: str = "teacher"
    students: tuple[str, ...] = ()
    teacher2: str = "teacher2"
    output: str = "output"
    by: str = ""


@dataclass(frozen=True, slots=True)
class RecordedOutput:
    """One answer. ``error`` says why there is none; ``usd`` and ``latency_s`` of ``None`` are unknown."""

    value: Any
    error: str = ""
    usd: float | None = None
    latency_s: float | None = None


@dataclass(slots=True)
class RecordedCase:
    """What was recorded of one input: the outputs by arm; those of arms without a word on it are missing."""

    id: str
    input: Any = None
    expected: Any = None
    cluster: str | None = None
    group: str | None = None
    outputs: dict[str, RecordedOutput] = field(default_factory=dict)


@dataclass(frozen=True)
class RecordedOutputs:
    """Everything read. ``twice``: the teacher's second answers are there too, as the arm ``SECOND``. ``notes`` are for
    people: what was not taken into account.
    """

    name: str
    cases: list[RecordedCase]
    teacher: str
    students: tuple[str, ...]
    twice: bool = False
    notes: tuple[str, ...] = ()


def read_outputs(sources: Sequence[Source], names: FieldNames = FieldNames()) -> RecordedOutputs:
    """The outputs in one file, or in several of which the first is the teacher's.

    Raises ``NotFound``; ``SkillFileError`` with file and line for what cannot be read, for an id that stands twice and
    for files that disagree on a label; ``UsageError`` for a field that no line has.
    """
    if not sources:
        raise UsageError("nothing to compare", hint="skillforge compare recorded.jsonl")
    reader = _OneFile(names) if len(sources) == 1 else _SeveralFiles(names)
    return reader.read(sources)


class _Reader:
    """What both forms share: cases by id, fields with their places in error messages, figures."""

    def __init__(self, names: FieldNames) -> None:
        self.names = names
        self.cases: dict[str, RecordedCase] = {}
        self.labelled_at: dict[str, str] = {}
        self.keys: dict[Any, None] = {}  # of all lines, in order, for the message about a field that none has
        self.grouped = False
        self.path = ""
        self.line = 0

    def wrong(self, message: str, field: str = "", hint: str = "") -> NoReturn:
        raise SkillFileError(self.path, [Problem(message, field=field, line=self.line, hint=hint)])

    def rows(self, source: Source) -> Iterator[Mapping[str, Any]]:
        self.path, lines = _opened(source)
        for self.line, row in lines:
            if not isinstance(row, Mapping):
                self.wrong("must be a JSON object", hint='{"id": "1", "teacher": "…", "student": "…"}')
            if len(self.keys) < 100:
                self.keys.update(dict.fromkeys(row))
            yield row
        if not self.line:
            raise UsageError(f"{self.path}: holds no line", hint="write one JSON object a line")

    def id_of(self, row: Mapping[str, Any]) -> str | None:
        value = found(row, self.names.id)
        if value is _ABSENT or value is None or value == "":
            return None
        if isinstance(value, float) and value.is_integer():  # as a column of numbers with a gap in it is written
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, str | int):
            self.wrong("must be a text or a whole number", self.names.id)
        text = str(value)
        if problem := id_problem(text):
            self.wrong(problem, self.names.id, "give the case a short, readable id")
        return text

    def told(self, case: RecordedCase, row: Mapping[str, Any]) -> None:
        """What a line says of the case itself."""
        given = found(row, self.names.input)
        if case.input is None and given is not _ABSENT:
            case.input = given
        cluster = _text(found(row, self.names.cluster))
        case.cluster = cluster if case.cluster is None else case.cluster
        if self.names.by and (group := _text(found(row, self.names.by))) is not None:
            self.grouped = True
            case.group = group if case.group is None else case.group
        label = found(row, self.names.expected)
        if label is _ABSENT or label is None:
            return
        before = self.labelled_at.setdefault(case.id, f"{self.path}:{self.line}")
        if case.expected is None:
            case.expected = label
        elif case.expected != label:
            self.wrong(
                f"the label of {case.id[:_SHOWN]!r} is another one in {before}", self.names.expected, "keep one of them"
            )

    def output(self, value: Any, why: Any, figures: tuple[Any, Any]) -> RecordedOutput:
        why = "" if why is None or why is False else why if isinstance(why, str) else _text(why) or ""
        if value is _ABSENT or value is None:
            why, value = why or "no answer", None
        usd = self.figure("cost", figures[0])
        return RecordedOutput(None if why else value, why[:_REASON], usd, self.figure("latency", figures[1]))

    def figure(self, kind: str, value: Any) -> float | None:
        """A cost or a latency: finite, not negative. Cells of a CSV file are text, dollars may stand there as such."""
        if value is None or value is _ABSENT or value == "":
            return None
        if kind == "cost" and isinstance(value, str):
            value = value.strip().removeprefix("$")
        try:
            number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
        except (ValueError, OverflowError):
            number = math.nan
        if not (math.isfinite(number) and number >= 0):
            unit = "US dollars" if kind == "cost" else "seconds"
            self.wrong(f"must be a number of {unit}, 0 or more", kind, "leave out what is not known")
        return number

    def require(self, seen: bool, name: str, option: str) -> None:
        """Raise ``UsageError`` for a field that no line has: mostly a name that is another one here."""
        if seen:
            return
        keys = [_printable(key) for key in self.keys]
        there = ", ".join(keys[:_MOST_NAMES])
        guess = did_you_mean(name, keys)
        near = f"{guess} " if guess.startswith("did you mean") else ""  # a whole list stands behind it anyway
        hint = f"{near}name it with {option}: the lines have {there}"
        raise UsageError(f"{self.path}: no line has a field {name!r}", hint=hint)

    def require_named(self) -> None:
        """What the caller named must be there at all; what has its usual name may be missing."""
        names, usual = self.names, FieldNames()
        self.require(self.grouped or not names.by, names.by, "--by FIELD")
        self.require(bool(self.labelled_at) or names.expected == usual.expected, names.expected, "--expected FIELD")
        clustered = any(case.cluster is not None for case in self.cases.values())
        self.require(clustered or names.cluster == usual.cluster, names.cluster, "--cluster FIELD")


class _OneFile(_Reader):
    """All outputs of a case stand in one line."""

    def read(self, sources: Sequence[Source]) -> RecordedOutputs:
        names, seen, unnamed = self.names, dict[str, None](), dict[str, None]()
        if names.teacher in names.students:
            raise UsageError(f"{names.teacher} is teacher and student", hint="name another field with --student")
        lines: dict[str, int] = {}
        for row in self.rows(sources[0]):
            case_id = self.id_of(row) or str(self.line)
            if case_id in lines:
                self.wrong(f"the id {case_id[:_SHOWN]!r} already stands in line {lines[case_id]}", names.id)
            lines[case_id] = self.line
            case = self.cases[case_id] = RecordedCase(case_id)
            self.told(case, row)
            unnamed.update({kind: None for kind in ("cost", "latency") if _is_figure(row.get(kind))})
            case.outputs = self.outputs(row)
            seen.update(dict.fromkeys(case.outputs))
        unasked = (names.teacher, names.students) == (FieldNames().teacher, ())  # or their names are mistyped
        if not seen and unasked and names.output in self.keys:
            hint = (
                "skillforge compare TEACHER.jsonl STUDENT.jsonl, joined by id; or name the fields with --teacher FIELD"
            )
            told = f"{self.path}: holds one output a line ({names.output!r}), and nothing to compare it with"
            raise UsageError(f"{told}: a second file is missing", hint=hint)
        self.require(names.teacher in seen, names.teacher, "--teacher FIELD")
        students = names.students or tuple(name for name in seen if name not in (names.teacher, SECOND))
        for name in students or (STUDENT,):
            self.require(name in seen, name, "--student FIELD")
        self.require_named()
        return RecordedOutputs(
            name=self.path,
            cases=list(self.cases.values()),
            teacher=names.teacher,
            students=students,
            twice=SECOND in seen,
            notes=tuple(
                f'{kind} is one number, and whose is not said: write "{kind}": {{"teacher": …, "student": …}}'
                for kind in unnamed
            ),
        )

    def outputs(self, row: Mapping[str, Any]) -> dict[str, RecordedOutput]:
        values = self.values(row)
        students = [name for name in values if name not in (self.names.teacher, SECOND)]
        why = row.get("error")
        blank = [name for name, value in values.items() if value is None] or list(values)
        made = {}
        for name, value in values.items():
            role = {self.names.teacher: "teacher", SECOND: "teacher2"}.get(name)
            role = role or (STUDENT if len(students) == 1 else name)
            mine = why.get(name, why.get(role)) if isinstance(why, Mapping) else why if name in blank else None
            figures = (_figure_of(row, "cost", name, role), _figure_of(row, "latency", name, role))
            made[name] = self.output(value, mine, figures)
        return made

    def values(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The outputs of a line by arm; those it does not have are missing."""
        names = self.names
        values = {name: found(row, name) for name in (names.teacher, *(names.students or (STUDENT,)))}
        values[SECOND] = found(row, names.teacher2)
        several = row.get(STUDENTS)
        if not names.students and isinstance(several, Mapping):
            if clash := next((name for name in several if values.get(name, _ABSENT) is not _ABSENT), None):
                self.wrong(
                    f"{str(clash)[:_SHOWN]!r} is the name of another output of this line",
                    STUDENTS,
                    "give it another name",
                )
            values.update({str(name): value for name, value in several.items()})
        return {name: value for name, value in values.items() if value is not _ABSENT}


class _SeveralFiles(_Reader):
    """One file a model, the teacher's first, joined by id."""

    def read(self, sources: Sequence[Source]) -> RecordedOutputs:
        names = self.names
        arms = _arm_names(sources)
        twice = False
        for arm, source in zip(arms, sources, strict=True):
            fields = (names.output, *((names.teacher,) if arm == arms[0] else names.students or (STUDENT,)))
            lines: dict[str, int] = {}
            self.keys, seen, self.line = {}, False, 0
            for row in self.rows(source):
                case_id = self.id_of(row)
                if case_id is None:
                    self.wrong("has no id to be joined by", names.id, "or write all outputs into one file")
                if case_id in lines:
                    self.wrong(f"the id {case_id[:_SHOWN]!r} already stands in line {lines[case_id]}", names.id)
                lines[case_id] = self.line
                case = self.cases.setdefault(case_id, RecordedCase(case_id))
                self.told(case, row)
                value = next((value for name in fields if (value := found(row, name)) is not _ABSENT), _ABSENT)
                seen = seen or value is not _ABSENT
                figures = (row.get("cost"), row.get("latency"))
                case.outputs[arm] = self.output(value, row.get("error"), figures)
                again = found(row, names.teacher2) if arm == arms[0] else _ABSENT
                if again is not _ABSENT:
                    twice = True
                    case.outputs[SECOND] = self.output(again, None, (None, None))
            self.require(seen, names.output, "--output-field FIELD")
            self.require_joined(arms[0], arm)
        self.require_named()
        return RecordedOutputs(
            name=", ".join(arms),
            cases=list(self.cases.values()),
            teacher=arms[0],
            students=tuple(arms[1:]),
            twice=twice,
        )

    def require_joined(self, teacher: str, arm: str) -> None:
        """Raise ``UsageError`` where a model has no case of the teacher's: then the ids are not of one kind."""
        ids = {name: [case.id for case in self.cases.values() if name in case.outputs] for name in (teacher, arm)}
        if arm == teacher or any(arm in self.cases[case].outputs for case in ids[teacher]):
            return
        like = " and ".join(f"{name} has ids such as {mine[0][:_SHOWN]!r}" for name, mine in ids.items())
        raise UsageError(
            f"no id of {teacher} stands in {arm}: are these the same cases?",
            hint=f"{like}; name the field that joins them with --id FIELD",
        )


def found(row: Mapping[str, Any], name: str) -> Any:
    """What stands under a name in a line; ``_ABSENT`` where nothing does."""
    if name in row:
        return row[name]
    if name.startswith("/"):
        try:
            return resolve_pointer(row, name)
        except NotFound:
            return _ABSENT
    value: Any = row
    for part in name.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return _ABSENT
        value = value[part]
    return value


def _opened(source: Source) -> tuple[str, _Rows]:
    if not isinstance(source, str | Path):
        return GIVEN, enumerate(source, start=1)
    path = Path(source)
    return str(source), _READERS.get(path.suffix.lower(), read_jsonl)(path)


def _elements(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The objects of a JSON array."""
    for record in read_records(path):
        try:
            if record.broken:
                raise ValueError(record.broken)
            yield record.line, strict_json(record.raw)
        except ValueError as exc:
            problem = Problem(f"not JSON: {exc}", line=record.line, hint="write an array of objects")
            raise SkillFileError(str(path), [problem]) from exc


def _cells(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The rows of a CSV file: empty cells are ``null``, those that hold a JSON object or array are that."""
    for line, cells in read_csv(path):
        yield line, {name: _cell(text) for name, text in cells.items()}


_READERS = {SUFFIX: _cells, ".json": _elements}


def _cell(text: str) -> Any:
    if not text:
        return None
    bare = text.strip()
    if (bare[:1], bare[-1:]) not in (("{", "}"), ("[", "]")):
        return text
    try:
        return strict_json(bare)
    except ValueError:
        return text


def _arm_names(sources: Sequence[Source]) -> list[str]:
    """The files' names without their suffixes; with their numbers where two are the same."""
    stems = [Path(source).stem if isinstance(source, str | Path) else "lines" for source in sources]
    return [stem if stems.count(stem) == 1 else f"{stem} {number}" for number, stem in enumerate(stems, start=1)]


def _figure_of(row: Mapping[str, Any], kind: str, name: str, role: str) -> Any:
    """A cost or latency of one arm, by its name or by its role."""
    whole = row.get(kind)
    if isinstance(whole, Mapping):
        return whole.get(name, whole.get(role))
    keys = (f"{name}_{kind}", f"{role}_{kind}", f"{kind}_{name}", f"{kind}_{role}")
    return next((row[key] for key in keys if key in row), None)


def _is_figure(value: Any) -> bool:
    return value is not None and value != "" and not isinstance(value, Mapping)


def _printable(name: Any) -> str:
    return "".join(char if char.isprintable() else " " for char in str(name)[:_SHOWN])


def _text(value: Any) -> str | None:
    """A group or a reason as text; anything but text as it prints."""
    if value is _ABSENT or value is None or value == "":
        return None
    return value if isinstance(value, str) else str(value)
