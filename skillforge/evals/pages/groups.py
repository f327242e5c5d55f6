"""What the cases of a difference have in common: how many of each label, each mistake, each kind were lost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from skillforge.canonical import compact
from skillforge.evals.pages.rows import CaseRow
from skillforge.evals.pages.values import Clean, plain

MOST = 12  # groups told of an arm
_LONGEST = 60  # characters of a value that many cases may share
_UNUSUAL = 1.5  # times the share of lost cases anywhere: what most cases have in common tells nothing
_VALUES = 50  # different values of a name, beyond which it is no grouping


@dataclass(frozen=True, slots=True)
class Group:
    """Cases with ``what`` in common: ``lost`` are their ids, of ``total`` cases that have it."""

    what: str
    lost: tuple[str, ...]
    total: int


def lost_groups(rows: Iterable[CaseRow], arm: str, lost: Iterable[str], clean: Clean) -> list[Group]:
    """The groups of the lost cases of an arm with at least two of them, the most first; at most ``MOST``. What
    is lost hardly more often than any case is left out.

    A group of a mistake (``queue: bug, answered billing``) has the cases of that label as its total.
    """
    wanted = frozenset(lost)
    totals: dict[str, int] = defaultdict(int)
    found: dict[str, list[str]] = defaultdict(list)
    whole: dict[str, str] = {}  # what a group is a share of
    count = 0
    for row in rows:
        count += 1
        for what in traits(row, clean):
            totals[what] += 1
            if row.id in wanted:
                found[what].append(row.id)
                whole[what] = what
        if row.id in wanted:
            for what, label in _mistakes(row, arm, clean):
                found[what].append(row.id)
                whole[what] = label
    names = defaultdict(set)
    for what in totals:
        names[what.partition(" = ")[0]].add(what)
    usual = len(wanted) / max(1, count)
    groups = [
        Group(what, tuple(ids), totals[whole[what]])
        for what, ids in found.items()
        if len(ids) > 1
        and len(names[what.partition(" = ")[0]]) <= _VALUES
        and len(ids) > _UNUSUAL * usual * totals[whole[what]]
    ]
    return sorted(groups, key=lambda group: (-len(group.lost), group.total, group.what))[:MOST]


def traits(row: CaseRow, clean: Clean) -> Iterator[str]:
    """What a case is like before anybody answers: its label, its metadata, its group."""
    yield from (f"{name} = {value}" for name, value in _named(clean(_reference(row)), "label").items())
    metadata = clean(dict(row.metadata))
    yield from (f"{name} = {value}" for name, value in _named(metadata or None, "metadata").items())
    if row.cluster is not None and (cluster := _short(clean(row.cluster))) is not None:
        yield f"cluster = {cluster}"


def _mistakes(row: CaseRow, arm: str, clean: Clean) -> Iterator[tuple[str, str]]:
    """(mistake, the label it is a share of), of every place where the arm's first answer is not the label."""
    cell = row.cells.get(arm)
    if cell is None or not cell.answers:
        return
    answer = cell.answers[0]
    if answer.output is None:
        yield f"no answer ({answer.run_status})", ""
        return
    wanted, got = _named(clean(_reference(row)), "label"), _named(clean(answer.output), "label")
    for name, value in wanted.items():
        if name in got and got[name] != value:
            yield f"{name}: {value}, answered {got[name]}", f"{name} = {value}"


def _reference(row: CaseRow) -> Any:
    """What is right: the label, and where there is none what the teacher, who stands first, answered."""
    if row.expected is not None:
        return row.expected
    teacher = next(iter(row.cells.values()), None)
    return teacher.answers[0].output if teacher is not None and teacher.answers else None


def _named(value: Any, alone: str) -> Mapping[str, str]:
    """The short values of an object by name; of anything else the value itself, named ``alone``."""
    value = plain(value)
    pairs = value.items() if isinstance(value, dict) else [(alone, value)]
    return {name: text for name, inner in pairs if (text := _short(inner)) is not None and len(name) <= _LONGEST}


def _short(value: Any) -> str | None:
    """A value that cases may share, as text; ``None`` for lists, objects, nothing and long texts."""
    if value is None or isinstance(value, dict | list):
        return None
    text = value if isinstance(value, str) else compact(value)
    return text if 0 < len(text) <= _LONGEST else None
