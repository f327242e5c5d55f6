"""Plans without any model on real trajectories: each does again what its own traces did."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

import anyio
import pytest

from skillforge.engine.compiling.propose import mechanical_draft
from skillforge.formats.trajectories.detect import read_trajectories
from skillforge.trace import Trace

DATA = os.environ.get("SKILLFORGE_DATA", "")
pytestmark = pytest.mark.skipif(not DATA, reason="SKILLFORGE_DATA names no folder of public data")


@pytest.fixture(scope="module")
def airline() -> dict[str, list[Trace]]:
    found: dict[str, list[Trace]] = defaultdict(list)
    for item in read_trajectories(Path(DATA) / "trc_tau_airline" / "trajectories.jsonl"):
        if isinstance(item, Trace):
            found[item.group].append(item)
    return found


def _good(traces: list[Trace]) -> int:
    return sum(trace.reward == 1 for trace in traces)


def test_the_plan_of_every_task_that_was_solved_reproduces_its_traces(airline: dict[str, list[Trace]]) -> None:
    solved = {name: traces for name, traces in airline.items() if _good(traces)}
    assert len(solved) == 16
    for name, traces in solved.items():
        made = anyio.run(mechanical_draft, "", traces)
        assert made.problems == (), name
        assert made.verified is not None
        assert len(made.verified.checks) == _good(traces)


def test_one_plan_of_all_tasks_together_reproduces_them_too(airline: dict[str, list[Trace]]) -> None:
    traces = [trace for traces in airline.values() for trace in traces]
    made = anyio.run(mechanical_draft, "", traces)
    assert made.problems == ()
    assert made.verified is not None
    assert len(made.verified.checks) == 37
