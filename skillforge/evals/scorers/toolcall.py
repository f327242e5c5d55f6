"""Whether the right tools are called with the right arguments, in any order."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from skillforge.evals.scorers.calls import MAX_CALLS, Accepted, ToolCall, accepted_of, calls_of, same_tool
from skillforge.evals.scorers.equality import same
from skillforge.evals.scorers.text import f1

MAX_EXPECTED = 100  # calls in a label: matching them with those found is quadratic

Expected = Sequence[Accepted | ToolCall]


def tool_call(expected: Any, found: Any) -> float:
    """1 where every call of the label is made, each once, and no other; order does not matter. No call expected is met
    by an answer that makes none. NaN where the label is no form of calls.
    """
    wanted = expected_calls(expected)
    if wanted is None:
        return math.nan
    made = calls_of(found) or []
    return float(len(made) == len(wanted) and matched(wanted, made) == len(wanted))


def tool_call_f1(expected: Any, found: Any) -> float:
    """F1 over calls. Of a label that is a list of names (or names with commas between): F1 over the tools called,
    whatever their arguments.
    """
    names = expected_names(expected)
    made = calls_of(found) or []
    if names is not None:
        called = {call.name.replace(".", "_") for call in made}
        return f1(len(called & names), len(names), len(called))
    wanted = expected_calls(expected)
    return math.nan if wanted is None else f1(matched(wanted, made), len(wanted), len(made))


def expected_calls(label: Any) -> Expected | None:
    """The calls a label asks for: BFCL's possible answers where it is of that form, else plain calls whose arguments
    must be equal as JSON values are. ``None`` for no form of calls, or too many.
    """
    wanted: Expected | None = accepted_of(label)
    if wanted is None:
        wanted = calls_of(label)
    return None if wanted is None or len(wanted) > MAX_EXPECTED else wanted


def expected_names(label: Any) -> set[str] | None:
    """The names of a label that only names tools, with ``_`` for ``.``."""
    if isinstance(label, str) and re.fullmatch(r"[\w.,\s-]+", label):
        label = label.split(",")
    if not isinstance(label, list | tuple) or not label or not all(isinstance(name, str) for name in label):
        return None
    names = {name.strip().replace(".", "_") for name in label}
    return None if len(label) > MAX_CALLS or any("(" in name or "{" in name for name in names) else names


def matched(wanted: Expected, made: Sequence[ToolCall]) -> int:
    """How many of the calls wanted can each be given a call of its own: a largest matching, by augmenting paths."""
    fitting = [[index for index, call in enumerate(made) if _takes(want, call)] for want in wanted]
    owner: dict[int, int] = {}

    def place(want: int, tried: set[int]) -> bool:
        for index in fitting[want]:
            if index not in tried:
                tried.add(index)
                if index not in owner or place(owner[index], tried):
                    owner[index] = want
                    return True
        return False

    return sum(place(want, set()) for want in range(len(wanted)))


def _takes(want: Accepted | ToolCall, call: ToolCall) -> bool:
    if isinstance(want, Accepted):
        return want.takes(call)
    return same_tool(want.name, call.name) and same(want.arguments, call.arguments)
