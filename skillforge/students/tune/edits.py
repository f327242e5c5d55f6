"""Bounded edits of instructions: single rules are added, deleted or replaced, a few at a time.

A rule is one line that is not empty; rules are numbered from 1. That a step changes only a few rules (a "textual
learning rate") keeps what already works: a free rewrite forgets it (SkillOpt, microsoft/SkillOpt; ACE, arXiv
2510.04618).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, cast, get_args

from skillforge.messages import Value

Op = Literal["add", "delete", "replace"]

MOST_RULE_CHARS = 600
_KEYS = {"op", "rule", "text"}


class Edit(Value):
    """One change. ``rule`` is the number of the rule it is about; ``add`` puts ``text`` after it (0: before all)."""

    op: Op
    rule: int
    text: str = ""

    def __str__(self) -> str:
        return {"add": f"add after {self.rule}", "delete": f"delete {self.rule}", "replace": f"replace {self.rule}"}[
            self.op
        ] + (f": {self.text}" if self.text else "")


def rules_of(instructions: str) -> tuple[str, ...]:
    """The rules in order. Only a newline ends one: other line ends are characters like any."""
    return tuple(line for line in instructions.split("\n") if line.strip())


def numbered(instructions: str) -> list[dict[str, Any]]:
    """The rules with their numbers, as a teacher is shown them."""
    return [{"rule": number, "text": text} for number, text in enumerate(rules_of(instructions), 1)]


def applied(instructions: str, edits: Sequence[Edit]) -> str:
    """The instructions with the edits made, all at once: numbers are those before any of them. Empty lines stay.

    A text is made one line first. Raises ``ValueError`` for a rule that is not there or is changed twice.
    """
    lines = instructions.split("\n") if instructions.strip() else []
    places = [index for index, line in enumerate(lines) if line.strip()]
    changed: dict[int, list[str]] = {}
    added: dict[int, list[str]] = {}
    for edit in edits:
        if not (0 if edit.op == "add" else 1) <= edit.rule <= len(places):
            raise ValueError(f"there is no rule {edit.rule}")
        text = " ".join(edit.text.split())
        if edit.op == "add":
            added.setdefault(edit.rule, []).append(text)
        elif edit.rule in changed:
            raise ValueError(f"rule {edit.rule} is changed twice")
        else:
            changed[edit.rule] = [text] if edit.op == "replace" else []
    made = list(added.get(0, ()))
    number = 0
    for line in lines:
        if not line.strip():
            made.append(line)
            continue
        number += 1
        made += changed.get(number, [line])
        made += added.get(number, ())
    return "\n".join(made)


def read_edits(value: dict[str, Any], rules: int, most: int) -> tuple[Edit, ...]:
    """The edits of a teacher's answer ``{"edits": [{"op", "rule", "text"}, …], "why": …}``, for so many rules.

    Raises ``ValueError`` that says what is wrong, in words for whoever wrote it.
    """
    found = value.get("edits")
    if not isinstance(found, list):
        raise ValueError('"edits" must be a list')
    if len(found) > most:
        raise ValueError(f"{len(found)} edits: at most {most} at a time")
    edits = tuple(_edit(item, number, rules) for number, item in enumerate(found, 1))
    touched = [edit.rule for edit in edits if edit.op != "add"]
    if len(set(touched)) != len(touched):
        raise ValueError("a rule is changed twice")
    return edits


def _edit(item: Any, number: int, rules: int) -> Edit:
    where = f"edit {number}"
    if not isinstance(item, dict) or not set(item) <= _KEYS:
        raise ValueError(f'{where}: must be an object with "op", "rule" and "text"')
    op, rule, text = item.get("op"), item.get("rule"), item.get("text", "")
    if op not in get_args(Op):
        raise ValueError(f'{where}: "op" must be one of {", ".join(get_args(Op))}')
    if not isinstance(rule, int) or isinstance(rule, bool) or not (0 if op == "add" else 1) <= rule <= rules:
        first = "0 (before all)" if op == "add" else "1"
        raise ValueError(f'{where}: "rule" must be a number from {first} to {rules}')
    if not isinstance(text, str):
        raise ValueError(f'{where}: "text" must be a string')
    if op == "delete" and text.strip():
        raise ValueError(f"{where}: a deletion has no text")
    if op != "delete" and not text.strip():
        raise ValueError(f'{where}: "text" is empty; to take a rule away, delete it')
    if len(text) > MOST_RULE_CHARS:
        raise ValueError(f"{where}: a rule has at most {MOST_RULE_CHARS} characters")
    return Edit(op=cast(Op, op), rule=rule, text=" ".join(text.split()))
