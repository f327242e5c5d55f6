"""Texts from anywhere inside Markdown that a forge renders: they mean nothing to Markdown, to HTML or to the forge."""

from __future__ import annotations

import html

_LONGEST = 300
_GAP = "\u200b"  # zero width: what it stands in is no mention, no reference and no link any more


def code(text: str) -> str:
    """The text as inline code; what would end it or the table's cell is taken out."""
    return f"`{_one_line(text).replace('`', '') or ' '}`"


def plain(text: str, most: int = _LONGEST) -> str:
    """The text as one line of Markdown, of at most so many of its characters."""
    return _inert("".join(f"\\{char}" if char in "\\`*_[]<>#!~&" else char for char in _one_line(text, most)))


def in_html(text: str) -> str:
    """The text as one line between HTML tags, where Markdown's escapes count for nothing."""
    return _inert(html.escape(_one_line(text)))


def _inert(text: str) -> str:
    for sign in ("@", "www."):
        text = text.replace(sign, f"{sign}{_GAP}")
    return text.replace("://", f":{_GAP}//").replace("#", f"#{_GAP}")


def _one_line(text: str, most: int = _LONGEST) -> str:
    return "".join(char if char.isprintable() else " " for char in text[:most]).replace("|", "/")
