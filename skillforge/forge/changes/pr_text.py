"""Words of a comment on a forge, and the texts from anywhere inside it."""

from __future__ import annotations

from skillforge.markdowntext import code, in_html, plain

WORDS = {"pass": "✅ REPLACE", "fail": "❌ KEEP", "inconclusive": "⚠️ NOT SURE", "": "not measured"}

__all__ = ["WORDS", "code", "in_html", "plain"]
