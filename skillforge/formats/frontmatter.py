"""Markdown with YAML frontmatter: read strictly and with lines, written so that every reader of it sees the same.

The frontmatter stands between a first line ``---`` and the next line ``---``; what follows is the body, kept as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from skillforge.errors import Problem, SkillFileError
from skillforge.yamlfile import dump_yaml, load_yaml

Place = tuple[int, int]
Part = tuple[str, str]  # the field a piece of text comes from ("" for what only holds it together), and the text

_BOM = b"\xef\xbb\xbf"
_OPENING = re.compile(r"---[ \t]*(?:\r\n|\n|\r)")
_CLOSING = re.compile(r"(?:^|(?<=[\n\r]))---[ \t]*(?:\r\n|\n|\r|\Z)")
_NEWLINE = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class MarkdownFile:
    """One file. ``fields`` are texts, lists and mappings: a scalar stays the text it was written as (``1.10``).

    ``text`` is the whole file without a byte order mark, ``body`` what follows the frontmatter, from line ``body_line``
    on. ``where`` gives the line and column of a field.
    """

    fields: Mapping[str, Any]
    body: str
    body_line: int
    text: str
    bom: bool
    where: Callable[[tuple[str | int, ...]], Place | None]


def read_markdown(data: bytes, *, path: str) -> MarkdownFile:
    """Split and read a file; ``path`` only names it in errors. Raises ``SkillFileError`` with the line.

    Aliases, tags, duplicate keys and what else ``skillforge.yamlfile`` refuses are refused here too.
    """
    bom = data.startswith(_BOM)
    text = _decoded(data.removeprefix(_BOM), path)
    opening = _OPENING.match(text)
    if opening is None:
        hint = "the first line is ---, then come name: and description:, then a line --- again"
        raise SkillFileError(path, [Problem("must start with YAML frontmatter", line=1, column=1, hint=hint)])
    closing = _CLOSING.search(text, opening.end())
    if closing is None:
        hint = "a line that is --- and nothing else ends it"
        raise SkillFileError(path, [Problem("the frontmatter is never closed", line=1, column=1, hint=hint)])
    source = text[opening.end() : closing.start()]
    if not source.strip():
        raise SkillFileError(path, [Problem("the frontmatter is empty", line=1, hint="write name and description")])
    document = load_yaml("\n" + source, path=path, plain=str)  # the line break stands for the line ---
    if not isinstance(document.value, dict):
        wrong = "the frontmatter must be a mapping of keys such as name and description"
        raise SkillFileError(path, [Problem(wrong, line=2)])
    body_line = 1 + len(_NEWLINE.findall(text[: closing.end()]))
    return MarkdownFile(document.value, text[closing.end() :], body_line, text, bom, document.where)


def frontmatter_parts(fields: Mapping[str, str | Mapping[str, str]]) -> list[Part]:
    """The frontmatter with both its ``---`` lines, one part for every value; their texts joined are the text.

    Every value stands in one line, plain or in double quotes, and mappings in block style, which the reference
    validator insists on. Three hyphens in a row are escaped: some readers end the frontmatter at the first they meet.
    """
    parts: list[Part] = [("", "---\n")]
    for name, value in fields.items():
        if isinstance(value, str):
            parts += [("", f"{name}: "), (name, _scalar(value)), ("", "\n")]
            continue
        parts.append(("", f"{name}:\n"))
        for key, text in value.items():
            parts += [("", "  "), (f"{name}.{key}", f"{_scalar(key)}: {_scalar(text)}"), ("", "\n")]
    return [*parts, ("", "---\n")]


def _scalar(text: str) -> str:
    written = dump_yaml(text).rstrip("\n")
    if "---" not in text:
        return written
    quoted = written if written.startswith('"') else json.dumps(text, ensure_ascii=False)
    return re.sub(r"-(?=--)", r"\\x2D", quoted)


def _decoded(data: bytes, path: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as exc:
        line = 1 + len(_NEWLINE.findall(data[: exc.start].decode("utf-8")))
        wrong = f"not UTF-8: byte 0x{data[exc.start]:02x}"
        raise SkillFileError(path, [Problem(wrong, line=line, hint="save it as UTF-8")]) from exc
