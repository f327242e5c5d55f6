"""A report as files: what each suffix is written as."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from skillforge.atomicfile import replace_file
from skillforge.errors import UsageError
from skillforge.evals.pages.besides import NOTHING, Besides
from skillforge.evals.pages.rows import CaseRow
from skillforge.evals.pages.values import Clean, whole_row
from skillforge.evals.report import EvalReport

Rows = Callable[[], Iterator[CaseRow]]
"""Makes the cases anew, one at a time: a page may need them twice."""

Render = Callable[[EvalReport, Rows, Clean, Besides], str]


def write_pages(
    paths: Sequence[Path],
    report: EvalReport,
    rows: Rows,
    clean: Clean = lambda value: value,
    besides: Besides = NOTHING,
) -> None:
    """Write the report to every path, by its suffix: ``.html``, ``.md``, ``.json``, ``.jsonl``, ``.xml`` (JUnit).

    ``clean`` takes secrets out of what cases and answers say; where it gives ``None`` nothing of them is kept. Each
    file is replaced in one step. Raises ``UsageError`` for another suffix, a folder that does not exist, or one that
    cannot be written to.
    """
    require_writable(paths)
    for path in paths:
        text = _RENDERS[path.suffix.lower()](report, rows, clean, besides)
        try:
            # half a surrogate has no UTF-8; JSON spells it with a backslash, and elsewhere it may be seen
            replace_file(path, text.encode("utf-8", "backslashreplace"))
        except OSError as exc:
            raise UsageError(f"{path}: cannot be written ({exc.strerror})", hint="write it elsewhere") from exc


def require_writable(paths: Sequence[Path]) -> None:
    """Raise ``UsageError`` for a suffix nobody knows, or a folder that does not exist: before an eval, not after."""
    for path in paths:
        if path.suffix.lower() not in _RENDERS:
            known = ", ".join(_RENDERS)
            raise UsageError(
                f"{path}: no report is written as {path.suffix or 'a file without suffix'!s}",
                hint=f"name a file that ends in one of {known}",
            )
        if path.is_dir():
            raise UsageError(f"{path}: is a folder", hint="name a file in it")
        if not path.parent.is_dir():
            raise UsageError(f"{path}: the folder {path.parent} does not exist", hint=f"mkdir -p {path.parent}")


def _json(report: EvalReport, rows: Rows, clean: Clean, besides: Besides) -> str:
    """What the command's ``--json`` prints, and the cases."""
    document = report.model_dump(mode="json") if besides.document is None else besides.document
    body = {**document, **besides.keys(), "rows": [whole_row(row, clean) for row in rows()]}
    return json.dumps(body, ensure_ascii=False, indent=1) + "\n"


def _jsonl(report: EvalReport, rows: Rows, clean: Clean, besides: Besides) -> str:
    return "".join(json.dumps(whole_row(row, clean), ensure_ascii=False) + "\n" for row in rows())


def _html(report: EvalReport, rows: Rows, clean: Clean, besides: Besides) -> str:
    from skillforge.evals.pages.page import html_page

    return html_page(report, rows, clean, besides)


def _markdown(report: EvalReport, rows: Rows, clean: Clean, besides: Besides) -> str:
    from skillforge.evals.pages.markdown import markdown

    return markdown(report, rows, clean, besides)


def _junit(report: EvalReport, rows: Rows, clean: Clean, besides: Besides) -> str:
    from skillforge.evals.pages.junit import junit

    return junit(report, rows, clean)


_RENDERS: Mapping[str, Render] = {".html": _html, ".md": _markdown, ".json": _json, ".jsonl": _jsonl, ".xml": _junit}

__all__ = ["Render", "Rows", "require_writable", "write_pages"]
