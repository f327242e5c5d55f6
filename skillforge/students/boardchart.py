"""Where the students stand in the leaderboard's picture, in per cent of its width and pixels of its height."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from skillforge.evals.pages.charts import Tick, steps
from skillforge.evals.wording.reading import dollars, percent, points
from skillforge.students.boardwords import name
from skillforge.students.leaderboard import Entry, Leaderboard

HEIGHT = 320
_LINE = 16  # pixels between two labels
_FREE = 6.0  # where $0 stands, in per cent
_LEFT, _RIGHT = 16.0, 92.0  # the dollars' own range: zero has no place on their scale


@dataclass(frozen=True, slots=True)
class Point:
    """A student at (``x`` %, ``y`` pixels) with the ends of its interval; its label stands at ``text_y``."""

    name: str
    kind: str
    front: bool
    x: float
    y: float
    low_y: float
    high_y: float
    text_y: float
    left: bool
    text: str


@dataclass(frozen=True, slots=True)
class Picture:
    """``teacher_y`` is the line that a student would have to reach. ``stairs`` are the corners of the Pareto front as
    (x1, y1, x2, y2); ``unknown`` are students whose cost nobody knows.
    """

    points: tuple[Point, ...]
    stairs: tuple[tuple[float, float, float, float], ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    teacher_y: float | None
    teacher_text: str
    height: int
    unknown: tuple[str, ...]


def picture(board: Leaderboard) -> Picture | None:
    """Quality with its interval against dollars for 1,000 runs, on a scale of powers with $0 beside it.

    Only comparable students of known cost stand in it; ``None`` where there is none.
    """
    there = [entry for entry in board.entries if entry.comparable and not entry.part]
    known = [(entry, entry.usd_per_1000) for entry in there if entry.usd_per_1000 is not None]
    if not known:
        return None
    unknown = tuple(name(entry) for entry in there if entry.usd_per_1000 is None)
    money = [usd for _, usd in known if usd > 0]
    money += [board.teacher_usd_per_1000] if board.teacher_usd_per_1000 else []
    ends = [end for entry, _ in known for end in (entry.bounds.low, entry.bounds.high)]
    ends += [board.teacher_quality] if board.teacher_quality is not None else []
    low, high = max(0.0, min(ends) - 0.02), min(1.0, max(ends) + 0.02)

    def x_at(usd: float) -> float:
        return _FREE if usd <= 0 else round(_scaled(usd, money), 2)

    def y_at(share: float) -> float:
        return round(12 + (HEIGHT - 24) * (high - share) / max(high - low, 1e-9), 1)

    def heights(entry: Entry) -> tuple[float, float, float]:
        return y_at(entry.quality), y_at(entry.bounds.low), y_at(entry.bounds.high)

    drawn = _labelled([(entry, x_at(usd), heights(entry)) for entry, usd in known])
    ticks = [Tick(_FREE, "$0")] if any(usd == 0 for _, usd in known) else []
    ticks += [Tick(round(_scaled(usd, money), 2), dollars(usd)) for usd in _powers(money)]
    teacher = board.teacher_quality
    return Picture(
        points=drawn,
        stairs=_stairs(drawn),
        x_ticks=tuple(ticks),
        y_ticks=tuple(Tick(y_at(share), f"{points(share)}%") for share in steps(low, high)),
        teacher_y=None if teacher is None else y_at(teacher),
        teacher_text=f"teacher {percent(teacher)}, {dollars(board.teacher_usd_per_1000, board.teacher_estimated)}",
        height=HEIGHT,
        unknown=unknown,
    )


def _scaled(usd: float, money: Sequence[float]) -> float:
    low, high = math.log(min(money)), math.log(max(money))
    share = (math.log(usd) - low) / (high - low) if high > low else 0.5
    return _LEFT + (_RIGHT - _LEFT) * share


def _powers(money: Sequence[float]) -> list[float]:
    if not money:
        return []
    first, last = math.floor(math.log10(min(money))), math.ceil(math.log10(max(money)))
    inside = [float(10**power) for power in range(first, last + 1) if min(money) <= 10**power <= max(money)]
    return inside if len(inside) > 1 else sorted({min(money), max(money)})


def _labelled(placed: Sequence[tuple[Entry, float, tuple[float, float, float]]]) -> tuple[Point, ...]:
    """From the top, each label at least a line below one that it might run into."""
    drawn: list[Point] = []
    for entry, x, (y, low_y, high_y) in sorted(placed, key=lambda item: item[2][0]):
        left, text_y = x > 55, y
        while any(
            abs(text_y - other.text_y) < _LINE and (other.left == left or abs(other.x - x) < 60) for other in drawn
        ):
            text_y += 1
        told = f"{name(entry)}: {percent(entry.quality)}, {dollars(entry.usd_per_1000, entry.cost_estimated)} per 1,000"
        drawn.append(Point(name(entry), entry.kind, entry.front, x, y, low_y, high_y, text_y, left, told))
    return tuple(drawn)


def _stairs(drawn: Sequence[Point]) -> tuple[tuple[float, float, float, float], ...]:
    """The front from the cheapest to the best: a level as far as the next better one, then up to it."""
    front = sorted((point for point in drawn if point.front), key=lambda point: (point.x, point.y))
    lines: list[tuple[float, float, float, float]] = []
    for one, other in pairwise(front):
        lines.append((one.x, one.y, other.x, one.y))
        lines.append((other.x, one.y, other.x, other.y))
    return tuple(lines)
