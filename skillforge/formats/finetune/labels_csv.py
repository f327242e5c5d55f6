"""A CSV file for classifiers: ``text`` and ``label`` (``label_FIELD`` where the answer has several), RFC 4180.

A spreadsheet runs a cell that begins with ``= + - @``, a tab or a carriage return as a formula, also behind blanks
(CWE-1236; OWASP ASVS 1.2.10): such a cell gets an apostrophe in front, here and in no other file, and the check refuses
one without it.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from skillforge.canonical import compact
from skillforge.errors import Problem
from skillforge.formats.finetune.checking import MAX_ROW_BYTES, MOST_PROBLEMS, FileRules, of_size, opened, shown
from skillforge.formats.finetune.example import Checked, FineTuneFormat, Part, TrainingExample

RULES = FileRules(least=2)
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\0", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # the last four full width
_TEXT = "text"
_LABEL = "label"
_FEW = 2


def lines(examples: Sequence[TrainingExample]) -> Iterator[str]:
    fields = list(examples[0].labels) if examples else []
    yield _line([_TEXT, *(_LABEL if len(fields) == 1 else f"{_LABEL}_{name}" for name in fields)])
    for example in examples:
        yield _line([example.text, *(label_text(example.labels[name]) for name in fields)])


def safe_cell(text: str) -> str:
    """The cell as no spreadsheet runs it."""
    return f"'{text}" if is_formula(text) else text


def is_formula(text: str) -> bool:
    return text.startswith(FORMULA) or text.lstrip().startswith(FORMULA)


def label_text(label: Any) -> str:
    return label if isinstance(label, str) else compact(label)


def fits(example: TrainingExample) -> list[Problem]:
    if not example.text.strip():
        return [Problem("is empty", field=_TEXT)]
    return [Problem("is empty", field=name) for name, label in example.labels.items() if not label_text(label).strip()]


def check(path: Path, part: Part) -> Checked:
    """Header, cells, classes. Raises ``NotFound``."""
    with opened(path) as handle:
        data = handle.read(64 * MAX_ROW_BYTES + 1)
    if len(data) > 64 * MAX_ROW_BYTES:
        return Checked(0, (Problem("is too large to be checked"),))
    try:
        rows = list(csv.reader(io.StringIO(data.decode("utf-8"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as exc:
        return Checked(0, (Problem(f"is no CSV file in UTF-8: {shown(str(exc))}"),))
    header, body = (rows[0], rows[1:]) if rows else ([], [])
    labels = [name for name in header if name == _LABEL or name.startswith(f"{_LABEL}_")]
    if _TEXT not in header or not labels or len(set(header)) != len(header):
        return Checked(len(body), (Problem("the header needs text, and label or label_FIELD, each once", line=1),))
    problems = [problem for number, row in enumerate(body, 2) for problem in _row_problems(header, row, number)]
    if not problems and part == "train":
        problems += _class_problems(header, labels, body)
    return Checked(len(body), (*problems[:MOST_PROBLEMS], *of_size(len(body), part, RULES)))


def _row_problems(header: list[str], row: list[str], number: int) -> list[Problem]:
    if len(row) != len(header):
        return [Problem(f"{len(row)} cells under {len(header)} columns", line=number)]
    found = []
    for name, cell in zip(header, row, strict=True):
        if not cell.strip():
            found.append(Problem("is empty", field=name, line=number))
        elif is_formula(cell):
            found.append(Problem("begins like a formula: a spreadsheet would run it", field=name, line=number))
    return found


def _class_problems(header: list[str], labels: list[str], body: list[list[str]]) -> list[Problem]:
    found = []
    for name in labels:
        counts = Counter(row[header.index(name)] for row in body)
        if len(counts) < _FEW:
            found.append(Problem("has one class only: nothing can be learned", field=name))
        rare = sorted(label for label, count in counts.items() if count < _FEW)
        if rare:
            said = f"{len(rare)} classes have one row: {', '.join(map(shown, rare[:3]))}"
            found.append(Problem(said, field=name, level="warning"))
    return found


def _line(cells: list[str]) -> str:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerow([safe_cell(cell) for cell in cells])
    return out.getvalue()


FORMAT = FineTuneFormat(
    name="csv",
    suffix="csv",
    kind="labels",
    about="classification table",
    rules=("https://www.rfc-editor.org/rfc/rfc4180", "https://cwe.mitre.org/data/definitions/1236.html"),
    lines=lines,
    fits=fits,
    check=check,
)
