"""A leaderboard as a file: one HTML page that loads nothing, Markdown, or JSON."""

from __future__ import annotations

import base64
import hashlib
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from skillforge.atomicfile import replace_file
from skillforge.errors import UsageError
from skillforge.markdowntext import plain
from skillforge.students.boardchart import picture
from skillforge.students.boardwords import HEAD, headline, name, notes, row
from skillforge.students.leaderboard import Leaderboard
from skillforge.version import __version__

SUFFIXES = (".html", ".md", ".json")


def write_board(board: Leaderboard, path: Path) -> None:
    """Write the board by the file's suffix. Raises ``UsageError`` for another one, or where it cannot be written."""
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(
            f"{path}: no leaderboard is written as {path.suffix or 'a file without suffix'!s}",
            hint=f"name a file that ends in one of {', '.join(SUFFIXES)}",
        )
    texts = {".html": html_board, ".md": markdown_board, ".json": json_board}
    try:
        replace_file(path, texts[path.suffix.lower()](board).encode("utf-8", "backslashreplace"))
    except OSError as exc:
        raise UsageError(f"{path}: cannot be written ({exc.strerror})", hint="write it elsewhere") from exc


def json_board(board: Leaderboard) -> str:
    return json.dumps(board.model_dump(mode="json"), ensure_ascii=False, indent=1) + "\n"


def markdown_board(board: Leaderboard) -> str:
    """A table that GitHub renders; what could be markup in a name is escaped."""
    rows = [[_cell(cell) for cell in row(entry)] for entry in board.entries]
    lines = [f"**{_cell(headline(board))}**", "", _line(HEAD), _line(["---"] * len(HEAD))]
    lines += [_line(cells) for cells in rows]
    return "\n".join([*lines, "", *(f"- {_cell(text)}" for text in notes(board))]) + "\n"


def html_board(board: Leaderboard) -> str:
    """One document. Names stand in it as text only: the template escapes, and a content security policy lets nothing
    else run or load.
    """
    import jinja2
    from markupsafe import Markup

    pages = files("skillforge.students.pages")
    style = files("skillforge.evals.pages").joinpath("page.css").read_text("utf-8")
    style += pages.joinpath("board.css").read_text("utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    values: dict[str, Any] = {
        "board": board,
        "headline": headline(board),
        "chart": picture(board),
        "head": HEAD,
        "rows": [row(entry) for entry in board.entries],
        "notes": notes(board),
        "stale": [f"{name(entry)}: {why}" for entry in board.entries for why in entry.stale],
        "footer": f"skillforge {__version__}",
    }
    template = environment.from_string(pages.joinpath("board.html").read_text("utf-8"))
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    page: str = template.render(**values, style=Markup(style), style_hash=digest)
    return page


def _line(cells: Any) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(text: str) -> str:
    return plain(text) if text else ""
