from __future__ import annotations

import math
from typing import Any

import anyio
import pytest

from skillforge.errors import LimitReached, UsageError
from skillforge.evals.running.limits import Limits, Meter


@pytest.mark.parametrize("wrong", [{"max_errors": 0}, {"max_errors": -1}, {"time_s": -1.0}, {"time_s": math.nan}])
def test_a_limit_that_bounds_nothing_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Limits(**wrong)


def test_errors_are_counted_over_everything_that_is_asked() -> None:
    meter = Meter(Limits(max_errors=2))
    meter.count("first")
    meter.count(None)
    with pytest.raises(LimitReached, match="2 errors in 3 new answers, the last: second"):
        meter.count("second")


def test_the_clock_starts_with_the_first_look() -> None:
    async def main() -> None:
        meter = Meter(Limits(time_s=0.05))
        await anyio.sleep(0.06)
        meter.look_at_the_clock()
        await anyio.sleep(0.06)
        with pytest.raises(LimitReached, match=r"time limit of 0\.05 s"):
            meter.look_at_the_clock()

    anyio.run(main)
