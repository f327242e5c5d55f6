"""The interval, the rule that reads it, and what counts as a level, a margin, an error rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from skillforge.errors import UsageError
from skillforge.evals.statistics.special import normal_quantile

Verdict = Literal["pass", "fail", "inconclusive"]

MAX_LEVEL = 1 - 1e-9


@dataclass(frozen=True, slots=True)
class Interval:
    """A two-sided confidence interval, ``low <= high``. At ``level`` .90 each end is a one-sided 95% bound."""

    low: float
    high: float
    level: float


def decide(difference: Interval, margin: float) -> Verdict:
    """Non-inferiority: pass when the student is surely less than ``margin`` worse, fail when surely more, else open."""
    check_margin(margin)
    if difference.low > -margin:
        return "pass"
    return "fail" if difference.high < -margin else "inconclusive"


def two_sided_z(level: float) -> float:
    """The normal quantile of each end. Raises ``UsageError`` unless the level is in (0, 1 - 1e-9]."""
    if not 0 < level <= MAX_LEVEL:
        raise UsageError(f"level: {level} is not a confidence level", hint="give a fraction such as 0.95")
    return normal_quantile((1 + level) / 2)


def check_margin(margin: float) -> None:
    if not 0 <= margin < 1:
        raise UsageError(f"margin: {margin} is not in [0, 1)", hint="give it in score units: .05 allows 5 points worse")


def check_alpha(alpha: float) -> None:
    if not 0 < alpha < 0.5:
        raise UsageError(f"alpha: {alpha} is not a one-sided error", hint="give it in (0, .5), such as .05")


def planning_quantiles(n: int, margin: float, alpha: float, power: float) -> tuple[float, float]:
    """The normal quantiles of error and power that a plan is made with; refuses what no plan can be made from."""
    check_margin(margin)
    check_alpha(alpha)
    if n < 1:
        raise UsageError(f"n: {n} cases show no gap to plan from", hint="run the suite first")
    if not 0.5 <= power < 1:
        raise UsageError(f"power: {power} is not in [.5, 1)", hint="give a fraction such as 0.8")
    return normal_quantile(1 - alpha), normal_quantile(power)
