"""Where things stand in the page's two pictures, in per cent of their width: the template draws, this only measures."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from skillforge.evals.report import EvalReport
from skillforge.evals.wording.reading import ArmLine, arm_lines, dollars, label, points, signed

_TICKS = 6
_LINE = 17  # pixels between two labels
_HEIGHT = 260  # pixels of the second picture


@dataclass(frozen=True, slots=True)
class Tick:
    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Bar:
    """An arm's interval: from ``low`` to ``high`` with the difference at ``middle``, in per cent of the width."""

    line: ArmLine
    low: float
    middle: float
    high: float
    text: str


@dataclass(frozen=True, slots=True)
class Intervals:
    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]
    zero: float
    margin: float
    margin_text: str
    level: str


@dataclass(frozen=True, slots=True)
class Dot:
    """An arm at (``x`` %, ``y`` pixels); its label stands at ``text_y``, left of the dot where ``left``."""

    name: str
    kind: str
    x: float
    y: float
    text_y: float
    left: bool
    text: str


@dataclass(frozen=True, slots=True)
class Scatter:
    dots: tuple[Dot, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    height: int
    unknown: tuple[str, ...]
    logarithmic: bool


def intervals(report: EvalReport) -> Intervals | None:
    """The two-sided interval of the difference of every compared arm against the margin: what the rule looks at."""
    lines = [line for line in arm_lines(report) if line.versus.n]
    if not lines:
        return None
    margin = report.decision.margin
    ends = [end for line in lines for end in (line.versus.bounds.low, line.versus.bounds.high)]
    low, high = max(-1.0, min(*ends, -margin)), min(1.0, max(*ends, 0.0))
    pad = max(0.01, 0.06 * (high - low))
    low, high = low - pad, high + pad

    def at(value: float) -> float:
        return round(100 * (min(max(value, low), high) - low) / (high - low), 2)

    bars = tuple(_bar(line, at) for line in lines)
    ticks = tuple(Tick(at(value), signed(value)) for value in steps(low, high))
    level = f"{100 * lines[0].versus.bounds.level:.4g}%"
    return Intervals(bars, ticks, at(0.0), at(-margin), f"-{points(margin)}", level)


def _bar(line: ArmLine, at: Callable[[float], float]) -> Bar:
    bounds = line.versus.bounds
    text = f"{signed(line.versus.difference)} ({signed(bounds.low)} to {signed(bounds.high)})"
    return Bar(line, at(bounds.low), at(line.versus.difference), at(bounds.high), text)


def scatter(report: EvalReport) -> Scatter | None:
    """Quality against dollars for 1,000 runs; arms of unknown cost are named apart. ``None`` where nothing is known."""
    arms = [arm for arm in (report.teacher, *report.arms) if arm.quality is not None]
    priced = [(arm, arm.usd_per_1000, arm.quality) for arm in arms]
    known = [(arm, usd, share) for arm, usd, share in priced if usd is not None and share is not None]
    unknown = tuple(label(report, arm) for arm, usd, _ in priced if usd is None)
    if not known:
        return None
    dearest, cheapest = (pick(usd for _, usd, _ in known) for pick in (max, min))
    logarithmic = cheapest > 0 and dearest / cheapest > 20
    low, high = _share_range([share for _, _, share in known])

    def x_at(usd: float) -> float:
        if logarithmic:
            share = math.log(usd / cheapest) / math.log(dearest / cheapest)
        else:
            share = usd / dearest if dearest else 0.0
        return round(4 + 90 * share, 2)

    def y_at(share: float) -> float:
        return round(12 + (_HEIGHT - 24) * (high - share) / (high - low), 1)

    placed = [(label(report, arm), arm.kind, x_at(usd), y_at(share), usd, share) for arm, usd, share in known]
    dots = _labelled(placed)
    money = _powers(cheapest, dearest) if logarithmic else steps(0.0, dearest or 1.0)
    x_ticks = tuple(Tick(x_at(usd), dollars(usd)) for usd in money) if dearest else (Tick(4, "$0"),)
    y_ticks = tuple(Tick(y_at(share), f"{points(share)}%") for share in steps(low, high))
    return Scatter(dots, x_ticks, y_ticks, _HEIGHT, unknown, logarithmic)


def _labelled(placed: Sequence[tuple[str, str, float, float, float, float]]) -> tuple[Dot, ...]:
    """The dots from the top, each label at least a line below one that it might run into."""
    dots: list[Dot] = []
    for name, kind, x, y, usd, share in sorted(placed, key=lambda item: item[3]):
        left = x > 55
        text_y = y
        while any(
            abs(text_y - other.text_y) < _LINE and (other.left == left or abs(other.x - x) < 60) for other in dots
        ):
            text_y += 1
        dots.append(Dot(name, kind, x, y, text_y, left, f"{name}: {points(share)}%, {dollars(usd)} per 1,000"))
    return tuple(dots)


def _share_range(shares: Sequence[float]) -> tuple[float, float]:
    low, high = min(shares), max(shares)
    pad = max(0.02, 0.1 * (high - low))
    return max(0.0, low - pad), min(1.0, high + pad)


def steps(low: float, high: float) -> list[float]:
    """Round values from ``low`` to ``high``, at most some six."""
    rough = (high - low) / _TICKS
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    first = math.ceil(low / step - 1e-9)
    return [round(number * step, 12) for number in range(first, math.floor(high / step + 1e-9) + 1)]


def _powers(low: float, high: float) -> list[float]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    inside = [float(10**power) for power in range(first, last + 1) if low <= 10**power <= high]
    return inside if len(inside) > 1 else [low, high]
