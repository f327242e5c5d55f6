"""How much alike the answers are: a student learns a style as fast as a task, also one that nobody wanted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from statistics import mean, median, pstdev
from typing import Any

from skillforge.engine.nomodel import label_fields
from skillforge.evals.diversity import distinct
from skillforge.messages import Value
from skillforge.skill import Skill

_WORD = re.compile(r"\w+")
_OPENING = 3  # words
_MARKDOWN = re.compile(r"^\s{0,3}(?:#{1,6} |[-*] |\d{1,3}\. |```)", re.MULTILINE)


class Style(Value):
    """The free texts of the answers in one field ("" is the answer itself). ``opening`` is the share that begins with
    the most common first three words; ``spread`` the standard deviation of the lengths over their mean: near 0, every
    answer is of one length. ``distinct`` is distinct-2 (``evals.diversity``); ``markdown`` the share with lists,
    headings or code.
    """

    field: str
    n: int
    words: float
    spread: float
    opening: float
    distinct: float
    markdown: float

    def line(self) -> str:
        name = self.field or "answers"
        return (
            f"{name}: {self.words:g} words (median), length spread {self.spread:.2f}, distinct-2 {self.distinct:.2f},"
            f" {self.opening:.0%} share one opening, {self.markdown:.0%} Markdown"
        )


def styles(skill: Skill, outputs: Sequence[Any]) -> list[Style]:
    """One a field of free text; empty where all answers are labels or numbers."""
    if skill.output == "text":
        return [_style("", [str(output) for output in outputs])] if outputs else []
    labels = set(label_fields(skill))
    texts = {
        name: [output[name] for output in outputs if isinstance(output.get(name), str)]
        for name in skill.output
        if name not in labels
    }
    return [_style(name, found) for name, found in texts.items() if found]


def _style(field: str, texts: Sequence[str]) -> Style:
    words = [_WORD.findall(text.casefold()) for text in texts]
    lengths = [len(found) for found in words]
    openings = Counter(tuple(found[:_OPENING]) for found in words)
    average = mean(lengths)
    return Style(
        field=field,
        n=len(texts),
        words=median(lengths),
        spread=round(pstdev(lengths) / average, 3) if average else 0.0,
        opening=round(max(openings.values()) / len(texts), 3),
        distinct=round(distinct(words, 2), 3),
        markdown=round(sum(bool(_MARKDOWN.search(text)) for text in texts) / len(texts), 3),
    )
