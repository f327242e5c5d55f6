"""A report as JUnit XML, as CI servers read it: a suite for every candidate, a test case for every case."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from xml.sax.saxutils import quoteattr

from skillforge.evals.pages.rows import CaseRow, Cell
from skillforge.evals.pages.values import Clean, as_text, state, why
from skillforge.evals.report import ArmReport, EvalReport
from skillforge.evals.wording.reading import headline, label, sentence, word

_LONGEST = 400  # characters of what a message quotes
# XML 1.0, production 2: no other character may stand in a document, not even escaped
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(report: EvalReport, rows: Callable[[], Iterator[CaseRow]], clean: Clean) -> str:
    """The candidates of the report (of one without any: every arm); what the teacher got wrong is no failure of theirs.

    A case fails below a score of 0.5, is an error where no answer or no score came, and skipped where it has no label.
    The verdict stands in the suite's properties: single failed cases are what a margin is for.
    """
    suites, totals = [], Counter[str]()
    for arm in report.candidates() or list(report.arms):
        suite, counts = _suite(report, arm, rows(), clean)
        suites.append(suite)
        totals += counts
    head = f'<testsuites name={_attribute(headline(report))} {_counted(totals)} time="{report.seconds:.3f}">\n'
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{head}{"".join(suites)}</testsuites>\n'


def _suite(report: EvalReport, arm: ArmReport, rows: Iterator[CaseRow], clean: Clean) -> tuple[str, Counter[str]]:
    counts: Counter[str] = Counter(tests=0, failures=0, errors=0, skipped=0)
    cases, took = [], 0.0
    name = f"{report.skill}: {label(report, arm)}"
    for row in rows:
        cell = row.cells.get(arm.name)
        if cell is None:
            continue
        said = state(cell)
        counts["tests"] += 1
        counts[{"fail": "failures", "error": "errors", "unscored": "skipped"}.get(said, "")] += 1
        seconds = sum(answer.latency_s or 0.0 for answer in cell.answers)
        took += seconds
        body = _body(row, cell, said, clean)
        head = f' <testcase name={_attribute(row.id)} classname={_attribute(name)} time="{seconds:.3f}"'
        cases.append(f"{head}>{body}</testcase>\n" if body else f"{head}/>\n")
    properties = "".join(
        f"  <property name={_attribute(key)} value={_attribute(value)}/>\n" for key, value in _properties(report, arm)
    )
    head = f'<testsuite name={_attribute(name)} {_counted(counts)} time="{took:.3f}">\n'
    return f"{head} <properties>\n{properties} </properties>\n{''.join(cases)}</testsuite>\n", counts


def _body(row: CaseRow, cell: Cell, said: str, clean: Clean) -> str:
    if said == "unscored":
        return '<skipped message="not scored"/>'
    if said == "error":
        return f"<error message={_attribute(why(cell, clean) or 'no answer', _LONGEST)}/>"
    if said == "fail":
        wanted, got = clean(row.expected), clean(cell.answers[0].output if cell.answers else None)
        told = [f"score {cell.score:.3g}"]
        told += [f"expected {as_text(wanted, _LONGEST)}"] if wanted is not None else []
        told += [f"answered {as_text(got, _LONGEST)}"] if got is not None else []
        return f"<failure message={_attribute('; '.join(told), 3 * _LONGEST)}/>"
    return ""


def _properties(report: EvalReport, arm: ArmReport) -> Iterator[tuple[str, str]]:
    versus = arm.versus_teacher
    if versus is None:
        return
    yield "verdict", versus.verdict
    yield "says", f"{word(report, versus.verdict)}: {sentence(report, arm, versus)}"
    yield "difference", f"{versus.difference:.6f}"
    yield f"interval_{100 * versus.bounds.level:.4g}", f"{versus.bounds.low:.6f} {versus.bounds.high:.6f}"
    yield "margin", f"{report.decision.margin:g}"


def _counted(counts: Counter[str]) -> str:
    return " ".join(f'{name}="{counts[name]}"' for name in ("tests", "failures", "errors", "skipped"))


def _attribute(text: str, most: int = 1000) -> str:
    """The text as a quoted attribute; line ends are kept as references, or a parser makes spaces of them."""
    return quoteattr(_NOT_XML.sub("\ufffd", text[:most]), {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"})
