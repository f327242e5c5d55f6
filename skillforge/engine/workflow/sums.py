"""What several attempts took together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from operator import add

from skillforge.engine.journal import StepState
from skillforge.messages import Cost, Usage
from skillforge.run import Attempt, StepRun

NO_USAGE = Usage(input_tokens=0, output_tokens=0)


def usage_of(attempts: Sequence[Attempt]) -> Usage:
    """Tokens of all of them; of none it is zero, not unknown. What a refused call used is nothing."""
    asked = [attempt.usage for attempt in attempts if not (attempt.error and attempt.cost.usd == 0.0)]
    return reduce(add, asked) if asked else NO_USAGE


def cost_of(attempts: Sequence[Attempt]) -> Cost:
    """US dollars of all of them; unknown where one is."""
    return reduce(add, [attempt.cost for attempt in attempts]) if attempts else Cost(usd=0.0)


def latency_of(attempts: Sequence[Attempt]) -> float | None:
    """Seconds of all of them, one after another; unknown where one is."""
    known = [attempt.latency_s for attempt in attempts if attempt.latency_s is not None]
    return math.fsum(known) if len(known) == len(attempts) else None


def model_state(run: StepRun, attempts: Sequence[Attempt]) -> StepState:
    """A model's step with what its attempts took, each of them marked with the step."""
    marked = tuple(attempt.model_copy(update={"step": run.key}) for attempt in attempts)
    sums = {
        "tries": len(marked),
        "usage": usage_of(marked),
        "cost": cost_of(marked),
        "latency_s": latency_of(marked),
    }
    return StepState(run=run.model_copy(update=sums), attempts=marked)
