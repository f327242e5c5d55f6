"""What a judge's reply says: its last grade, or nothing that can be read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from skillforge.engine.parse import MAX_STARTS
from skillforge.judgement import JudgementKind

SCALE = ("1", "2", "3", "4", "5")
"""Points of a rubric: 1 fails it, 5 meets it in full. As scores they are 0, .25, .5, .75 and 1."""

PLACES = ("A", "B", "TIE")
"""What a comparison of two answers ends in."""

MARKER: dict[JudgementKind, str] = {"rubric": "GRADE", "pairwise": "VERDICT"}
_MAX_REPLY = 200_000  # characters that are looked at, from the end
_WORDS = {"pass": "5", "passed": "5", "fail": "1", "failed": "1"}
_TIES = {"tie", "equal", "same", "draw", "neither", "both"}
# GRADE: 4, **Grade:** 4/5, GRADE = [[4]], Verdict: answer B
_VALUE = r"[\s*_`\"']*[:=][\s*_`\"'(\[<]*(?:(?:answer|option|response)[\s_-]+)?([+-]?\d+(?:\.\d+)?|[a-z]+)?"
_SAID = {kind: re.compile(rf"\b{word}\b{_VALUE}", re.IGNORECASE) for kind, word in MARKER.items()}
# What stands behind it and makes another thing of it: 4/10, 4 out of 10; A or B, A/B.
_OTHER_SCALE = re.compile(r"[\s*_`\"')\]>]*(?:/|\(?(?:out )?of\b)[\s*_`\"'(\[]*(?!5(?!\d))\d", re.IGNORECASE)
_OTHER_PLACE = re.compile(
    r"[ \t*_`\"')\]>]*(?:/|&|\bor\b|\band\b)[\s*_`\"'(\[]*(?:answer )?(?:[ab]|tie)\b", re.IGNORECASE
)
_BEHIND: dict[JudgementKind, re.Pattern[str]] = {"rubric": _OTHER_SCALE, "pairwise": _OTHER_PLACE}
_OBJECT = re.compile(r"\s*(?:```\w*\s*)?\{.*\}\s*(?:```\s*)?", re.DOTALL)
_KEYS = ("grade", "score", "verdict", "winner")


def read_grade(kind: JudgementKind, reply: str) -> str:
    """The last grade of a reply, as one of ``SCALE`` or ``PLACES``; "" where it cannot be read.

    The last one counts, and only that: where it is off the scale (5 is the most: ``4/10`` is off it) or names two
    (``A or B``), no earlier one stands in for it. A reply may be JSON instead, of which the last object counts, with
    ``grade``, ``score`` or ``verdict`` on the same scale, or ``pass`` (``true`` or ``false``); one that contradicts
    itself cannot be read. A number off the scale (``{"score": 0}``) is neither right nor wrong.
    """
    text = reply[-_MAX_REPLY:]
    graded = [grades for found in _objects(text) if (grades := _grades_in(found))] if _OBJECT.fullmatch(text) else []
    if graded:
        return _of_object(kind, graded[-1])
    said = list(_SAID[kind].finditer(text))
    if not said or _BEHIND[kind].match(text, said[-1].end()):
        return ""
    return _point(kind, said[-1].group(1) or "")


def score_of(grade: str) -> float:
    """A point of the scale as a score in [0, 1]."""
    return SCALE.index(grade) / (len(SCALE) - 1)


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """The outermost JSON objects of a text, as many as are looked for in any answer."""
    decoder, at = json.JSONDecoder(), -1
    for _ in range(MAX_STARTS):
        if (at := text.find("{", at + 1)) < 0:
            return
        try:
            found, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            continue
        yield found
        at = end - 1


def _point(kind: JudgementKind, token: Any) -> str:
    if isinstance(token, bool) or not isinstance(token, str | int | float):
        return ""
    word = str(token).strip().lower()
    if kind == "pairwise":
        return "TIE" if word in _TIES else word.upper() if word in ("a", "b") else ""
    word = _WORDS.get(word, word)
    try:
        number = float(word)
    except ValueError:
        return ""
    return str(int(number)) if number.is_integer() and str(int(number)) in SCALE else ""


def _grades_in(found: dict[str, Any]) -> dict[str, Any]:
    said = {name.lower(): value for name, value in found.items()}
    return {name: said[name] for name in (*_KEYS, "pass") if name in said}


def _of_object(kind: JudgementKind, said: dict[str, Any]) -> str:
    """The one grade of a JSON reply: every key that gives one must give the same."""
    grades = {_point(kind, said[name]) for name in _KEYS if name in said}
    if kind == "rubric" and "pass" in said:
        passed = said["pass"]
        if not isinstance(passed, bool):
            return ""
        if not grades:
            return "5" if passed else "1"
        if any(grade and int(grade) in ((1, 2) if passed else (4, 5)) for grade in grades):
            return ""
    return grades.pop() if len(grades) == 1 else ""
