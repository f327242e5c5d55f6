"""What the page's script is given of every case: bounded, and as text only."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from skillforge.evals.answer import Answer
from skillforge.evals.pages.rows import CaseRow, Cell
from skillforge.evals.pages.values import Clean, as_text, fields_of, state, why
from skillforge.evals.report import EvalReport
from skillforge.evals.wording.reading import label

TEXT = 2_000  # characters of one value
FIELDS = 40  # of one input or answer
ANSWERS = 5  # of one arm to one case
PAGE = 12_000_000  # characters of all cases; beyond it only those that got worse or better
WHOLE = 2 * PAGE  # beyond it none


@dataclass
class PageCases:
    """``items`` are the cases of the page as JSON texts, in their order, of ``total``; ``kept`` says whether inputs and
    answers may be shown at all. ``place`` maps ids to positions in ``items``.
    """

    items: list[str] = field(default_factory=list)
    place: dict[str, int] = field(default_factory=dict)
    total: int = 0
    kept: bool = True


def page_arms(report: EvalReport, rows: Iterator[CaseRow]) -> list[dict[str, str]]:
    """The arms as the page names them, the teacher first; those that only the cases know last."""
    known = {arm.name: (label(report, arm), arm.kind) for arm in (report.teacher, *report.arms)}
    first = next(rows, None)
    names = list(dict.fromkeys([*known, *(first.cells if first is not None else ())]))
    return [{"name": name, "label": known.get(name, (name, "again"))[0]} for name in names]


def page_cases(report: EvalReport, rows: Iterator[CaseRow], arms: Sequence[str], clean: Clean) -> PageCases:
    """The cases, each cut to what a page can show. Decided cases are never left out before all others are."""
    found, size = PageCases(), 0
    decided = _decided(report)
    for row in rows:
        found.total += 1
        if row.input and found.kept:
            found.kept = clean(dict(row.input)) is not None
        flags = {name: said[row.id] for name, said in decided.items() if row.id in said}
        if size > (WHOLE if flags else PAGE):
            continue
        item = json.dumps(_case(row, arms, flags, clean), ensure_ascii=True, separators=(",", ":"))
        size += len(item)
        found.place[row.id] = len(found.items)
        found.items.append(item)
    return found


def script_json(head: Mapping[str, Any], items: Sequence[str]) -> str:
    """A JSON document that may stand between ``<script>`` tags: plain ASCII, and nothing in it ends the tag."""
    text = json.dumps({**head}, ensure_ascii=True, separators=(",", ":"))
    whole = f'{text[:-1]}{"," if head else ""}"cases":[{",".join(items)}]}}'
    return whole.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _decided(report: EvalReport) -> dict[str, dict[str, str]]:
    """Arm -> case id -> ``lost`` or ``gained``."""
    compared = [(arm.name, arm.versus_teacher) for arm in report.arms if arm.versus_teacher is not None]
    return {
        name: dict.fromkeys(versus.lost, "lost") | dict.fromkeys(versus.gained, "gained") for name, versus in compared
    }


def _case(row: CaseRow, arms: Sequence[str], flags: Mapping[str, str], clean: Clean) -> dict[str, Any]:
    teacher = row.cells.get(arms[0])
    cells = [
        None if (cell := row.cells.get(name)) is None else _cell(cell, teacher, flags.get(name, ""), clean)
        for name in arms
    ]
    case: dict[str, Any] = {"id": row.id, "in": _shown(dict(row.input), clean), "arms": cells}
    for key, value in (("want", row.expected), ("meta", dict(row.metadata) or None)):
        if value is not None:
            case[key] = _shown(value, clean)
    if row.cluster is not None and (cluster := clean(row.cluster)) is not None:
        case["group"] = as_text(cluster, TEXT)
    return case


def _cell(cell: Cell, teacher: Cell | None, flag: str, clean: Clean) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "state": state(cell),
        "says": [_answer(answer, clean) for answer in cell.answers[:ANSWERS]],
    }
    if cell.score is not None:
        shown["score"] = round(cell.score, 4)
    if said := why(cell, clean):
        shown["why"] = as_text(said, TEXT)
    if flag:
        shown["flag"] = flag
    if len(cell.answers) > ANSWERS:
        shown["more"] = len(cell.answers) - ANSWERS
    if teacher is not None and teacher is not cell and _first(cell) != _first(teacher):
        shown["differs"] = 1
    return shown


def _first(cell: Cell) -> Any:
    return cell.answers[0].output if cell.answers else None


def _answer(answer: Answer, clean: Clean) -> dict[str, Any]:
    """One answer: its fields, or why there is none; seconds and dollars where they are known."""
    shown: dict[str, Any] = {"out": None if answer.output is None else _shown(answer.output, clean)}
    if answer.run_status != "ok":
        shown["status"] = answer.run_status
    if answer.repaired:
        shown["repaired"] = 1
    if answer.latency_s is not None:
        shown["s"] = round(answer.latency_s, 3)
    if answer.usd is not None:
        shown["usd"] = float(f"{answer.usd:.3g}")
    return shown


def _shown(value: Any, clean: Clean) -> list[list[str]] | int:
    """The fields of a value; 0 where it is not kept."""
    cleaned = clean(value)
    return 0 if cleaned is None else fields_of(cleaned, TEXT, FIELDS)
