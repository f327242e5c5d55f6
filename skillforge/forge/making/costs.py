"""What skills cost, what they saved against what was asked before them, and whether making them is paid back."""

from __future__ import annotations

import math
from collections.abc import Iterable

from skillforge.errors import UsageError
from skillforge.forge.calls.logs import price_kept
from skillforge.forge.making.made import made_usd
from skillforge.forge.workspace import Workspace
from skillforge.messages import Value
from skillforge.store.spending import By, Spending, Spent


class CostLine(Value):
    """One sum, by ``key``. ``usd`` adds up the known costs, ``unknown`` counts runs without one.

    ``saved_usd`` is what the same runs would have cost before, minus what they did cost, ``None`` where either is not
    known. ``served`` is false for recorded calls that no skill answered.
    """

    key: str
    served: bool
    runs: int
    usd: float
    unknown: int
    saved_usd: float | None = None


class Payback(Value):
    """Whether a skill has paid back what it took to make and measure it.

    ``before_usd`` is the price of one call before (``basis`` says where that is known from), ``made_usd`` what creating
    and measuring took, ``saved_usd`` what its runs saved since. ``reached`` is ``None`` where one of them is not known;
    ``calls_left`` is how many more runs at today's saving it takes.
    """

    skill: str
    made_usd: float | None
    before_usd: float | None
    basis: str
    runs: int
    saved_usd: float | None
    reached: bool | None
    calls_left: int | None


class CostReport(Value):
    """The whole answer of ``skillforge cost``. ``tags`` are what there is where nothing has the one asked for."""

    by: By
    since: str
    lines: tuple[CostLine, ...]
    paybacks: tuple[Payback, ...]
    tags: tuple[str, ...] = ()


def costs(work: Workspace, *, by: By, tag: str, since: str) -> CostReport:
    """Sums of all runs and recorded calls since a day. Raises ``UsageError`` for a tag without ``by="tag"``."""
    if tag and by != "tag":
        raise UsageError("a tag is named, but the costs are not summed by tags", hint="add --by tag")
    price_kept(work)
    spending = Spending(work.database)
    served = spending.served(by, tag=tag, since=since)
    everything = served if not since and by != "tag" else spending.served("skill")
    before = {
        (item.skill, item.digest): _before(work, item.skill, item.digest)
        for item in {*served, *everything}
        if item.skill
    }
    lines = [*_lines(served, before), *_lines(spending.recorded(by, tag=tag, since=since), {})]
    if by == "day":
        lines.sort(key=lambda line: line.key)  # of both kinds
    tags = spending.tags() if tag and not lines else []
    names = sorted({item.skill for item in everything} | {version.name for version in work.registry.skills()})
    paybacks = [_payback(work, name, [item for item in everything if item.skill == name], before) for name in names]
    return CostReport(by=by, since=since, lines=tuple(lines), paybacks=tuple(paybacks), tags=tuple(tags))


_Before = dict[tuple[str, str], tuple[float | None, str]]


def _before(work: Workspace, skill: str, digest: str) -> tuple[float | None, str]:
    """(US dollars a call cost before this version, where that is known from): of the newest eval of the version, else
    of the skill. What was really paid, cache hits included, where the program's own calls were measured.
    """
    evidence = work.evidence.for_skill(skill)
    own = [item for item in evidence if item.digest == digest]
    for item in own or evidence:
        teacher = item.report.get("teacher", {})
        prices = {arm.get("name"): arm.get("usd_per_1000") for arm in (teacher, *item.report.get("arms", []))}
        for name, basis in (
            (item.report.get("today"), "the recorded calls"),
            (teacher.get("name"), "the teacher's price in the eval"),
        ):
            if name is not None and prices.get(name) is not None:
                return float(prices[name]) / 1000, basis
    return None, ""


def _lines(sums: Iterable[Spent], before: _Before) -> list[CostLine]:
    """One line a key: a key may hold several skills and versions."""
    by_key: dict[str, list[Spent]] = {}
    for item in sums:
        by_key.setdefault(item.key, []).append(item)
    return [
        CostLine(
            key=key,
            served=any(item.skill for item in items),
            runs=sum(item.runs for item in items),
            usd=math.fsum(item.usd for item in items),
            unknown=sum(item.unknown for item in items),
            saved_usd=_saved(items, before),
        )
        for key, items in by_key.items()
    ]


def _saved(items: Iterable[Spent], before: _Before) -> float | None:
    """What the runs of known cost saved; ``None`` where a price before is not known. One without an answer replaced no
    call: what it cost is a loss.
    """
    saved = []
    for item in items:
        price, _ = before.get((item.skill, item.digest), (None, ""))
        if price is None:
            return None
        saved.append(price * item.answered - item.usd)
    return math.fsum(saved)


def _payback(work: Workspace, skill: str, items: list[Spent], before: _Before) -> Payback:
    known_made = made_usd(work, skill)
    runs = sum(item.runs for item in items)
    saved = _saved(items, before)
    price, basis = before.get((skill, items[-1].digest), (None, "")) if items else (None, "")
    reached = None if known_made is None or saved is None or not runs else saved >= known_made
    left = None
    if reached is False and saved is not None and known_made is not None and saved > 0:
        left = math.ceil((known_made - saved) / (saved / runs))
    return Payback(
        skill=skill,
        made_usd=known_made,
        before_usd=price,
        basis=basis,
        runs=runs,
        saved_usd=saved,
        reached=reached,
        calls_left=left,
    )
