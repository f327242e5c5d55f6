"""A plan beside its trace: a call is a step only where nothing speaks against it."""

from __future__ import annotations

from typing import Any

from skillforge.engine.compiling.plandiff import plan_diff
from skillforge.skill import Skill
from tests.fakes.agent_traces import agent_trace

CALLS = [
    ("run", {"command": "ls"}, "CHANGELOG.md"),
    ("run", {"command": "git commit -m done"}, "ok"),
]


def plan(*examples: dict[str, Any]) -> Skill:
    read = {"id": "read", "prompt": "{{ request }}", "output": {"cmd": {"type": "string"}}}
    return Skill.model_validate(
        {
            "name": "commit",
            "description": "Commits.",
            "input": {"request": {"type": "string"}},
            "output": "text",
            "tools": [{"name": "run", "effect": "write"}],
            "steps": [
                {**read, "examples": {"items": list(examples)}},
                {"id": "commit", "tool": "run", "args": {"command": {"from": "steps.read.cmd"}}},
            ],
        }
    )


def test_what_a_model_answered_in_this_trace_says_which_call_a_step_is() -> None:
    trace = agent_trace("t1", CALLS, said="done")
    example = {"id": "t1", "input": {"request": "commit"}, "output": {"cmd": "git commit -m done"}}
    rows = plan_diff(trace, plan(example))
    assert [(row.n, row.fate, row.step) for row in rows if row.n is not None] == [
        (0, "dropped", ""),
        (1, "step", "commit"),
    ]


def test_where_it_cannot_be_told_the_row_says_so() -> None:
    rows = plan_diff(agent_trace("t1", CALLS, said="done"), plan())
    (taken,) = (row for row in rows if row.fate == "step")
    assert taken.why == "or another call: its arguments come from a model"
